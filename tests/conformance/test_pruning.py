"""Pruning: what ended long ago is removed with all that is only about it, and nothing that is still of use."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from agentflow.client import Client
from agentflow.errors import IllegalTransition, RunNotFound
from agentflow.records import Pruned
from agentflow.requests import (
    Completed,
    Failed,
    ForkRun,
    Kept,
    NeedsAttention,
    NewLogLine,
    OpenWait,
    Prune,
    RunFilter,
)
from agentflow.states import ApprovalStatus, EntryKind, ParentClose, RunStatus, WaitKind
from tests.support.stores import (
    a_child,
    a_decision,
    a_gated_run,
    a_trigger,
    a_turn,
    a_wait_for,
    an_entry,
    approvals_of,
    claimed,
    completed,
)

if TYPE_CHECKING:
    from agentflow.store import Store
    from agentflow.testing import FakeClock

AGE = timedelta(days=90)
LARGE = json.dumps("x" * 200_000)


async def pruned(store: Store, kind: Kept = Kept.RUNS, *, really: bool = True, **given: Any) -> Pruned:
    """All that is removed, page after page."""
    request = Prune(kind=kind, before=given.pop("before", store.now() - AGE), **{"limit": 3} | given)
    total = Pruned()
    while True:
        found = await (store.prune(request) if really else store.prunable(request))
        total = Pruned(removed=total.removed + found.removed, reduced=total.reduced + found.reduced)
        if found.after is None:
            return total
        assert found.after != request.after
        request = replace(request, after=found.after)


async def a_finished_run(store: Store, output: str = '"done"', **given: Any) -> str:
    lease = await a_turn(store, **given)
    await store.append(lease, an_entry(output='{"n":1}'))
    line = NewLogLine(
        run_id=lease.run_id, epoch=lease.epoch, at=1, level="INFO", logger="task", message="hello", key=None
    )
    await store.keep_logs([line])
    await store.finish(lease, Completed(output))
    return lease.run_id


async def ids(store: Store) -> set[str]:
    return {one.id for one in (await store.runs(RunFilter(limit=100))).items}


async def test_a_run_that_ended_long_ago_is_removed_with_its_journal_and_log(store: Store, clock: FakeClock) -> None:
    old = await a_finished_run(store)
    await clock.advance(AGE + timedelta(seconds=1))
    young = await a_finished_run(store)

    assert await pruned(store) == Pruned(removed=1)
    with pytest.raises(RunNotFound):
        await store.run(old)
    assert await store.entries(old) == []
    assert await store.logs(old) == []
    assert len(await store.entries(young)) == 3
    assert len(await store.logs(young)) == 1


async def test_a_run_is_kept_up_to_the_instant(store: Store, clock: FakeClock) -> None:
    await a_finished_run(store)
    ended = store.now()
    await clock.advance(AGE)
    assert await pruned(store, before=ended) == Pruned()
    assert await pruned(store, before=ended + timedelta(microseconds=1)) == Pruned(removed=1)


async def test_more_runs_than_a_page_go_page_by_page(store: Store, clock: FakeClock) -> None:
    for _ in range(8):
        await a_finished_run(store)
    await clock.advance(AGE * 2)
    first = await store.prune(Prune(kind=Kept.RUNS, before=store.now(), limit=3))
    assert (first.removed, len(await ids(store))) == (3, 5)
    assert await pruned(store) == Pruned(removed=5)


async def test_long_journals_go_one_at_a_time(store: Store, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that each transaction is short, and none is passed over."""
    monkeypatch.setattr("agentflow.store.keeping.pruning.MOST_ENTRIES", 4)
    for _ in range(3):
        await a_finished_run(store)
    await clock.advance(AGE * 2)
    first = await store.prune(Prune(kind=Kept.RUNS, before=store.now(), limit=10))
    assert first.removed == 1
    assert await pruned(store, limit=10) == Pruned(removed=2)


async def test_a_dry_run_counts_and_removes_nothing(store: Store, clock: FakeClock) -> None:
    for _ in range(4):
        await a_finished_run(store)
    approval = await a_gated_run(store)
    await store.decide(a_decision(approval.id))
    await completed(store, approval.run_id, "review")
    await clock.advance(AGE * 2)
    before = await ids(store)
    assert await pruned(store, really=False) == Pruned(removed=4, reduced=1)
    assert await ids(store) == before
    assert await pruned(store) == Pruned(removed=4, reduced=1)


@pytest.mark.parametrize("status", ["queued", "running", "waiting", "paused", "needs_attention"])
async def test_a_run_that_has_not_ended_is_never_removed(store: Store, clock: FakeClock, status: str) -> None:
    lease = await a_turn(store)
    match status:
        case "queued":
            await store.retire_worker(lease.worker_id)
        case "waiting":
            await store.park(lease, [OpenWait(key="e#1", kind=WaitKind.EVENT, subject="paid:1")], ["e#1"])
        case "paused":
            await store.retire_worker(lease.worker_id)
            await store.pause(lease.run_id, by="mia", reason="")
        case "needs_attention":
            await store.finish(lease, NeedsAttention(EntryKind.QUARANTINED, "{}", "why"))
    assert (await store.run(lease.run_id)).status == status
    await clock.advance(AGE * 2)
    assert await pruned(store, approvals=True, statuses=tuple(RunStatus)) == Pruned()
    assert await ids(store) == {lease.run_id}


async def test_only_the_tasks_and_statuses_that_are_named_go(store: Store, clock: FakeClock) -> None:
    reviewed = await a_finished_run(store)
    paid = await a_finished_run(store, task="pay")
    lease = await a_turn(store)
    await store.finish(lease, Failed("{}"))
    await clock.advance(AGE * 2)
    assert await pruned(store, tasks=("pay",), statuses=(RunStatus.FAILED,)) == Pruned()
    assert await pruned(store, tasks=("pay",)) == Pruned(removed=1)
    assert await ids(store) == {reviewed, lease.run_id} - {paid}
    assert await pruned(store, statuses=(RunStatus.FAILED,)) == Pruned(removed=1)
    assert await ids(store) == {reviewed}


# -- what stays with what


async def test_approvals_stay_readable_with_their_decisions(store: Store, clock: FakeClock) -> None:
    approval = await a_gated_run(store, trigger={"idempotency_key": "once"})
    await store.decide(a_decision(approval.id, comment="fine by me"))
    await completed(store, approval.run_id, "review", LARGE)
    await clock.advance(AGE * 2)

    assert await pruned(store) == Pruned(reduced=1)
    assert await pruned(store) == Pruned()
    (kept,) = await approvals_of(store, approval.run_id)
    assert (kept.status, kept.decided_by, kept.comment) == (ApprovalStatus.APPROVED, "mia", "fine by me")
    left = await store.run(approval.run_id)
    assert (left.status, left.input, left.output, left.pruned_at) == (RunStatus.COMPLETED, "null", None, store.now())
    assert await store.entries(left.id) == []
    assert (await store.trigger(a_trigger(idempotency_key="once"))).id != left.id


async def test_approvals_go_when_they_are_told_to(store: Store, clock: FakeClock) -> None:
    approval = await a_gated_run(store)
    await store.decide(a_decision(approval.id))
    await completed(store, approval.run_id, "review")
    await clock.advance(AGE * 2)
    assert await pruned(store) == Pruned(reduced=1)
    assert await pruned(store, approvals=True) == Pruned(removed=1)
    assert await approvals_of(store, approval.run_id) == []
    assert await ids(store) == set()


async def test_what_is_left_of_a_run_can_be_neither_retried_nor_forked(store: Store, clock: FakeClock) -> None:
    approval = await a_gated_run(store)
    await store.cancel(approval.run_id, by="mia", reason="")
    await clock.advance(AGE * 2)
    await pruned(store)
    with pytest.raises(IllegalTransition, match="Its journal was removed"):
        await store.retry(approval.run_id, by="mia", reason="")
    with pytest.raises(IllegalTransition, match="Its journal was removed"):
        await store.fork(ForkRun(run_id=approval.run_id, by="mia"))


async def test_a_child_is_kept_with_its_open_parent_and_a_parent_with_its_open_child(
    store: Store, clock: FakeClock
) -> None:
    waits_for_it = await a_turn(store)
    ended = await a_child(store, waits_for_it)
    await completed(store, ended.id, "child")
    left_behind = await a_turn(store, task="starts")
    still_open = await a_child(store, left_behind, on_parent_close=ParentClose.ABANDON)
    await store.finish(left_behind, Completed('"done"'))
    await clock.advance(AGE * 2)

    assert await pruned(store) == Pruned()
    assert await ids(store) == {waits_for_it.run_id, ended.id, left_behind.run_id, still_open.id}
    await store.cancel(still_open.id, by="mia", reason="")
    await clock.advance(AGE * 2)
    assert await pruned(store) == Pruned(removed=2)


async def test_a_run_that_another_waits_for_is_kept(store: Store, clock: FakeClock) -> None:
    """One that a key gave to a run which is not its parent."""
    first = await a_turn(store)
    child = await a_child(store, first, idempotency_key="shared")
    second = await a_turn(store)
    await store.trigger_child(second, [a_trigger(task="child", idempotency_key="shared")], an_entry("review#1"))
    await store.park(second, [a_wait_for(child)], ["review#1"])
    await store.finish(first, Failed("{}"))
    assert (await store.run(child.id)).status == RunStatus.CANCELLED
    await clock.advance(AGE * 2)
    found = await pruned(store)
    assert found.removed == 2  # its end was heard of, so nobody waits any more
    assert (await store.run(second.run_id)).status is RunStatus.QUEUED


async def test_an_original_is_kept_while_a_fork_is_there(store: Store, clock: FakeClock) -> None:
    original = await a_finished_run(store)
    await clock.advance(timedelta(seconds=1))
    fork = await store.fork(ForkRun(run_id=original, by="mia"))
    await clock.advance(AGE * 2)
    assert await pruned(store) == Pruned()
    await completed(store, fork.id, "review")
    await clock.advance(AGE * 2)
    assert await pruned(store) == Pruned(removed=1)
    assert await ids(store) == {original}
    assert await pruned(store) == Pruned(removed=1)


async def test_a_run_that_is_tried_again_is_not_removed(store: Store, clock: FakeClock) -> None:
    lease = await a_turn(store)
    await store.finish(lease, Failed("{}"))
    await clock.advance(AGE * 2)
    await store.retry(lease.run_id, by="mia", reason="")
    assert await pruned(store) == Pruned()


async def test_a_blob_goes_with_the_last_row_that_names_it(store: Store, clock: FakeClock) -> None:
    other = json.dumps("y" * 200_000)
    first, second = await a_finished_run(store, LARGE), await a_finished_run(store, LARGE)
    await clock.advance(AGE)
    third = await a_finished_run(store, LARGE)
    await store.trigger(a_trigger(task="other", input=other))
    await clock.advance(timedelta(seconds=1))

    assert await pruned(store) == Pruned(removed=2)
    assert (await store.run(third)).output == LARGE
    assert await ids(store) >= {third} - {first, second}
    await clock.advance(AGE)
    assert await pruned(store) == Pruned(removed=1)
    again = await a_finished_run(store, LARGE)
    assert (await store.run(again)).output == LARGE
    (still,) = (await store.runs(RunFilter(statuses=(RunStatus.QUEUED,)))).items
    assert (await store.run(still.id)).input == other


async def test_what_was_waiting_goes_on_after_pruning(store: Store, clock: FakeClock) -> None:
    approval = await a_gated_run(store)
    for _ in range(3):
        await a_finished_run(store, task="other")
    await clock.advance(AGE * 2)
    assert await pruned(store) == Pruned(removed=3)
    await store.decide(a_decision(approval.id))
    assert [one.run_id for one in await claimed(store)] == [approval.run_id]


async def test_why_says_that_the_rest_was_removed(store: Store, clock: FakeClock) -> None:
    approval = await a_gated_run(store)
    await store.cancel(approval.run_id, by="mia", reason="")
    await clock.advance(AGE * 2)
    await pruned(store)
    assert "ended as cancelled" in await Client(store).why(approval.run_id)
    assert "were removed" in await Client(store).why(approval.run_id)
