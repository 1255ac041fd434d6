"""Runs that people pause, resume, have tried again and fork, seen from the task's side."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from agentflow import Retry, RunFailed, Undo, WorkerSettings, gather, sleep, step, task, wait_for_approval
from agentflow.requests import RunFilter
from agentflow.states import EntryKind
from tests.support.tasks import Invoice, Ledger, entries, eventually, keys

if TYPE_CHECKING:
    from agentflow.testing import Harness
    from tests.runtime.conftest import OpenHarness

ledger = Ledger()
SETTINGS = WorkerSettings(lease_for=timedelta(days=3_650), drain_for=timedelta(seconds=10))


@pytest.fixture(autouse=True)
def _empty_ledger() -> None:
    ledger.clear()


@step
async def noted(what: str) -> str:
    ledger.add(what)
    return what


@step
async def flaky(what: str) -> str:
    if ledger.add(what) == 1:
        raise ValueError(f"{what} failed")
    return what


@step
async def invoice(number: str) -> Invoice:
    ledger.add(f"invoice {number}")
    return Invoice(number=number, total=10)


class Gate:
    """A step that is to run at most once, says when it has begun and goes on when it is told to."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.release = asyncio.Event()

    @step(name="held", effect="at_most_once")
    async def hold(self) -> str:
        ledger.add("held")
        self.begun.set()
        await self.release.wait()
        return "released"


async def _is(h: Harness, run: Any, status: str) -> bool:
    return (await h.client.run(run.id)).status == status


# -- pausing


async def test_a_pause_lets_each_branch_reach_a_checkpoint_and_nothing_is_done_twice(live: OpenHarness) -> None:
    left, right = Gate(), Gate()

    @task
    async def running() -> list[str]:
        found = list(await gather(left.hold(), right.hold()))
        return [*found, await noted("after")]

    async with live(running, settings=SETTINGS) as h:
        run = await h.trigger(running)
        await left.begun.wait()
        await right.begun.wait()
        marked = await h.client.pause(run.id, by="mia", reason="month's end")
        assert marked.status == "running"
        assert "at its next checkpoint it is paused by mia: month's end" in await h.why(run)
        await eventually(lambda: _is_stopping(h, run.id))
        left.release.set()
        await eventually(lambda: _recorded(h, run, 1))
        right.release.set()
        await eventually(lambda: _is(h, run, "paused"))
        assert sorted(await keys(h, run)) == ["gather#1[0]/held#1", "gather#1[1]/held#1"]
        assert await h.why(run) == "paused by mia: month's end; it goes on when somebody resumes it"
        await h.client.resume(run.id, by="mia")
        assert await h.result(run) == ["released", "released", "after"]
    assert ledger == {"held": 2, "after": 1}


async def _is_stopping(h: Harness, run_id: str) -> bool:
    return h.worker._turns[run_id][0].is_stopping


async def _recorded(h: Harness, run: Any, count: int) -> bool:
    return len(await keys(h, run)) >= count


async def test_a_paused_run_is_approved_and_goes_on_when_it_is_resumed(harness: OpenHarness) -> None:
    @task
    async def asking() -> str:
        await noted("before")
        return (await wait_for_approval("go?")).outcome

    async with harness(asking) as h:
        run = await h.trigger(asking)
        approval = await h.only_approval(run)
        await h.client.pause(run.id, by="mia")
        await h.approve(approval)
        assert await h.status(run) == "paused"
        await h.restart()
        assert await h.status(run) == "paused"
        await h.client.resume(run.id, by="mia")
        assert await h.result(run) == "approved"
    assert ledger == {"before": 1}


async def test_a_sleep_that_ended_during_a_pause_is_over_and_one_that_did_not_goes_on(harness: OpenHarness) -> None:
    @task
    async def sleeping() -> str:
        await sleep("1h")
        await sleep("2h")
        return "awake"

    async with harness(sleeping) as h:
        run = await h.trigger(sleeping)
        await h.until_idle()
        await h.client.pause(run.id, by="mia")
        await h.advance("90m")
        assert await h.status(run) == "paused"
        await h.client.resume(run.id, by="mia")
        assert await h.status(run) == "waiting"
        await h.advance("1h")
        await h.client.pause(run.id, by="mia")
        await h.client.resume(run.id, by="mia")
        assert await h.status(run) == "waiting"
        await h.advance("1h")
        assert await h.result(run) == "awake"


async def test_a_run_undoing_its_steps_can_be_paused_in_between(harness: OpenHarness) -> None:
    def take_back(what: str) -> None:
        if ledger.add(f"back {what}") == 1:
            raise ValueError("not now")

    @step(undo=Undo(take_back, retry=Retry(max_attempts=2, min_delay="1h")))
    async def put(what: str) -> None:
        ledger.add(what)

    @task
    async def trip() -> None:
        await put("a")
        await wait_for_approval("go?")

    async with harness(trip) as h:
        run = await h.trigger(trip)
        await h.only_approval(run)
        await h.client.cancel(run.id, by="mia")
        assert await h.status(run) == "waiting"
        await h.client.pause(run.id, by="tom")
        await h.advance("2h")
        assert await h.status(run) == "paused"
        assert "be cancelled once its steps are undone (cancelled by mia); paused by tom" in await h.why(run)
        await h.client.resume(run.id, by="tom")
        assert await h.status(run) == "cancelled"
    assert ledger == {"a": 1, "back a": 2}


# -- in doubt


@pytest.mark.parametrize("given", [True, False])
async def test_a_step_in_doubt_is_given_its_output_or_runs_again(harness: OpenHarness, given: bool) -> None:
    gate = Gate()

    @task
    async def running() -> str:
        return await gate.hold()

    async with harness(running) as h:
        run = await h.trigger(running)
        await gate.begun.wait()
        await h.crash()
        assert await h.status(run) == "needs_attention"
        gate.release.set()
        if given:
            await h.client.resume(run.id, by="mia", output="seen in the bank's list")
            assert await h.result(run) == "seen in the bank's list"
        else:
            await h.client.resume(run.id, by="mia")
            assert await h.result(run) == "released"
    assert ledger["held"] == (1 if given else 2)


async def test_a_resume_after_a_later_pause_does_not_run_the_doubtful_step_a_third_time(harness: OpenHarness) -> None:
    gate = Gate()

    @task
    async def running() -> str:
        return await gate.hold()

    async with harness(running) as h:
        run = await h.trigger(running)
        await gate.begun.wait()
        await h.crash()
        assert await h.status(run) == "needs_attention"
        gate.begun.clear()
        await h.client.resume(run.id, by="mia")
        await gate.begun.wait()
        await h.client.pause(run.id, by="mia")
        await h.crash()
        assert await h.status(run) == "paused"
        await h.client.resume(run.id, by="mia")
        assert await h.status(run) == "needs_attention", "it was begun again, and again its end is not known"
    assert ledger["held"] == 2


# -- trying again


async def test_a_retry_goes_on_from_the_operation_that_failed(harness: OpenHarness) -> None:
    @task
    async def working() -> list[str]:
        return [await noted("one"), await flaky("two"), await noted("three")]

    async with harness(working) as h:
        run = await h.trigger(working)
        with pytest.raises(RunFailed):
            await h.result(run)
        again = await h.client.retry(run.id, by="mia")
        assert again.attempt == 2
        assert await h.result(run) == ["one", "two", "three"]
    assert ledger == {"one": 1, "two": 2, "three": 1}


async def test_a_retry_in_a_branch_keeps_what_the_other_branches_recorded(harness: OpenHarness) -> None:
    @task
    async def working() -> list[str]:
        return list(await gather(noted("left"), flaky("right")))

    async with harness(working) as h:
        run = await h.trigger(working)
        assert await h.status(run) == "failed"
        await h.client.retry(run.id, by="mia")
        assert await h.result(run) == ["left", "right"]
    assert ledger == {"left": 1, "right": 2}


async def test_a_cancelled_run_that_is_retried_asks_its_question_anew(harness: OpenHarness) -> None:
    @task
    async def asking() -> str:
        await noted("before")
        await sleep("1h")
        return (await wait_for_approval("go?")).outcome

    async with harness(asking) as h:
        run = await h.trigger(asking)
        await h.until_idle()
        await h.client.cancel(run.id, by="mia")
        await h.client.retry(run.id, by="mia")
        assert await h.status(run) == "waiting"
        await h.advance("1h")
        first = await h.only_approval(run)
        await h.client.cancel(run.id, by="mia")
        await h.client.retry(run.id, by="mia")
        second = await h.only_approval(run)
        assert first.id != second.id
        await h.approve(second)
        assert await h.result(run) == "approved"
    assert ledger == {"before": 1}


async def test_a_retried_parent_waits_again_for_the_child_that_ended_with_it(harness: OpenHarness) -> None:
    @task
    async def child() -> str:
        return str((await wait_for_approval("child?")).outcome)

    @task
    async def parent() -> list[str]:
        return list(await gather(child.trigger_and_wait(), flaky("beside")))

    async with harness(parent, child) as h:
        run = await h.trigger(parent)
        assert await h.status(run) == "failed"
        assert await h.approvals() == []
        await h.client.retry(run.id, by="mia")
        await h.approve(await h.only_approval())
        assert await h.result(run) == ["approved", "beside"]
        assert len((await h.client.runs(parent_id=run.id)).items) == 1


# -- many at once


async def test_many_runs_are_steered_by_a_filter_after_a_dry_run(harness: OpenHarness) -> None:
    @task
    async def asking(n: int) -> str:
        return (await wait_for_approval(n)).outcome

    @task
    async def another() -> None:
        await wait_for_approval("another?")

    async with harness(asking, another) as h:
        runs = [await h.trigger(asking, n) for n in range(3)]
        other = await h.trigger(another)
        await h.until_idle()
        mine = RunFilter(task="asking")
        report = await h.client.pause_many(mine, by="mia", dry_run=True)
        assert (report.dry_run, sorted(report.done), report.refused) == (True, sorted(one.id for one in runs), {})
        assert {await h.status(one) for one in runs} == {"waiting"}
        await h.client.cancel(runs[0].id, by="mia")
        report = await h.client.pause_many(RunFilter(task="asking", statuses=["waiting", "cancelled"]), by="mia")
        assert sorted(report.done) == sorted(one.id for one in runs[1:])
        assert list(report.refused) == [runs[0].id]
        assert "is cancelled; it cannot be paused" in report.refused[runs[0].id]
        assert len((await h.client.resume_many(mine, by="mia")).done) == 2
        assert len((await h.client.cancel_many(mine, by="mia")).done) == 2
        assert len((await h.client.retry_many(mine, by="mia", dry_run=True)).done) == 3
        assert await h.status(other) == "waiting"


async def test_an_abandoned_child_outlives_its_parent(harness: OpenHarness) -> None:
    @task
    async def child() -> str:
        await wait_for_approval("child?")
        return await noted("child")

    @task
    async def parent() -> None:
        await child.options(on_parent_close="abandon").trigger()
        await child.trigger()
        await flaky("then")

    async with harness(parent, child) as h:
        run = await h.trigger(parent)
        assert await h.status(run) == "failed"
        left = await h.only_approval()
        await h.approve(left)
        assert await h.status(left.run_id) == "completed"
        children = (await h.client.runs(parent_id=run.id)).items
        [closed] = [one for one in children if one.id != left.run_id]
        [end] = await entries(h, closed, EntryKind.RUN_CANCELLED)
        assert end.detail == f"cancelled by parent {run.id}"
