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

from tests.crash import programs
from tests.crash.programs import call_and_decide, mixed_result
from tests.support import ledger
from tests.support.processes import ROOT, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.crash.scenes import ServerScene

LIBRARIES = "/usr/lib/*/faketime/libfaketimeMT.so.1"
RUNS = 9


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
    command = [sys.executable, "-m", "agentflow", "worker", str(Path(programs.__file__)), "--database", scene.url]
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        ledger.VARIABLE: str(scene.ledger),
        "LD_PRELOAD": library,
        "FAKETIME": by,
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "AGENTFLOW_LEASE_FOR": "3s",
        "AGENTFLOW_HEARTBEAT_EVERY": "300ms",
    }
    with subprocess.Popen(command, cwd=scene.folder, env=environment, stderr=subprocess.PIPE) as started:
        try:
            yield started
        finally:
            started.kill()


def test_workers_whose_hosts_clocks_are_a_day_off_neither_rob_each_other_nor_fire_early(
    scene: ServerScene, library: str
) -> None:
    """F30: leases, timers and what is written down are by the server's clock."""
    with ExitStack() as running:
        workers = [running.enter_context(worker_whose_clock_is_off(scene, library, by)) for by in ("-1d", "+1d", "+0d")]
        known = "SELECT count(*) FROM agentflow_worker"
        until(lambda: scene.database.value(known) == len(workers), "the workers are there")
        caller = running.enter_context(scene.start(call_and_decide, list(range(RUNS))))
        assert caller.ended() == 0
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(20) == 0
    results = {f"mixed {n}": mixed_result(n) for n in range(RUNS)}
    off = {line.pid for line in ledger.read(scene.ledger)}  # their own time is not to be compared with the server's
    assert scene.check(results=results, stopped=off)["approvals"] == RUNS
    assert len(off) >= 2, "one of them did it all"
    assert scene.database.value("SELECT count(*) FROM agentflow_journal WHERE kind = 'recovered'") == 0
    span = "SELECT max(at) - min(at) FROM agentflow_journal"
    assert scene.database.value(span) < 120 * 1_000_000, "somebody wrote down its own time"
    early = (
        "SELECT count(*) FROM agentflow_journal j JOIN agentflow_journal o ON o.run_id = j.run_id AND o.key = j.key "
        "WHERE j.kind = 'succeeded' AND j.operation = 'sleep' AND o.kind = 'wait_opened' AND j.at < o.at + 10000"
    )
    assert scene.database.value(early) == 0
