"""Retries of a whole task: what went well stays, what was handled stays, what escaped runs again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from agentflow import Retry, RunFailed, gather, sleep, step, task, wait_for_approval
from agentflow.errors import RunTimedOut
from agentflow.states import EntryKind
from tests.support.tasks import Declined, Flaky, Ledger, entries, keys

if TYPE_CHECKING:
    from tests.runtime.conftest import OpenHarness

THRICE = Retry(max_attempts=3, min_delay=0)
SLOWLY = Retry(max_attempts=3, min_delay="1h")

ledger = Ledger()


@pytest.fixture(autouse=True)
def _empty_ledger() -> None:
    ledger.clear()


@step
async def good(name: str) -> str:
    ledger.add(name)
    return name


@step
async def flaky(name: str, tries: int = 3) -> str:
    if ledger.add(name) < tries:
        raise Flaky(name)
    return name


@step
async def bad(name: str) -> None:
    ledger.add(name)
    raise Declined(name)


async def test_only_the_operation_whose_failure_escaped_runs_again(harness: OpenHarness) -> None:
    @task(retry=THRICE)
    async def trying() -> list[str]:
        return [await good("before"), await flaky("flaky"), await good("after")]

    async with harness(trying) as h:
        run = await h.trigger(trying)
        assert await h.result(run) == ["before", "flaky", "after"]
        assert len(await entries(h, run, EntryKind.RUN_ATTEMPT_FAILED)) == 2
        assert (await h.client.run(run.id)).attempt == 3
    assert ledger == {"before": 1, "flaky": 3, "after": 1}


async def test_a_failure_the_code_handled_is_replayed_and_not_run_again(harness: OpenHarness) -> None:
    @task(retry=THRICE)
    async def trying() -> list[str]:
        try:
            await bad("handled")
        except Declined:
            found = await good("instead")
        return [found, await flaky("flaky")]

    async with harness(trying) as h:
        assert await h.run(trying) == ["instead", "flaky"]
    assert ledger == {"handled": 1, "instead": 1, "flaky": 3}


async def test_cleaning_up_belongs_to_the_attempt_that_failed_and_is_never_taken_for_something_else(
    harness: OpenHarness,
) -> None:
    @task(retry=THRICE)
    async def trying() -> list[str]:
        try:
            found = await flaky("flaky")
        except Flaky:
            await good("undo")
            await good("tell somebody")
            raise
        finally:
            await good("close")
        return [found, await good("after")]

    async with harness(trying) as h:
        run = await h.trigger(trying)
        assert await h.result(run) == ["flaky", "after"]
        assert await h.status(run) == "completed"
    assert ledger == {"flaky": 3, "undo": 2, "tell somebody": 2, "close": 3, "after": 1}


async def test_a_failure_inside_a_nested_scope_runs_again_there_and_nowhere_else(harness: OpenHarness) -> None:
    async def inner() -> str:
        await good("inside")
        return await flaky("flaky")

    @task(retry=THRICE)
    async def trying() -> list[str]:
        return [await good("before"), await inner()]

    async with harness(trying) as h:
        assert await h.run(trying) == ["before", "flaky"]
    assert ledger == {"before": 1, "inside": 1, "flaky": 3}


async def test_a_failure_in_a_branch_runs_again_and_the_other_branch_does_not(harness: OpenHarness) -> None:
    @task(retry=THRICE)
    async def trying() -> list[str]:
        return list(await gather(good("left"), flaky("right")))

    async with harness(trying) as h:
        assert await h.run(trying) == ["left", "right"]
    assert ledger == {"left": 1, "right": 3}


async def test_an_error_raised_from_an_operation_s_failure_runs_that_operation_again(harness: OpenHarness) -> None:
    @task(retry=THRICE)
    async def trying() -> str:
        try:
            return await flaky("flaky")
        except Flaky as error:
            raise LookupError("wrapped") from error

    async with harness(trying) as h:
        assert await h.run(trying) == "flaky"
    assert ledger == {"flaky": 3}


async def test_a_nested_task_is_tried_again_by_its_own_policy(harness: OpenHarness) -> None:
    @task(retry=THRICE)
    async def inner() -> str:
        return await good("inside") + await flaky("flaky")

    @task
    async def outer() -> str:
        await good("before")
        return await inner()

    async with harness(outer) as h:
        run = await h.trigger(outer)
        assert await h.result(run) == "insideflaky"
        assert "inner#1" in await keys(h, run)
    assert ledger == {"before": 1, "inside": 1, "flaky": 3}


async def test_waiting_sleeping_and_restarts_spend_no_attempt(harness: OpenHarness) -> None:
    @task(retry=SLOWLY)
    async def trying() -> str:
        await sleep("1d")
        await wait_for_approval("go on?")
        return await flaky("flaky")

    async with harness(trying) as h:
        run = await h.trigger(trying)
        await h.until_idle()
        await h.crash()
        await h.advance("1d")
        await h.restart()
        await h.crash()
        await h.approve(await h.only_approval(run))
        await h.until_idle()
        assert (await h.client.run(run.id)).attempt == 2
        await h.advance("1h")
        await h.advance("2h")
        assert await h.result(run) == "flaky"
    assert ledger == {"flaky": 3}


async def test_a_long_back_off_holds_no_memory_and_survives_a_crash(harness: OpenHarness) -> None:
    @task(retry=SLOWLY)
    async def trying() -> str:
        return await flaky("flaky", 2)

    async with harness(trying) as h:
        run = await h.trigger(trying)
        await h.until_idle()
        found = await h.client.run(run.id)
        assert found.status == "queued"
        assert found.worker_id is None
        assert "attempt 2 begins in 1h" in await h.why(run)
        await h.crash()
        await h.advance("59m")
        assert ledger == {"flaky": 1}
        await h.advance("1m")
        assert await h.result(run) == "flaky"


async def test_a_child_that_failed_is_started_anew_by_its_parents_retry(harness: OpenHarness) -> None:
    @task
    async def child(n: int) -> int:
        await flaky(f"child {n}")
        return n

    @task(retry=Retry(max_attempts=3, min_delay="1s"))
    async def parent() -> int:
        await good("before")
        handle = await child.trigger(7)
        await good("between")
        return await handle

    async with harness(parent, child) as h:
        run = await h.trigger(parent)
        await h.advance("1s")
        await h.advance("2s")
        assert await h.result(run) == 7
        children = (await h.client.runs(parent_id=run.id)).items
        assert sorted(one.status for one in children) == ["completed", "failed", "failed"]
    assert (ledger["child 7"], ledger["before"], ledger["between"]) == (3, 1, 1)


async def test_when_the_attempts_are_spent_the_run_fails_with_the_last_error(harness: OpenHarness) -> None:
    @task(retry=THRICE)
    async def trying() -> str:
        return await flaky("flaky", 9)

    async with harness(trying) as h:
        run = await h.trigger(trying)
        with pytest.raises(RunFailed, match="Flaky: flaky"):
            await h.result(run)
        assert len(await entries(h, run, EntryKind.RUN_ATTEMPT_FAILED)) == 2
        assert len(await entries(h, run, EntryKind.RUN_FAILED)) == 1
    assert ledger == {"flaky": 3}


async def test_an_error_the_policy_does_not_cover_is_not_tried_again(harness: OpenHarness) -> None:
    @task(retry=Retry(max_attempts=3, min_delay=0, give_up_on=Declined))
    async def trying() -> None:
        await bad("bad")

    async with harness(trying) as h:
        run = await h.trigger(trying)
        assert await h.status(run) == "failed"
    assert ledger == {"bad": 1}


async def test_a_gate_that_was_answered_is_not_asked_again_by_a_retry(harness: OpenHarness) -> None:
    @task(retry=THRICE)
    async def trying() -> str:
        outcome = (await wait_for_approval({"x": 1})).outcome
        return outcome + await flaky("flaky")

    async with harness(trying) as h:
        run = await h.trigger(trying)
        await h.approve(await h.only_approval(run))
        assert await h.result(run) == "approvedflaky"
        assert len(await entries(h, run, EntryKind.WAIT_OPENED)) == 1


async def test_a_task_that_works_longer_than_its_timeout_fails(harness: OpenHarness) -> None:
    @step
    async def endless() -> None:
        await asyncio.Event().wait()

    @task(timeout="30ms")
    async def slow() -> None:
        await endless()

    async with harness(slow) as h:
        run = await h.trigger(slow)
        with pytest.raises(RunFailed, match="longer than its timeout") as caught:
            await h.result(run)
    assert isinstance(caught.value.__cause__, RunTimedOut)


async def test_waiting_does_not_count_towards_the_timeout(harness: OpenHarness) -> None:
    @task(timeout="5s")
    async def patient() -> str:
        await sleep("30d")
        return "done"

    async with harness(patient) as h:
        run = await h.trigger(patient)
        await h.advance("30d")
        assert await h.result(run) == "done"


async def test_max_duration_ends_a_run_that_waits_and_withdraws_what_it_asked(harness: OpenHarness) -> None:
    @task(max_duration="1d")
    async def waiting() -> None:
        await wait_for_approval({"x": 1})

    async with harness(waiting) as h:
        run = await h.trigger(waiting)
        approval = await h.only_approval(run)
        await h.advance("23h")
        assert await h.status(run) == "waiting"
        await h.advance("1h")
        with pytest.raises(RunFailed, match="max_duration"):
            await h.result(run)
        assert (await h.client.approval(approval.id)).status == "cancelled"
        assert await h.client.waits(run.id) == []


async def test_a_task_cut_off_by_its_timeout_is_tried_again(harness: OpenHarness) -> None:
    @step
    async def slow_at_first() -> str:
        if ledger.add("tries") < 2:
            await asyncio.Event().wait()
        return "in time"

    @task(timeout="1s", retry=Retry(max_attempts=2, min_delay=0))
    async def trying() -> str:
        return await slow_at_first()

    async with harness(trying) as h:
        assert await h.run(trying) == "in time"


async def test_a_nested_task_that_works_too_long_is_a_timeout_for_the_one_around_it(harness: OpenHarness) -> None:
    @step
    async def endless() -> None:
        await asyncio.Event().wait()

    @task(timeout="30ms")
    async def inner() -> None:
        await endless()

    @task
    async def outer() -> str:
        try:
            await inner()
        except TimeoutError as error:
            await good("handled")
            return type(error).__name__
        return "unlikely"

    async with harness(outer) as h:
        assert await h.run(outer) == "StepTimedOut"


async def test_a_nested_task_is_tried_again_around_gates_in_other_branches(harness: OpenHarness) -> None:
    async def asked(name: str) -> str:
        return (await wait_for_approval(name, key=name)).outcome

    @task(retry=SLOWLY)
    async def inner() -> list[str]:
        first = await asked("first")
        return [first, *await gather(flaky("flaky"), asked("second"))]

    @task
    async def outer() -> list[object]:
        return list(await gather(inner(), asked("outside")))

    async with harness(outer) as h:
        run = await h.trigger(outer)
        [first] = [one for one in await h.approvals() if one.data == '"first"']
        await h.approve(first)
        await h.advance("1h")
        assert [one.data for one in await h.approvals()] == ['"outside"'], "the other branch's gate was withdrawn"
        await h.advance("2h")
        assert len(await h.approvals()) == 2
        for approval in await h.approvals():
            await h.approve(approval)
        assert await h.result(run) == [["approved", "flaky", "approved"], "approved"]
        opened = [one.key for one in await entries(h, run, EntryKind.WAIT_OPENED)]
        assert len([key for key in opened if key and key.endswith("outside#1")]) == 1
    assert ledger == {"flaky": 3}
