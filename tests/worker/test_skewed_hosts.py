"""Hosts whose clocks are hours off, on one PostgreSQL: what falls due, and whose lease has run out, its clock says."""

from __future__ import annotations

import signal
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agentflow.client import Client
from agentflow.states import EntryKind
from agentflow.store import open_store

if TYPE_CHECKING:
    from tests.cli.shell import Shell, Started

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
APP = """
    import asyncio
    from datetime import UTC, datetime

    from agentflow import Retry, operation, sleep, step, task, wait_for_approval


    @step
    async def host_clock() -> float:
        return datetime.now(UTC).timestamp()


    @step(retry=Retry(max_attempts=2, min_delay="1500ms", max_delay="1500ms", jitter=0))
    async def fails_once(name: str) -> str:
        if operation().attempt == 1:
            raise ValueError("once")
        return name


    @task
    async def naps(name: str) -> float:
        clock = await host_clock()
        await sleep("1500ms")
        await fails_once(name)
        return clock


    @task
    async def is_not_answered() -> str:
        return (await wait_for_approval({"n": 1}, title="?", timeout="2s")).outcome


    @step
    async def hold() -> None:
        await asyncio.sleep(3)


    @task
    async def is_held() -> None:
        await hold()


    @task.schedule("* * * * * *", id="seconds")
    @task
    async def ticks() -> None: ...
"""

pytestmark = [
    pytest.mark.skipif(not LIBRARIES, reason="no libfaketime on this machine: install Debian's package faketime"),
    pytest.mark.parametrize("database", ["postgres"], indirect=True),
]


def on_host(shop: Shell, ahead: str, command: str) -> Started:
    """The command on a host whose clock is off by so much."""
    fake = {"LD_PRELOAD": str(LIBRARIES[0]), "FAKETIME": ahead, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    before = dict(shop.environment)
    shop.environment |= fake
    try:
        started = shop.start(command, "app.py", "--json")
    finally:
        shop.environment = before
    started.document()
    return started


async def test_nothing_fires_early_or_late_and_nobodys_lease_is_taken(agentflow: Shell, database: str) -> None:
    agentflow.write("app.py", APP)
    workers = [on_host(agentflow, ahead, "worker") for ahead in ("+3h", "-5h")]
    given = [f'{{"name": "{n}"}}' for n in range(4)]
    ids = [agentflow("trigger", "app.py:naps", "--input", one, "--json").document["id"] for one in given]
    held = agentflow("trigger", "app.py:is_held", "--json").document["id"]
    asked = agentflow("trigger", "app.py:is_not_answered", "--json").document["id"]
    store = await open_store(database)
    client = Client(store)
    try:
        ended = [await client.result(run_id, timeout="120s") for run_id in (*ids, held, asked)]
        clocks = {round((float(run.output or 0) - run.created_at.timestamp()) / 3600) for run in ended[:4]}
        assert clocks <= {3, -5}, "the hosts' clocks were not off"
        assert clocks
        for run in ended[:4]:
            lasted = run.finished_at - run.created_at if run.finished_at else timedelta(0)
            assert timedelta(seconds=3) <= lasted < timedelta(minutes=30), "a sleep and a retry of 1.5 s each"
        assert ended[-1].output == '"timed_out"'
        for run in ended:
            kinds = [entry.kind for entry in await client.journal(run.id)]
            assert EntryKind.RECOVERED not in kinds
        assert len(await client.workers()) == 2
        assert all(abs(one.started_at - client.now()) < timedelta(minutes=30) for one in await client.workers())
    finally:
        await store.close()
    for worker in workers:
        assert worker.stop().code == 0


async def test_a_schedule_fires_by_the_servers_clock_once_each_time(agentflow: Shell, database: str) -> None:
    agentflow.write("app.py", APP)
    schedulers = [on_host(agentflow, ahead, "scheduler") for ahead in ("+3h", "-5h")]
    store = await open_store(database)
    client = Client(store)
    try:
        async for _ in client.changes():
            if len((await client.schedules.occurrences("seconds", limit=100)).items) >= 5:
                break
        found = (await client.schedules.occurrences("seconds", limit=100)).items
        assert len({one.fire_at for one in found}) == len(found)
        assert all(abs(one.fire_at - one.created_at) < timedelta(minutes=30) for one in found)
        assert all(one.created_at >= one.fire_at for one in found), "it fired early"
        assert len((await client.runs(limit=200)).items) >= len(found)
    finally:
        await store.close()
    for scheduler in schedulers:
        assert scheduler.stop(signal.SIGTERM).code == 0
