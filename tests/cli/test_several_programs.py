"""Several programs on one host share one SQLite file: an inbox and workers, any of which may be killed."""

from __future__ import annotations

import json
import os
import signal
import stat
import urllib.request
from collections import Counter
from pathlib import Path

import pytest

from tests.cli.shell import Shell, Started
from tests.support.processes import until

SHOP = """
    import os

    from agentflow import step, task


    @step
    async def packed(order: int, n: int) -> int:
        note = os.open("ledger", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(note, f"{order} {n} {os.getpid()}\\n".encode())
        os.close(note)
        return n


    @task
    async def pack(order: int) -> int:
        return sum([await packed(order, n) for n in range(5)])
"""
ORDERS = 40


@pytest.fixture
def shop(agentflow: Shell) -> Shell:
    agentflow.write("app.py", SHOP)
    return agentflow


def ordered(address: str, orders: range) -> list[str]:
    """Runs for these orders, by the API."""
    made = []
    for order in orders:
        request = urllib.request.Request(
            f"{address}/api/v1/runs",
            data=json.dumps({"task": "pack", "input": {"order": order}, "idempotency_key": f"order-{order}"}).encode(),
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            made.append(json.load(answer)["id"])
    return made


def completed(address: str) -> int:
    with urllib.request.urlopen(f"{address}/api/v1/runs?status=completed&limit=100", timeout=60) as answer:
        return len(json.load(answer)["items"])


def ledger(shop: Shell) -> list[tuple[str, str, str]]:
    lines = (shop.folder / "ledger").read_text().splitlines()
    return [(order, n, pid) for order, n, pid in map(str.split, lines)]


def programs_of(shop: Shell) -> tuple[str, list[Started]]:
    """The address of the inbox, and two workers beside it."""
    address = shop.start("ui", "app.py", "--dev", "--port", "0", "--json", "--quiet").document()["address"]
    workers = [shop.start("worker", "app.py", "--json", "--quiet") for _ in range(2)]
    for worker in workers:
        assert worker.document()["worker"]
    return address, workers


def test_workers_and_an_inbox_share_a_file_and_do_each_step_once(shop: Shell) -> None:
    address, workers = programs_of(shop)

    assert len(set(ordered(address, range(ORDERS)))) == ORDERS
    until(lambda: completed(address) == ORDERS, "all orders are packed")

    assert Counter((order, n) for order, n, _ in ledger(shop)) == Counter(
        (str(order), str(n)) for order in range(ORDERS) for n in range(5)
    )
    for worker in workers:
        assert worker.stop().code == 0


def test_a_worker_that_is_killed_leaves_its_runs_to_the_other(shop: Shell) -> None:
    address, (first, _) = programs_of(shop)
    ordered(address, range(ORDERS // 2))
    first.stop(signal.SIGKILL)
    ordered(address, range(ORDERS // 2, ORDERS))
    with_help = shop.start("worker", "app.py", "--json", "--quiet")  # which buries the dead one of this host at once
    assert with_help.document()["worker"]

    until(lambda: completed(address) == ORDERS, "all orders are packed")

    twice = [done for done, count in Counter((order, n) for order, n, _ in ledger(shop)).items() if count > 1]
    assert len(twice) <= ORDERS // 2, "at most the step under way in each run that was cut off"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may be another user")
def test_root_leaves_another_users_file_and_what_is_beside_it_to_that_user(shop: Shell) -> None:
    """Or that user's own programs could not open it any more."""
    started = shop.start("ui", "--dev", "--port", "0", "--json", "--quiet")
    started.document()
    started.stop()
    file = shop.folder / "agentflow.db"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    os.chown(file, 12345, 12345)
    started = shop.start("ui", "--dev", "--port", "0", "--json", "--quiet")
    started.document()
    owners = {path.name: path.stat().st_uid for path in Path(shop.folder).glob("agentflow.db*")}
    assert owners == dict.fromkeys(owners, 12345)
