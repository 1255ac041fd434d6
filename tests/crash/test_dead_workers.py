"""Workers that are gone: whose runs are recovered at once, whose only after the lease, and what kills its worker."""

from __future__ import annotations

import os
import signal
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from agentflow import AgentFlow
from agentflow.requests import ClaimRuns
from agentflow.testing import FakeClock
from agentflow.worker import Worker, hosts
from tests.crash.acts import perform
from tests.crash.programs import TASKS, see_through, settings, short, work
from tests.crash.scenes import ON_BOTH
from tests.support import ledger
from tests.support.processes import say, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from agentflow.records import Run
    from tests.crash.scenes import Scene

pytestmark = ON_BOTH

ELSEWHERE = "another-host:00000000:pid"


def test_runs_of_a_process_that_died_on_this_host_are_recovered_at_once(scene: Scene) -> None:
    """Nobody waits for the lease, which is ten minutes long."""
    with scene.start(see_through, "short", {"n": 3}, kill="append.inside=kill") as first:
        assert first.ended() == -signal.SIGKILL
    [run] = scene.database.everything()["run"]
    assert (run["status"], run["epoch"]) == ("running", 1)
    with scene.start(see_through, "short", {"n": 3}) as second:
        assert second.hear() == "completed"
    [run] = scene.database.everything()["run"]
    assert (run["epoch"], run["recoveries"]) == (2, 1)
    assert run["finished_at"] - run["created_at"] < 60_000_000


def test_a_worker_whose_process_was_killed_loses_nothing_to_one_that_never_stopped(scene: Scene) -> None:
    """A second worker, already running, takes the runs over when the dead one's lease is over."""
    leases = {"lease_for": 9.0, "heartbeat_every": 0.15}  # they look for what is lost three times in a lease
    with scene.start(work, leases) as first, scene.start(work, leases) as second:
        ids = {first: first.hear(), second: second.hear()}
        fifo = scene.fifo()
        with scene.start(perform, "trigger_with", "takes_long", {"fifo": fifo, "n": 3}) as caller:
            assert caller.ended() == 0
        until(lambda: ledger.starts(scene.ledger)["wait_for_word#1"] == 1, "one of them has begun")
        holders = {line.pid for line in ledger.read(scene.ledger)}
        victim = first if first.pid in holders else second
        assert victim.kill() == -signal.SIGKILL
        scene.let_lapse(ids[victim])
        until(lambda: ledger.starts(scene.ledger)["wait_for_word#1"] == 2, "the other one has begun anew")
        say(fifo, "go on")
        until(lambda: scene.database.value("SELECT output FROM agentflow_run") == "5", "the run has ended")
    scene.check(results={"the run": 5})
    assert ledger.starts(scene.ledger) == {"add#1": 1, "wait_for_word#1": 2, "add#2": 1}


@dataclass(frozen=True, slots=True)
class Held:
    """A run that a worker holds of which no more is known than its row says."""

    app: AgentFlow
    clock: FakeClock
    run_id: str

    async def now(self) -> Run:
        return await self.app.client.run(self.run_id)


@asynccontextmanager
async def held_by(scene: Scene, *, host: str, pid: int, started: str) -> AsyncIterator[Held]:
    clock = FakeClock()
    async with AgentFlow(*TASKS, database=scene.url, worker=False, clock=clock) as app:
        one = await app.client.trigger(short, 3)
        other = await app.store.register_worker(host=host, pid=pid, started=started, lease_for=timedelta(minutes=1))
        await app.store.claim(ClaimRuns(worker_id=other.id, tasks=["short"], limit=1))
        yield Held(app, clock, one.id)


@asynccontextmanager
async def a_worker(held: Held) -> AsyncIterator[Worker]:
    worker = Worker(held.app.store, held.app.catalog, settings(), held.clock)
    async with AsyncExitStack() as started:
        await worker.start()
        started.push_async_callback(worker.stop)
        yield worker


@pytest.fixture
def _in_this_process(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ledger.VARIABLE, str(scene.ledger))


@pytest.mark.usefixtures("_in_this_process")
async def test_a_living_process_on_this_host_keeps_its_runs_until_the_lease_is_over(scene: Scene) -> None:
    me = {"host": hosts.host(), "pid": os.getpid(), "started": hosts.started(os.getpid())}
    async with held_by(scene, **me) as held:
        async with a_worker(held) as worker:
            await worker.until_idle()
            assert (await held.now()).status == "running"
        held.clock.advance("61s")
        async with a_worker(held):
            assert (await held.app.client.result(held.run_id)).output == "4"
        assert (await held.now()).epoch == 2


@pytest.mark.usefixtures("_in_this_process")
async def test_a_process_id_that_was_given_to_another_process_does_not_keep_a_dead_worker_alive(scene: Scene) -> None:
    reused = {"host": hosts.host(), "pid": os.getpid(), "started": "1"}
    async with held_by(scene, **reused) as held, a_worker(held):
        ended = await held.app.client.result(held.run_id)
        assert (ended.output, ended.epoch, ended.recoveries) == ("4", 2, 1)


@pytest.mark.usefixtures("_in_this_process")
async def test_what_runs_on_another_host_is_left_to_it_until_the_lease_is_over(scene: Scene) -> None:
    """Its process id means nothing here: no process of this number lives on this host."""
    with scene.start(perform, "open_and_close") as dead:
        gone = dead.pid
        assert dead.ended() == 0
    async with held_by(scene, host=ELSEWHERE, pid=gone, started="1") as held, a_worker(held) as worker:
        await worker.until_idle()
        assert (await held.now()).status == "running"
        held.clock.advance("4m")  # past the other's lease and this one's next look, before the end of its own lease
        ended = await held.app.client.result(held.run_id)
        assert (ended.output, ended.epoch, ended.recoveries) == ("4", 2, 1)


# -- runs that kill


@pytest.mark.parametrize(("how", "code"), [("exit", 7), ("segfault", -signal.SIGSEGV)])
def test_a_run_that_kills_its_workers_is_put_aside_and_the_others_go_on(how: str, code: int, scene: Scene) -> None:
    with scene.start(perform, "see_it_park", "asks", 3) as child:
        assert child.ended() == 0
    with scene.start(perform, "trigger_poison", how) as child:
        assert child.ended() == 0
    for _ in range(3):
        with scene.start(work, {"max_recoveries": 2}) as worker:
            assert worker.ended() == code
    with scene.start(work, {"max_recoveries": 2}) as worker:
        worker.hear()
        for act in (("decide",), ("trigger_another", "short", 3)):
            with scene.start(perform, *act) as child:
                assert child.ended() == 0
        until(lambda: scene.database.value(COMPLETED) == 2, "the other runs have ended")
    [poisoned] = scene.database.rows("SELECT * FROM agentflow_run WHERE task = 'poison'")
    assert poisoned["status"] == "needs_attention"
    assert "3 workers in a row were lost while they held this run" in poisoned["error"]
    assert ledger.starts(scene.ledger)["die#1"] == 3
    scene.check(results={"the run": {"outcome": "approved", "total": 4}, "another": 4})


COMPLETED = "SELECT count(*) FROM agentflow_run WHERE status = 'completed'"


def test_crashes_between_which_a_run_got_on_do_not_add_up(scene: Scene) -> None:
    """A run is put aside for killing workers in a row, not for having lived through many of their deaths."""

    patience = {"max_recoveries": 1}
    with scene.start(perform, "trigger_one", "asks", 3) as child:
        assert child.ended() == 0
    with scene.start(work, patience, kill="append.before=kill") as first:
        assert first.ended() == -signal.SIGKILL
    with scene.start(work, patience) as second:
        until(lambda: scene.database.value("SELECT status FROM agentflow_run") == "waiting", "the run waits")
        assert second.kill() == -signal.SIGKILL
    with scene.start(perform, "decide") as child:
        assert child.ended() == 0
    with scene.start(work, patience, kill="finish.before=kill") as third:
        assert third.ended() == -signal.SIGKILL
    with scene.start(work, patience):
        until(lambda: scene.database.value("SELECT finished_at FROM agentflow_run"), "the run has ended")
    scene.check(results={"the run": {"outcome": "approved", "total": 4}})
