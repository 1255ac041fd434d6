"""Workers that stand still longer than their lease, and come to again after another has gone on."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from tests.crash.acts import perform
from tests.crash.programs import work
from tests.crash.scenes import ON_BOTH
from tests.support import ledger
from tests.support.processes import offer, say, until

if TYPE_CHECKING:
    from tests.crash.scenes import Scene
    from tests.support.processes import Child

pytestmark = ON_BOTH

LATE = "of the zombie"
WATCHFUL = {"heartbeat_every": 0.15}
"""Its lease outlasts every test, and is over when the test says so: a busy machine takes nobody's."""
SHORT = 6.0
"""Seconds of a lease that a test waits out."""


def stop_between_writes(scene: Scene, child: Child) -> None:
    """Stop it where it does not hold the file's one write lock, which nobody could take from it."""

    def stopped() -> bool:
        child.stop()
        return is_between_writes(scene, child)

    until(stopped, "the worker stands still without the lock")


def is_between_writes(scene: Scene, child: Child) -> bool:
    """Whether it stands still without the lock; where it stands still with it, it may go on with its write."""
    if not child.is_stopped():
        return False
    if not scene.database.is_writable():
        child.send(signal.SIGCONT)
        return False
    return True


def wake(scene: Scene, child: Child) -> None:
    """Let a worker go on that stands still, in a step or anywhere."""
    scene.release()
    child.send(signal.SIGCONT)


def trigger(scene: Scene, task: str, n: int) -> None:
    with scene.start(perform, "trigger_one", task, n) as child:
        assert child.ended() == 0


def until_ended(scene: Scene, runs: int) -> None:
    ended = "SELECT count(*) FROM agentflow_run WHERE status IN ('completed', 'failed', 'needs_attention')"
    until(lambda: scene.database.value(ended) == runs, f"{runs} runs have ended")


def worker_of(scene: Scene, child: Child) -> str:
    found: str = scene.database.value("SELECT max(id) FROM agentflow_worker WHERE pid = ?", child.pid) or ""
    return found


def test_a_worker_stopped_past_its_lease_changes_nothing_and_comes_back_as_a_new_one(scene: Scene) -> None:
    """It is stopped between the effect of a step and its record: the effect comes twice under one idempotency key."""
    trigger(scene, "stopped_after_its_effect", 3)
    with scene.start(work, WATCHFUL) as zombie:
        first_id = zombie.hear()
        until(lambda: is_between_writes(scene, zombie), "the worker stands still after its effect")
        scene.let_lapse(first_id)
        with scene.start(work, WATCHFUL) as other:
            other.hear()
            until_ended(scene, 1)
            other.send(signal.SIGTERM)
            assert other.ended() == 0
        finished = scene.database.everything()
        wake(scene, zombie)
        until(lambda: worker_of(scene, zombie) > first_id, "it comes back as a new worker")
        assert scene.database.everything() == finished
        trigger_another(scene)
        until_ended(scene, 2)
        latest = [line for line in ledger.read(scene.ledger) if line.phase == "start"][-1]
        assert latest.pid == zombie.pid, "it goes on working"
        zombie.send(signal.SIGTERM)
        assert zombie.ended() == 0
    assert [row for row in scene.database.everything()["journal"] if row["run_id"] == finished["run"][0]["id"]] == (
        finished["journal"]
    )
    assert scene.check(results={"the run": 4, "another": 4})["runs"] == 2
    effects = [line for line in ledger.read(scene.ledger) if line.phase.startswith("effect")]
    assert len(effects) == 2
    assert {line.phase for line in effects} == {f"effect {effects[0].run}:stop_the_first_time#1"}
    assert [line.epoch for line in effects] == [1, 2]


def trigger_another(scene: Scene) -> None:
    with scene.start(perform, "trigger_another", "short", 3) as child:
        assert child.ended() == 0


def test_a_worker_stopped_in_the_middle_of_a_body_cannot_record_it_later(scene: Scene) -> None:
    fifo = scene.fifo()
    with scene.start(perform, "trigger_with", "takes_long", {"fifo": fifo, "n": 3}) as child:
        assert child.ended() == 0
    with scene.start(work, WATCHFUL) as zombie:
        first_id = zombie.hear()
        until(lambda: ledger.starts(scene.ledger)["wait_for_word#1"] == 1, "the long step has begun")
        stop_between_writes(scene, zombie)
        scene.let_lapse(first_id)
        with scene.start(work, WATCHFUL) as other:
            other.hear()
            until(lambda: ledger.starts(scene.ledger)["wait_for_word#1"] == 2, "another worker has begun it too")
            say(fifo, "of the other")
            until_ended(scene, 1)
            finished = scene.database.everything()
            zombie.send(signal.SIGCONT)
            until(lambda: offer(fifo, LATE) or worker_of(scene, zombie) > first_id, "its body gets word, or is left")
            until(lambda: worker_of(scene, zombie) > first_id, "it comes back as a new worker")
        zombie.send(signal.SIGTERM)
        until(lambda: offer(fifo, LATE) or not zombie.is_alive(), "nothing of it is left waiting")
        assert zombie.ended() == 0
    assert scene.database.everything() == finished
    scene.check(results={"the run": 5})
    [run] = finished["run"]
    assert (run["epoch"], run["recoveries"]) == (2, 1)


def test_a_worker_that_comes_to_while_another_is_at_the_same_step_cannot_record_its_own_result(scene: Scene) -> None:
    """The run is running, but not for this worker: only the epoch tells them apart."""
    fifo = scene.fifo()
    with scene.start(perform, "trigger_with", "two_at_once", {"fifo": fifo}) as child:
        assert child.ended() == 0
    with scene.start(work, WATCHFUL) as late:
        first_id = late.hear()
        until(lambda: is_between_writes(scene, late), "the worker stands still in the step")
        scene.let_lapse(first_id)
        with scene.start(work, WATCHFUL):
            until(lambda: ledger.starts(scene.ledger)["stop_then_wait#1"] == 2, "another worker is at the same step")
            wake(scene, late)
            until(lambda: worker_of(scene, late) > first_id, "the late one comes back as a new worker")
            assert scene.database.value("SELECT status FROM agentflow_run") == "running"
            say(fifo, "of the one in time")
            until_ended(scene, 1)
    scene.check(results={"the run": "of the one in time"}, recovered=False)


def test_a_worker_given_up_for_dead_takes_no_run_before_it_is_a_new_one(scene: Scene) -> None:
    with scene.start(work, WATCHFUL) as zombie:
        first_id = zombie.hear()
        stop_between_writes(scene, zombie)
        scene.let_lapse(first_id)
        with scene.start(work, WATCHFUL) as other:
            other.hear()
            until(lambda: not worker_of(scene, zombie), "it is given up for dead")
            other.send(signal.SIGTERM)
            assert other.ended() == 0
        trigger(scene, "short", 3)
        zombie.send(signal.SIGCONT)
        until_ended(scene, 1)
        zombie.send(signal.SIGTERM)
        assert zombie.ended() == 0
    [run] = scene.database.everything()["run"]
    assert (run["epoch"], run["recoveries"]) == (1, 0), "no turn of it was lost"
    scene.check(results={"the run": 4})


def test_an_answer_that_came_while_nobody_could_hear_it_is_found_when_the_run_parks(scene: Scene) -> None:
    word, block = scene.fifo("word"), scene.fifo("block")
    with scene.start(perform, "trigger_with", "asks_while_deaf", {"word": word, "block": block}) as child:
        assert child.ended() == 0
    with scene.start(work, {}) as worker:
        until(lambda: scene.database.value("SELECT count(*) FROM agentflow_approval"), "the run has asked")
        say(word, "be deaf")
        until(lambda: ledger.starts(scene.ledger)["gather#1[1]/deaf#1/block_the_loop#1"], "the loop is blocked")
        with scene.start(perform, "decide") as child:
            assert child.ended() == 0
        say(block, "hear again")
        until_ended(scene, 1)
        worker.send(signal.SIGTERM)
        assert worker.ended() == 0
    scene.check(results={"the run": [{"outcome": "approved", "total": 4}, "hear again"]})


def test_a_run_that_was_cancelled_while_its_worker_could_not_hear_it_stays_as_it_was_cancelled(scene: Scene) -> None:
    fifo = scene.fifo()
    with scene.start(perform, "trigger_with", "blocks", {"fifo": fifo}) as child:
        assert child.ended() == 0
    with scene.start(work, {}) as worker:
        until(lambda: ledger.starts(scene.ledger)["block_the_loop#1"], "the loop is blocked")
        with scene.start(perform, "cancel") as child:
            assert child.ended() == 0
        cancelled = scene.database.everything()
        say(fifo, "too late")
        worker.send(signal.SIGTERM)
        assert worker.ended() == 0
    assert scene.database.everything() == cancelled
    scene.check()
    assert cancelled["run"][0]["status"] == "cancelled"


def test_code_that_blocks_the_event_loop_past_the_lease_keeps_the_run(scene: Scene) -> None:
    """The heartbeat is a thread's own affair; another worker that looks for lapsed leases finds none."""
    fifo = scene.fifo()
    with scene.start(perform, "trigger_with", "blocks", {"fifo": fifo}) as child:
        assert child.ended() == 0
    leases = WATCHFUL | {"lease_for": SHORT}
    with scene.start(work, leases) as blocked:
        first_id = blocked.hear()
        until(lambda: ledger.starts(scene.ledger)["block_the_loop#1"] == 1, "the loop is blocked")
        lease = "SELECT lease_until FROM agentflow_worker WHERE id = ?"
        at_first = scene.database.value(lease, first_id)
        with scene.start(work, leases) as other:
            other.hear()
            a_lease_later = at_first + int(SHORT * 1_000_000)  # what it had is over then
            until(lambda: (scene.database.value(lease, first_id) or 0) > a_lease_later, "a lease has passed")
        say(fifo, "go on")
        until_ended(scene, 1)
        blocked.send(signal.SIGTERM)
        assert blocked.ended() == 0
    scene.check(results={"the run": "go on"})
    [run] = scene.database.everything()["run"]
    assert (run["epoch"], run["recoveries"]) == (1, 0)
    assert ledger.starts(scene.ledger) == {"block_the_loop#1": 1}
