"""Hosts whose clocks are a day off: time is the server's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agentflow.settings import DATABASE_VARIABLE
from tests.crash import programs
from tests.crash.acts import perform
from tests.crash.programs import call_and_decide, mixed_result
from tests.support import ledger
from tests.support.processes import PATIENCE, ROOT, say, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.crash.scenes import ServerScene

LIBRARIES = "/usr/lib/*/faketime/libfaketimeMT.so.1"
RUNS = 9
STEP = "wait_for_word#1"


@pytest.fixture
def library() -> str:
    """What makes a program see another time."""
    found = next(iter(sorted(Path("/").glob(LIBRARIES.lstrip("/")))), None)
    if found is None:
        pytest.skip("no libfaketime (Debian: `apt-get install faketime`), to set a host's clock")
    return str(found)


@contextmanager
def worker_whose_clock_is_off(scene: ServerScene, library: str, by: str) -> Iterator[subprocess.Popen[bytes]]:
    """`agentflow worker` on a host whose clock is ahead or behind; only its wall clock, as in life."""
    command = [sys.executable, "-m", "agentflow", "worker", str(Path(programs.__file__)), "--concurrency", "1"]
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        DATABASE_VARIABLE: scene.url,
        ledger.VARIABLE: str(scene.ledger),
        "LD_PRELOAD": library,
        "FAKETIME": by,
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    with subprocess.Popen(command, cwd=scene.folder, env=environment, stderr=subprocess.PIPE) as started:
        try:
            yield started
        finally:
            started.kill()


def long_run(scene: ServerScene, n: int) -> str:
    """The pipe by which a new run is told to go on: whoever holds it takes no other, being a worker for one."""
    fifo = scene.fifo(f"word{n}")
    with scene.start(perform, "trigger_keyed", "takes_long", {"fifo": fifo, "n": n}, f"long {n}") as caller:
        assert caller.ended() == 0
    return fifo


def test_workers_whose_hosts_clocks_are_a_day_off_neither_rob_each_other_nor_fire_early(
    scene: ServerScene, library: str
) -> None:
    """F30: leases, timers and what is written down are by the server's clock."""
    with ExitStack() as running:
        workers = [running.enter_context(worker_whose_clock_is_off(scene, library, by)) for by in ("-1d", "+1d", "+0d")]
        known = "SELECT count(*) FROM agentflow_worker"
        until(lambda: scene.database.value(known) == len(workers), "the workers are there")
        words = [long_run(scene, n) for n in range(len(workers))]
        until(lambda: ledger.starts(scene.ledger)[STEP] == len(workers), "each of them holds a run")
        caller = running.enter_context(scene.start(call_and_decide, list(range(RUNS))))
        for fifo in words:
            say(fifo, "go on")
        assert caller.ended() == 0
        ended = "SELECT count(*) FROM agentflow_run WHERE task = 'takes_long' AND status = 'completed'"
        until(lambda: scene.database.value(ended) == len(workers), "what each of them held has ended")
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(PATIENCE) == 0
    results = {f"mixed {n}": mixed_result(n) for n in range(RUNS)} | {f"long {n}": n + 2 for n in range(len(workers))}
    # Their own time is not to be compared with the server's.
    off = {line.pid for line in ledger.read(scene.ledger) if line.phase == "start"}
    assert scene.check(results=results, stopped=off)["approvals"] == RUNS
    assert len(off) == len(workers)
    assert scene.database.value("SELECT count(*) FROM agentflow_journal WHERE kind = 'recovered'") == 0
    span = "SELECT max(at) - min(at) FROM agentflow_journal"
    assert scene.database.value(span) < 3600 * 1_000_000, "somebody wrote down its own time"
    early = (
        "SELECT count(*) FROM agentflow_journal j JOIN agentflow_journal o ON o.run_id = j.run_id AND o.key = j.key "
        "WHERE j.kind = 'succeeded' AND j.operation = 'sleep' AND o.kind = 'wait_opened' AND j.at < o.at + 10000"
    )
    assert scene.database.value(early) == 0
