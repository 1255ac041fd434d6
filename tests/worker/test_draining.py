"""Programs asked to end: what they do is finished or handed back in time, and others go on with it at once."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from agentflow.cli.workers import worker_document
from agentflow.store import open_store
from tests.cli.shell import OFFICE, ROOT, Shell, Started
from tests.support.processes import PATIENCE, until

APP = """
    import asyncio
    from pathlib import Path

    from agentflow import step, task


    @step
    async def wait_for(name: str) -> str:
        Path(f"{name}.begun").touch()
        while not Path(name).exists():
            await asyncio.sleep(0.01)
        return name


    @task
    async def waits(name: str) -> str:
        return await wait_for(name)


    @step
    async def never() -> None:
        Path("never.begun").touch()
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                pass


    @task
    async def is_stubborn() -> None:
        await never()
"""
HELD_UP = """
import asyncio, sys, time
from agentflow.cli.signals import Ending
from agentflow.cli.terminal import Terminal

async def main():
    Ending(Terminal(database=""), within=float(sys.argv[1]))
    print("begun", flush=True)
    if sys.argv[2] == "sleeping":
        time.sleep(60)
    while True:
        pass

if sys.argv[3] == "uvloop":
    import uvloop
    uvloop.run(main())
else:
    asyncio.run(main())
"""


@pytest.fixture
def shop(agentflow: Shell) -> Shell:
    agentflow.write("app.py", APP)
    return agentflow


def a_run(shop: Shell, task: str, **given: Any) -> str:
    """The id of a run whose step has begun."""
    run = shop("trigger", f"app.py:{task}", "--input", json.dumps(given), "--json").document["id"]
    begun = shop.folder / f"{given.get('name', 'never')}.begun"
    until(begun.exists, "the step has begun")
    return str(run)


def shown(shop: Shell, run: str) -> dict[str, Any]:
    found: dict[str, Any] = shop("show", run, "--json").document
    return found


def a_worker(shop: Shell, *options: str) -> Started:
    started = shop.start("worker", "app.py", "--json", *options)
    started.document()
    return started


def test_a_step_that_outlasts_the_deadline_is_left_to_the_next_worker_at_once(shop: Shell, database: str) -> None:
    first = a_worker(shop, "--drain-timeout", "3s")
    run = a_run(shop, "waits", name="word")
    (shop.folder / "word.begun").unlink()
    second = a_worker(shop)
    first.process.send_signal(signal.SIGTERM)
    states = until(lambda: states_of(database, "draining"), "it is shown as draining")
    assert sorted(states) == ["alive", "draining"]
    assert first.process.wait(PATIENCE) == 0
    until((shop.folder / "word.begun").exists, "the other worker has begun the step anew")
    (shop.folder / "word").touch()
    followed = shop("show", run, "--follow", "--json").document
    assert (followed["status"], followed["output"], followed["attempt"]) == ("completed", "word", 1)
    kinds = [entry["kind"] for entry in followed["journal"]]
    assert "recovered" not in kinds, "it was taken for lost, once its lease had run out"
    assert second.stop().code == 0


def states_of(database: str, wanted: str) -> list[str]:
    """What `agentflow workers` shows, without the time it takes to start; empty while no worker is so."""

    async def states() -> list[str]:
        store = await open_store(database)
        try:
            return [worker_document(one, store.now())["state"] for one in await store.workers()]
        finally:
            await store.close()

    found = asyncio.run(states())
    return found if wanted in found else []


def test_code_that_will_not_be_cancelled_does_not_keep_the_program_from_ending(shop: Shell) -> None:
    started = a_worker(shop, "--drain-timeout", "200ms")
    run = a_run(shop, "is_stubborn")
    ended = started.stop()
    assert ended.code == 0
    assert "the code of 1 run goes on; the program ends without" in ended.err
    assert shown(shop, run)["status"] == "queued"
    assert shop("workers", "--json").document == []


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("doing", ["sleeping", "computing"])
@pytest.mark.parametrize("asked", [1, 2])
def test_code_that_holds_up_the_event_loop_does_not_keep_it_from_ending(asked: int, doing: str, loop: str) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    within = "0.3" if asked == 1 else "50"
    command = [sys.executable, "-c", HELD_UP, within, doing, loop]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as started:
        try:
            assert started.stdout is not None
            assert started.stdout.readline() == "begun\n"
            for _ in range(asked):
                started.send_signal(signal.SIGTERM)
                until(lambda: is_heard(started.pid), "the signal is delivered")
            _, said = started.communicate(timeout=PATIENCE)
        finally:
            started.kill()
    assert started.returncode == (0 if asked == 1 else 130)
    assert ("not everything came to rest within 0.3 s" in said) == (asked == 1)


def is_heard(pid: int) -> bool:
    """Whether no signal is pending for the process; one that has ended has heard them all."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return True
    pending = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith(("SigPnd", "ShdPnd"))]
    return not any(pending)


def test_a_request_in_hand_is_answered_and_no_further_one_is_taken(agentflow: Shell) -> None:
    agentflow.write("app.py", OFFICE)
    started = agentflow.start("ui", "app.py", "--dev", "--port", "0", "--json")
    address = urlsplit(started.document()["address"])
    body = json.dumps({"task": "greet", "input": {"name": "tom"}}).encode()
    head = (
        f"POST /api/v1/runs HTTP/1.1\r\nhost: {address.netloc}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=PATIENCE) as asking:
        asking.sendall(head.encode() + body[:10])
        until(lambda: is_taken(address.netloc), "the request is being read")
        started.process.send_signal(signal.SIGTERM)
        assert started.process.stderr is not None
        while "letting runs come to rest" not in (line := started.process.stderr.readline()):
            assert line
        until(lambda: is_refused(address.hostname, address.port), "no further request is taken")
        asking.sendall(body[10:])
        answer = b"".join(iter(lambda: asking.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 201"), answer[:300]
    assert started.process.wait(PATIENCE) == 0
    assert [run["task"] for run in agentflow("runs", "--json").document] == ["greet"]


def is_taken(netloc: str) -> bool:
    """Whether the server answers somebody else: what came before has been read too."""
    with urllib.request.urlopen(f"http://{netloc}/health/live", timeout=PATIENCE) as answer:
        return bool(answer.status == 200)


def is_refused(host: str | None, port: int | None) -> bool:
    try:
        socket.create_connection((str(host), int(port or 0)), timeout=PATIENCE).close()
    except OSError:
        return True
    return False


def test_pages_linger_until_a_balancer_has_noticed(agentflow: Shell) -> None:
    started = agentflow.start("ui", "--dev", "--port", "0", "--linger", "60s", "--health", "127.0.0.1:0", "--json")
    document = started.document()
    assert status_of(f"{document['address']}/health/ready") == 200
    started.process.send_signal(signal.SIGTERM)
    until(lambda: status_of(f"{document['address']}/health/ready") == 503, "it says that it is not ready")
    assert status_of(f"{document['health']}/health/ready") == 503
    assert status_of(f"{document['address']}/inbox") == 200
    assert started.stop(signal.SIGTERM).code == 130


def status_of(address: str) -> int:
    try:
        with urllib.request.urlopen(address, timeout=PATIENCE) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
