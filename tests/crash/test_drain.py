"""`agentflow worker` that is asked to stop: what it does is finished or handed back, and nothing is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.crash import programs
from tests.crash.acts import perform
from tests.crash.programs import see_through, work
from tests.crash.scenes import ON_BOTH
from tests.support import ledger
from tests.support.processes import PATIENCE, ROOT, say, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.crash.scenes import Scene

pytestmark = ON_BOTH

IN_HAND = "wait_for_word#1"


@contextmanager
def the_command(scene: Scene) -> Iterator[subprocess.Popen[str]]:
    """`agentflow worker`, with the long step of the run begun."""
    command = [sys.executable, "-m", "agentflow", "worker", str(Path(programs.__file__)), "--database", scene.url]
    environment = os.environ | {"PYTHONPATH": str(ROOT), ledger.VARIABLE: str(scene.ledger)}
    with subprocess.Popen(
        command, cwd=scene.folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as started:
        try:
            until(lambda: ledger.starts(scene.ledger)[IN_HAND] == 1, "the long step has begun")
            yield started
        finally:
            started.kill()


def ask_to_stop(scene: Scene, started: subprocess.Popen[str]) -> None:
    """Send SIGTERM, and return when it says that it has heard, and takes no more."""
    started.send_signal(signal.SIGTERM)
    assert started.stderr is not None
    line = "begin"
    while line and "letting runs come to rest" not in line:
        line = started.stderr.readline()
    assert line, "it ended without a word"
    draining = "SELECT count(*) FROM agentflow_worker WHERE draining_at IS NOT NULL"
    until(lambda: scene.database.value(draining) == 1, "it takes no more runs")


def a_long_run(scene: Scene) -> str:
    fifo = scene.fifo()
    with scene.start(perform, "trigger_with", "takes_long", {"fifo": fifo, "n": 3}) as child:
        assert child.ended() == 0
    return fifo


def finish(scene: Scene, fifo: str) -> None:
    with scene.start(see_through, "takes_long", {"fifo": fifo, "n": 3}) as last:
        assert last.hear() == "completed"
    scene.check(results={"the run": 5})


def test_sigterm_lets_the_step_in_hand_be_recorded_and_hands_the_run_back(scene: Scene) -> None:
    fifo = a_long_run(scene)
    with the_command(scene) as started:
        ask_to_stop(scene, started)
        say(fifo, "the end")
        assert started.wait(PATIENCE) == 0
    [run] = scene.database.everything()["run"]
    assert (run["status"], run["recoveries"], run["attempt"]) == ("queued", 0, 1)
    assert scene.database.value("SELECT count(*) FROM agentflow_worker") == 0
    scene.check()
    finish(scene, fifo)
    assert ledger.starts(scene.ledger) == {"add#1": 1, IN_HAND: 1, "add#2": 1}


def test_a_second_sigterm_ends_it_at_once_and_loses_nothing_recorded(scene: Scene) -> None:
    fifo = a_long_run(scene)
    with the_command(scene) as started:
        ask_to_stop(scene, started)
        started.send_signal(signal.SIGTERM)
        assert started.wait(PATIENCE) == 130
    with scene.start(work, {}) as other:
        until(lambda: ledger.starts(scene.ledger)[IN_HAND] == 2, "another worker has begun it anew")
        say(fifo, "the end")
        until(lambda: scene.database.value("SELECT finished_at FROM agentflow_run"), "the run has ended")
        other.send(signal.SIGTERM)
        assert other.ended() == 0
    scene.check(results={"the run": 5})
    assert ledger.starts(scene.ledger) == {"add#1": 1, IN_HAND: 2, "add#2": 1}


def test_a_step_that_outlasts_the_deadline_is_left_and_the_run_handed_back(scene: Scene) -> None:
    fifo = a_long_run(scene)
    with scene.start(work, {"drain_for": 0.2}) as first:
        until(lambda: ledger.starts(scene.ledger)[IN_HAND] == 1, "the long step has begun")
        first.send(signal.SIGTERM)
        until(lambda: scene.database.value("SELECT status FROM agentflow_run") == "queued", "it is handed back")
        say(fifo, "too late")
        assert first.ended() == 0
    [run] = scene.database.everything()["run"]
    assert (run["status"], run["recoveries"]) == ("queued", 0)
    assert scene.database.value("SELECT count(*) FROM agentflow_journal WHERE key = ?", IN_HAND) == 0
    with scene.start(work, {}):
        until(lambda: ledger.starts(scene.ledger)[IN_HAND] == 2, "another worker has begun it anew")
        say(fifo, "the end")
        until(lambda: scene.database.value("SELECT finished_at FROM agentflow_run"), "the run has ended")
    scene.check(results={"the run": 5})
