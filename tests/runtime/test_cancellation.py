"""Runs that are taken away: cancelled, handed back, or recovered by another worker."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from agentflow import RunCancelled, WorkerSettings, gather, sleep, step, task, wait_for_approval
from agentflow.errors import ApprovalWithdrawn, IllegalTransition
from agentflow.states import EntryKind
from agentflow.testing.worker import TestWorker
from tests.support.tasks import Ledger, entries, eventually, keys

if TYPE_CHECKING:
    from agentflow.testing import Harness
    from tests.runtime.conftest import OpenHarness

ledger = Ledger()
ATTENTIVE = WorkerSettings(lease_for=timedelta(days=3_650), heartbeat_every=timedelta(milliseconds=10))


@pytest.fixture(autouse=True)
def _empty_ledger() -> None:
    ledger.clear()


@step
async def noted(what: str) -> str:
    ledger.add(what)
    return what


class Gate:
    """A step that says when it has begun and goes on when it is told to."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.release = asyncio.Event()

    @step(name="held")
    async def hold(self) -> str:
        ledger.add("begun")
        self.begun.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            ledger.add("cancelled")
            raise
        return "released"


async def test_cancelling_a_waiting_run_withdraws_its_approval(harness: OpenHarness) -> None:
    @task
    async def waiting() -> None:
        try:
            await wait_for_approval({"x": 1})
        finally:
            await noted("cleanup")

    async with harness(waiting) as h:
        run = await h.trigger(waiting)
        approval = await h.only_approval(run)
        cancelled = await h.client.cancel(run.id, by="operator", reason="no longer wanted")
        assert cancelled.status == "cancelled"
        with pytest.raises(ApprovalWithdrawn):
            await h.approve(approval)
        with pytest.raises(RunCancelled):
            await h.result(run)
        [entry] = await entries(h, run, EntryKind.RUN_CANCELLED)
        assert entry.detail == "cancelled by operator: no longer wanted"
        with pytest.raises(IllegalTransition):
            await h.client.cancel(run.id, by="operator")
    assert not ledger


async def test_a_queued_run_that_is_cancelled_never_begins(harness: OpenHarness) -> None:
    @task
    async def later() -> None:
        await noted("begun")

    async with harness(later) as h:
        run = await h.client.trigger_json("later", {}, delay="1h")
        await h.client.cancel(run.id, by="operator")
        await h.advance("2h")
        assert await h.status(run) == "cancelled"
    assert not ledger


async def test_cancelling_a_running_run_cancels_its_step_and_records_nothing_more(harness: OpenHarness) -> None:
    gate = Gate()

    @task
    async def running() -> str:
        try:
            await noted("first")
            return await gate.hold()
        finally:
            ledger.add("finally")
            await noted("after")

    async with harness(running, settings=ATTENTIVE) as h:
        run = await h.trigger(running)
        await gate.begun.wait()
        before = ledger["finally"]
        await h.client.cancel(run.id, by="operator")
        await eventually(lambda: _has(ledger, "cancelled"))
        assert await h.status(run) == "cancelled"
        assert ledger["finally"] == before + 1
        assert await keys(h, run) == ["noted#1"]
    assert "after" not in ledger


async def _has(found: Ledger, effect: str) -> bool:
    return effect in found


async def test_a_sync_step_that_cannot_be_stopped_changes_nothing_after_its_run_was_cancelled(
    harness: OpenHarness,
) -> None:
    import threading

    begun, release, ended = threading.Event(), threading.Event(), threading.Event()

    @step
    def stubborn() -> str:
        begun.set()
        release.wait(10)
        ended.set()
        return "too late"

    @task
    async def running() -> str:
        return await stubborn()

    async with harness(running, settings=ATTENTIVE) as h:
        run = await h.trigger(running)
        await asyncio.to_thread(begun.wait, 10)
        await h.client.cancel(run.id, by="operator")
        release.set()
        await asyncio.to_thread(ended.wait, 10)
        assert await h.status(run) == "cancelled"
        assert await keys(h, run) == []


# -- stopping in order


async def test_a_stopping_worker_hands_back_at_the_next_checkpoint_and_another_goes_on(live: OpenHarness) -> None:
    gate = Gate()

    @task
    async def running() -> list[str]:
        return [await noted("first"), await gate.hold(), await noted("second")]

    async with live(running) as h:
        run = await h.trigger(running)
        await gate.begun.wait()
        stopping = asyncio.create_task(h.worker.stop())
        await eventually(lambda: _is_stopping(h))
        gate.release.set()
        await stopping
        found = await h.client.run(run.id)
        assert (found.status, found.worker_id) == ("queued", None)
        assert await keys(h, run) == ["noted#1", "held#1"]
        await h.restart()
        assert await h.result(run) == ["first", "released", "second"]
    assert ledger == {"first": 1, "begun": 1, "second": 1}


async def _is_stopping(h: Harness) -> bool:
    return h.worker._stopping


async def test_stopping_lets_every_branch_get_to_a_checkpoint_of_its_own(live: OpenHarness) -> None:
    left, right = Gate(), Gate()

    @task
    async def running() -> list[str]:
        return list(await gather(left.hold(), right.hold()))

    async with live(running, settings=WorkerSettings(drain_for=timedelta(seconds=60))) as h:
        run = await h.trigger(running)
        await left.begun.wait()
        await right.begun.wait()
        stopping = asyncio.create_task(h.worker.stop())
        await eventually(lambda: _is_stopping(h))
        left.release.set()
        await eventually(lambda: _recorded(h, run.id, 1))
        right.release.set()
        await stopping
        assert len(await keys(h, run)) == 2
        await h.restart()
        assert await h.result(run) == ["released", "released"]
    assert ledger == {"begun": 2}, "no step was cut off and done again"


async def _recorded(h: Harness, run_id: str, count: int) -> bool:
    return len(await keys(h, run_id)) >= count


async def test_a_step_that_does_not_end_in_time_is_cut_off_and_done_again_by_the_next_worker(
    live: OpenHarness,
) -> None:
    gate = Gate()

    @task
    async def running() -> list[str]:
        return [await noted("first"), await gate.hold()]

    async with live(running, settings=WorkerSettings(drain_for=timedelta(milliseconds=20))) as h:
        run = await h.trigger(running)
        await gate.begun.wait()
        await h.worker.stop()
        found = await h.client.run(run.id)
        assert (found.status, found.recoveries) == ("queued", 0), "stopping in order costs the run nothing"
        gate.release.set()
        await h.restart()
        assert await h.result(run) == ["first", "released"]
    assert ledger == {"first": 1, "begun": 2, "cancelled": 1}


async def test_a_crash_in_the_middle_of_a_step_repeats_that_step_only(harness: OpenHarness) -> None:
    gate = Gate()

    @task
    async def running() -> list[str]:
        return [await noted("first"), await gate.hold(), await noted("second")]

    async with harness(running) as h:
        run = await h.trigger(running)
        await gate.begun.wait()
        gate.release = asyncio.Event()
        gate.release.set()
        await h.crash()
        assert await h.result(run) == ["first", "released", "second"]
        assert len(await entries(h, run, EntryKind.RECOVERED)) == 1
        assert (await h.client.run(run.id)).recoveries == 1
    assert (ledger["first"], ledger["begun"], ledger["second"]) == (1, 2, 1)


# -- losing the lease


async def test_a_turn_that_lost_its_lease_changes_nothing_and_the_run_goes_on_elsewhere(live: OpenHarness) -> None:
    gate = Gate()

    @task
    async def running() -> list[str]:
        found = [await noted("first"), await gate.hold()]
        return [*found, await noted("second")]

    async with live(running) as h:
        run = await h.trigger(running)
        await gate.begun.wait()
        stale = h.worker
        await h.store.bury([stale.id])
        assert await h.store.sweep(limit=10, max_recoveries=5) == 1
        async with _another(h) as other:
            await eventually(lambda: _held_by(h, run.id, other.id))
            gate.release.set()
            run_now = await h.client.result(run.id, timeout=60)
        assert run_now.status == "completed"
        journal = await h.journal(run)
        assert [one.seq for one in journal] == list(range(1, len(journal) + 1))
        assert [one.key for one in journal if one.kind is EntryKind.SUCCEEDED] == ["noted#1", "held#1", "noted#2"]
        assert run_now.recoveries == 1
    assert ledger["first"] == 1
    assert ledger["second"] == 1


async def _held_by(h: Harness, run_id: str, worker_id: str) -> bool:
    return (await h.client.run(run_id)).worker_id == worker_id and ledger["begun"] == 2


class _another:  # noqa: N801  reads as a phrase: `async with _another(h) as other`
    """A second worker on the harness's store."""

    def __init__(self, h: Harness) -> None:
        self.worker = TestWorker(h.store, h.app.catalog, ATTENTIVE, h.clock, replay_always=False)

    async def __aenter__(self) -> TestWorker:
        await self.worker.start()
        return self.worker

    async def __aexit__(self, *exc: object) -> None:
        await self.worker.stop()


async def test_a_worker_that_lost_its_lease_comes_back_as_a_new_one(live: OpenHarness) -> None:
    @task
    async def quick(n: int) -> int:
        return n

    async with live(quick, settings=ATTENTIVE) as h:
        before = h.worker.id
        await h.store.bury([before])
        await eventually(lambda: _is_new(h, before))
        assert await h.run(quick, 3) == 3


async def _is_new(h: Harness, before: str) -> Any:
    return h.worker.id != before and [one for one in await h.client.workers() if one.id == h.worker.id]


async def test_a_run_whose_workers_keep_dying_waits_for_a_person(live: OpenHarness) -> None:
    gate = Gate()

    @task
    async def killing() -> str:
        return await gate.hold()

    patience = WorkerSettings(lease_for=timedelta(days=3_650), max_recoveries=2)
    async with live(killing, settings=patience) as h:
        run = await h.trigger(killing)
        for _ in range(3):
            await gate.begun.wait()
            gate.begun.clear()
            await h.crash()
        assert await h.status(run) == "needs_attention"
        assert "3 workers in a row were lost" in await h.why(run)
        gate.release.set()
        await h.client.resume(run.id, by="operator")
        assert await h.result(run) == "released"


async def test_sleeping_and_waiting_runs_are_not_recovered_because_nobody_holds_them(harness: OpenHarness) -> None:
    @task
    async def sleeping() -> None:
        await sleep("1d")

    async with harness(sleeping) as h:
        run = await h.trigger(sleeping)
        await h.until_idle()
        await h.crash()
        await h.advance("1d")
        await h.result(run)
        assert (await h.client.run(run.id)).recoveries == 0
