"""Child runs: started once, awaited now, later or never, and ended with their parent."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from agentflow import (
    RunCancelled,
    RunFailed,
    RunHandle,
    WorkerSettings,
    gather,
    log,
    sleep,
    step,
    task,
    wait_for_approval,
)
from agentflow.errors import IdempotencyMismatch, InvalidInput
from agentflow.states import EntryKind
from tests.support.tasks import Declined, Invoice, Ledger, entries, keys

if TYPE_CHECKING:
    from tests.runtime.conftest import OpenHarness

ledger = Ledger()


@pytest.fixture(autouse=True)
def _empty_ledger() -> None:
    ledger.clear()


@step
async def noted(what: str) -> str:
    ledger.add(what)
    return what


@task
async def child(n: int) -> Invoice:
    await noted(f"child {n}")
    return Invoice(number=str(n), total=n)


@task
async def asking_child(n: int) -> int:
    return int((await wait_for_approval(n)).data)


@task
async def failing_child(text: str) -> None:
    raise Declined(text, code=3)


async def _children(h: object, run: object) -> list[object]:
    return list((await h.client.runs(parent_id=run.id, limit=500)).items)  # type: ignore[attr-defined]


async def test_a_child_is_started_once_and_gives_its_typed_result(harness: OpenHarness) -> None:
    @task
    async def parent(n: int) -> list[object]:
        handle = await child.trigger(n)
        assert isinstance(handle, RunHandle)
        await noted("between")
        found = await handle
        assert isinstance(found, Invoice)
        return [found.number, handle.id]

    async with harness(parent, child) as h:
        run = await h.trigger(parent, 3)
        number, child_id = await h.result(run)
        [found] = await _children(h, run)
        assert (number, child_id) == ("3", found.id)  # type: ignore[attr-defined]
        assert found.origin == f"run {run.id}"  # type: ignore[attr-defined]
        assert await keys(h, run) == ["child.trigger#1", "noted#1"]
    assert ledger == {"child 3": 1, "between": 1}


async def test_a_child_that_nobody_awaits_runs_by_itself(harness: OpenHarness) -> None:
    @task
    async def parent() -> str:
        return (await child.trigger(1)).id

    async with harness(parent, child) as h:
        child_id = await h.run(parent)
        assert await h.result(child_id) == Invoice(number="1", total=1)


async def test_triggering_and_waiting_in_one_call_gives_the_result(harness: OpenHarness) -> None:
    @task
    async def parent() -> list[float]:
        return [(await child.trigger_and_wait(n)).total for n in (1, 2)]

    async with harness(parent, child) as h:
        assert await h.run(parent) == [1.0, 2.0]
    assert ledger == {"child 1": 1, "child 2": 1}


async def test_a_batch_starts_all_or_none(harness: OpenHarness) -> None:
    @task
    async def parent() -> list[object]:
        try:
            await child.batch_trigger([1, "two"])
        except InvalidInput as error:
            said = str(error)
        handles = await child.batch_trigger([(1,), {"n": 2}, 3])
        return [said, *[one.number for one in await gather(*handles)]]

    async with harness(parent, child) as h:
        run = await h.trigger(parent)
        said, *numbers = await h.result(run)
        assert numbers == ["1", "2", "3"]
        assert "no run was made" in said
        assert len(await _children(h, run)) == 3


async def test_the_parent_holds_no_memory_while_its_child_waits(harness: OpenHarness) -> None:
    @task
    async def parent(n: int) -> int:
        return await asking_child.trigger_and_wait(n)

    async with harness(parent, asking_child) as h:
        run = await h.trigger(parent, 5)
        approval = await h.only_approval()
        assert await h.status(run) == "waiting"
        assert approval.run_id in await h.why(run)
        await h.crash()
        await h.correct(approval, 6)
        assert await h.result(run) == 6


async def test_a_child_that_ended_before_it_was_awaited_gives_its_result(harness: OpenHarness) -> None:
    @task
    async def parent() -> float:
        handle = await child.trigger(7)
        await sleep("1d")
        return (await handle).total

    async with harness(parent, child) as h:
        run = await h.trigger(parent)
        await h.advance("1d")
        assert await h.result(run) == 7


async def test_a_failed_child_raises_with_its_error_as_the_cause_live_and_on_replay(harness: OpenHarness) -> None:
    seen = []

    @task
    async def parent() -> str:
        try:
            await failing_child.trigger_and_wait("no")
        except RunFailed as error:
            cause = error.__cause__
            assert isinstance(cause, Declined)
            seen.append((str(error).partition(" failed: ")[2], cause.code))
        return (await wait_for_approval("go on?")).outcome

    async with harness(parent, failing_child) as h:
        run = await h.trigger(parent)
        await h.approve(await h.only_approval(run))
        assert await h.result(run) == "approved"
    assert len(seen) > 1
    assert set(seen) == {("Declined: declined: no", 3)}


async def test_a_child_s_failure_that_nobody_catches_fails_the_parent(harness: OpenHarness) -> None:
    @task
    async def parent() -> None:
        await failing_child.trigger_and_wait("no")

    async with harness(parent, failing_child) as h:
        with pytest.raises(RunFailed, match=r"RunFailed: run .* of failing_child failed: Declined"):
            await h.run(parent)


async def test_cancelling_a_parent_cancels_its_children_and_their_approvals(harness: OpenHarness) -> None:
    @task
    async def middle(n: int) -> int:
        return await asking_child.trigger_and_wait(n)

    @task
    async def parent() -> list[int]:
        return list(await gather(middle.trigger_and_wait(1), middle.trigger_and_wait(2)))

    async with harness(parent, middle, asking_child) as h:
        run = await h.trigger(parent)
        approvals = await h.approvals()
        assert len(approvals) == 2
        await h.client.cancel(run.id, by="operator", reason="enough")
        assert await h.approvals() == []
        statuses = {one.status for one in (await h.client.runs()).items}
        assert statuses == {"cancelled"}
        assert {(await h.client.approval(one.id)).status for one in approvals} == {"cancelled"}


async def test_the_children_of_a_cancelled_parent_undo_their_steps_and_those_to_be_abandoned_go_on(
    harness: OpenHarness,
) -> None:
    @step(undo=lambda n: ledger.add(f"unbook {n}"))
    async def book(n: int) -> None:
        ledger.add(f"book {n}")

    @task
    async def booking(n: int) -> int:
        await book(n)
        return int((await wait_for_approval(n)).data)

    @task
    async def parent() -> list[int]:
        free = await booking.options(on_parent_close="abandon").trigger(1)
        return list(await gather(booking.trigger_and_wait(2), free))

    async with harness(parent, booking) as h:
        run = await h.trigger(parent)
        assert len(await h.approvals()) == 2
        await h.client.cancel(run.id, by="operator")
        left = await h.only_approval()
        assert ledger == {"book 1": 1, "book 2": 1, "unbook 2": 1}
        assert sorted(one.status for one in await _children(h, run)) == ["cancelled", "waiting"]  # type: ignore[attr-defined]
        await h.approve(left)
        assert await h.result(left.run_id) == 1


async def test_a_child_has_to_end_by_its_parent_s_deadline(harness: OpenHarness) -> None:
    @task(max_duration="1h")
    async def parent() -> int:
        return await asking_child.trigger_and_wait(1)

    async with harness(parent, asking_child) as h:
        run = await h.trigger(parent)
        await h.only_approval()
        [child_run] = await _children(h, run)
        assert child_run.deadline_at == (await h.client.run(run.id)).deadline_at  # type: ignore[attr-defined]
        await h.advance("1h")
        assert await h.status(run) == "failed"
        assert await h.approvals() == []


async def test_a_cancelled_child_is_an_error_in_its_parent(harness: OpenHarness) -> None:
    @task
    async def parent(n: int) -> str:
        try:
            await asking_child.trigger_and_wait(n)
        except RunCancelled as error:
            await noted("handled")
            return str(error)
        return "unlikely"

    async with harness(parent, asking_child) as h:
        run = await h.trigger(parent, 1)
        approval = await h.only_approval()
        await h.client.cancel(approval.run_id, by="operator")
        assert "was cancelled" in await h.result(run)


async def test_an_idempotency_key_makes_one_child_for_two_parents(harness: OpenHarness) -> None:
    @task
    async def parent(n: int) -> str:
        handle = await child.options(idempotency_key="the one").trigger(n)
        await handle
        return handle.id

    async with harness(parent, child) as h:
        first, second = await h.run(parent, 4), await h.run(parent, 4)
        assert first == second
        with pytest.raises(RunFailed) as caught:
            await h.run(parent, 5)
        assert isinstance(caught.value.__cause__, IdempotencyMismatch)
    assert ledger == {"child 4": 1}


async def test_a_child_with_a_delay_starts_when_it_is_due(harness: OpenHarness) -> None:
    @task
    async def parent() -> float:
        return (await child.options(delay="2h").trigger_and_wait(1)).total

    async with harness(parent, child) as h:
        run = await h.trigger(parent)
        await h.advance("119m")
        assert not ledger
        await h.advance("1m")
        assert await h.result(run) == 1


async def test_three_hundred_children_are_gathered(harness: OpenHarness) -> None:
    @task
    async def small(n: int) -> int:
        return n

    @task
    async def parent(count: int) -> int:
        handles = await small.batch_trigger(range(count))
        log.info("started %d", len(handles))
        return sum(await gather(*handles))

    async with harness(parent, small) as h:
        run = await h.trigger(parent, 300)
        assert await h.result(run) == sum(range(300))
        assert len(await _children(h, run)) == 300
        assert len(await entries(h, run, EntryKind.WAIT_RESOLVED)) == 300


async def test_a_task_awaited_directly_is_a_scope_of_the_same_run(harness: OpenHarness) -> None:
    @task
    async def parent() -> float:
        return (await child(8)).total + (await child(9)).total

    async with harness(parent) as h:
        run = await h.trigger(parent)
        assert await h.result(run) == 17
        assert await keys(h, run) == ["child#1/noted#1", "child#1", "child#2/noted#1", "child#2"]
        assert len((await h.client.runs()).items) == 1


async def test_a_worker_with_room_for_one_run_finishes_parents_and_children(live: OpenHarness) -> None:
    @task
    async def parent(count: int) -> float:
        return sum([one.total for one in await gather(*(child.trigger_and_wait(n) for n in range(count)))])

    one_at_a_time = WorkerSettings(concurrency=1, lease_for=timedelta(days=3_650))
    async with live(parent, child, settings=one_at_a_time) as h:
        assert await h.run(parent, 5) == 10
