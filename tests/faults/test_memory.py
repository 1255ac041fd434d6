"""A step that takes more than there is: memory, or threads."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import pytest

from tests.crash.acts import perform
from tests.crash.programs import work
from tests.faults.programs import MEMORY, work_within
from tests.support import ledger
from tests.support.processes import offer, until

if TYPE_CHECKING:
    from tests.crash.scenes import Scene

HELD = "hold_a_thread_for_word#1"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limit on address space is Linux's")


def trigger(scene: Scene, task: str, given: dict[str, object]) -> None:
    with scene.start(perform, "trigger_with", task, given) as child:
        assert child.ended() == 0


def ended(scene: Scene, count: int) -> bool:
    return bool(scene.database.value("SELECT count(*) FROM agentflow_run WHERE finished_at IS NOT NULL") == count)


def test_a_step_that_runs_out_of_memory_fails_and_its_worker_goes_on(scene: Scene) -> None:
    trigger(scene, "swallows", {})
    with scene.start(work_within, MEMORY, {}) as worker:
        worker.hear()
        until(lambda: ended(scene, 1), "the step has failed")
        with scene.start(perform, "trigger_another", "short", 3) as child:
            assert child.ended() == 0
        until(lambda: ended(scene, 2), "the other run has ended in the same worker")
        assert worker.is_alive()
    [run] = scene.database.rows("SELECT * FROM agentflow_run WHERE task = 'swallows'")
    assert run["status"] == "failed"
    assert "builtins:MemoryError" in run["error"]
    assert run["recoveries"] == 0
    assert ledger.starts(scene.ledger)["swallow_memory#1"] == 1
    scene.check(results={"another": 4})


def test_a_run_whose_workers_the_kernel_kills_for_their_memory_is_put_aside(scene: Scene) -> None:
    """The kernel's killer sends SIGKILL: nothing in the process can say why."""
    with scene.start(perform, "trigger_poison", "killed") as child:
        assert child.ended() == 0
    for _ in range(3):
        with scene.start(work, {"max_recoveries": 2}) as worker:
            assert worker.ended() == -signal.SIGKILL
    with scene.start(work, {"max_recoveries": 2}) as worker:
        worker.hear()
        with scene.start(perform, "trigger_another", "short", 3) as child:
            assert child.ended() == 0
        until(lambda: ended(scene, 1), "the other run has ended")
    [poisoned] = scene.database.rows("SELECT * FROM agentflow_run WHERE task = 'poison'")
    assert poisoned["status"] == "needs_attention"
    assert "3 workers in a row were lost while they held this run" in poisoned["error"]
    scene.check(results={"another": 4})


def test_steps_that_hold_every_thread_hold_up_no_other_step_and_no_lease(scene: Scene) -> None:
    """They line up for a thread; what needs none goes on, and the heartbeat has one of its own."""
    words = [trigger_holder(scene, name) for name in ("one", "other")]
    lease = "SELECT lease_until FROM agentflow_worker"
    with scene.start(work_within, MEMORY * 4, {"threads": 1, "heartbeat_every": 0.15}) as worker:
        worker.hear()
        until(lambda: ledger.starts(scene.ledger)[HELD] == 1, "the one thread is taken")
        with scene.start(perform, "trigger_another", "short", 3) as child:
            assert child.ended() == 0
        until(lambda: ended(scene, 1), "the run that needs no thread has ended")
        since = scene.database.value(lease)
        until(lambda: scene.database.value(lease) > since, "the lease is renewed")
        assert ledger.starts(scene.ledger)[HELD] == 1
        until(lambda: [offer(word, "go on") for word in words] and ended(scene, 3), "both have had the thread")
    assert scene.database.rows("SELECT DISTINCT recoveries FROM agentflow_run") == [{"recoveries": 0}]
    scene.check(results={"another": 4})


def trigger_holder(scene: Scene, name: str) -> str:
    """The pipe by which a new run is told to give its thread back."""
    fifo = scene.fifo(name)
    with scene.start(perform, "trigger_keyed", "holds_a_thread_for_word", {"fifo": fifo}, name) as child:
        assert child.ended() == 0
    return fifo
