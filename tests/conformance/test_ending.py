"""Runs that end before their code does: undone first where there is something to undo, and their children with them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import bindparam, update

from agentflow.errors import IllegalTransition, LeaseLost
from agentflow.requests import Completed, Failed, NeedsAttention, TriggerRun, Undone
from agentflow.states import ApprovalStatus, EntryKind, ParentClose, RunStatus
from agentflow.store import tables
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement, const
from tests.support.stores import (
    a_child,
    a_gate,
    a_gated_run,
    a_timer,
    a_trigger,
    a_turn,
    a_wait_for,
    an_entry,
    claimed,
    last_entry,
)

if TYPE_CHECKING:
    from agentflow.requests import Lease
    from agentflow.store import Store
    from agentflow.testing import FakeClock


approval = table_of(tables.ApprovalRow)
WITHDRAW = Statement(
    update(approval)
    .where(approval.c.run_id == bindparam("of_run"))
    .values(status=const(ApprovalStatus.CANCELLED.value))
)


async def a_turn_with_undo(store: Store, **given: Any) -> Lease:
    """The lease of a run one of whose steps can be undone."""
    lease = await a_turn(store, **given)
    await store.append(lease, an_entry("book#1", detail="undo:unbook"))
    return lease


async def a_run_in_doubt(store: Store) -> str:
    lease = await a_turn(store)
    await store.append(lease, an_entry("charge#1", EntryKind.STARTED))
    await store.finish(lease, NeedsAttention(EntryKind.DIVERGED, "{}", json.dumps({"key": "charge#1"})))
    return lease.run_id


@pytest.mark.parametrize("cause", ["cancel", "deadline", "failure"])
async def test_a_run_with_steps_to_undo_is_queued_first_and_ends_when_they_are_undone(
    store: Store, clock: FakeClock, cause: str
) -> None:
    lease = await a_turn_with_undo(store, max_duration=timedelta(hours=1))
    await store.open_waits(lease, [gate := a_gate(store)])
    match cause:
        case "cancel":
            await store.cancel(lease.run_id, by="mia", reason="ill")
        case "deadline":
            clock.advance("2h")
            assert await store.expire(limit=10) == 1
        case _:
            await store.finish(lease, Failed('{"type":"E"}'))
    run = await store.run(lease.run_id)
    assert (run.status, run.worker_id, run.finished_at) == ("queued", None, None)
    assert (await store.approval(str(gate.subject))).status is ApprovalStatus.CANCELLED
    assert (await last_entry(store, lease.run_id)).kind is EntryKind.UNDOING
    with pytest.raises(LeaseLost):
        await store.append(lease, an_entry("late#1"))
    clock.advance("5h")
    assert await store.expire(limit=10) == 0, "it is undone in its own time"
    due_at = await store.next_due_at()
    assert due_at is None or due_at > store.now()

    (undoing,) = await claimed(store)
    await store.finish(undoing, Undone("undone: book#1"))

    run = await store.run(lease.run_id)
    wanted = RunStatus.CANCELLED if cause == "cancel" else RunStatus.FAILED
    assert (run.status, run.error is None) == (wanted, cause == "cancel")
    assert (await last_entry(store, lease.run_id)).detail.endswith("undone: book#1")  # type: ignore[union-attr]
    with pytest.raises(IllegalTransition, match="agentflow fork"):
        await store.retry(lease.run_id, by="mia", reason="")


async def test_cancelling_a_run_that_is_undoing_changes_nothing_and_one_that_cannot_undo_ends_as_it_is(
    store: Store,
) -> None:
    lease = await a_turn_with_undo(store)
    await store.cancel(lease.run_id, by="mia", reason="")
    before = await store.entries(lease.run_id)
    await store.cancel(lease.run_id, by="tom", reason="")
    assert await store.entries(lease.run_id) == before

    (undoing,) = await claimed(store)
    await store.finish(undoing, NeedsAttention(EntryKind.DIVERGED, "{}", "{}"))
    ended = await store.cancel(lease.run_id, by="tom", reason="")

    assert ended.status is RunStatus.CANCELLED
    said = (await last_entry(store, lease.run_id)).detail
    assert said == "cancelled by tom; what was not undone stays as it is"


async def test_a_parent_hears_of_a_child_when_it_is_undone_and_not_before(store: Store) -> None:
    parent = await a_turn(store, task="parent")
    child = await a_child(store, parent)
    await store.park(parent, [a_wait_for(child)], ["review#1"])
    (of_child,) = await claimed(store, task="child")
    await store.append(of_child, an_entry("book#1", detail="undo:unbook"))

    await store.cancel(child.id, by="mia", reason="")
    assert (await store.run(parent.run_id)).status is RunStatus.WAITING
    (undoing,) = await claimed(store, task="child")
    await store.finish(undoing, Undone())

    assert (await store.run(parent.run_id)).status is RunStatus.QUEUED
    assert (await last_entry(store, parent.run_id)).detail == "cancelled"


# -- children


@pytest.mark.parametrize("cause", ["cancel", "deadline", "failure", "completion"])
async def test_what_becomes_of_children_when_their_parent_ends(store: Store, clock: FakeClock, cause: str) -> None:
    lease = await a_turn(store, max_duration=timedelta(hours=1))
    bound = await a_child(store, lease, key="a#1")
    free = await a_child(store, lease, key="b#1", on_parent_close=ParentClose.ABANDON)
    assert (bound.deadline_at, free.deadline_at) == ((await store.run(lease.run_id)).deadline_at, None)
    match cause:
        case "cancel":
            await store.cancel(lease.run_id, by="mia", reason="")
        case "deadline":
            clock.advance("2h")
            await store.expire(limit=10)
        case "failure":
            await store.finish(lease, Failed("{}"))
        case _:
            await store.finish(lease, Completed("1"))

    statuses = ((await store.run(bound.id)).status, (await store.run(free.id)).status)
    assert statuses[1] is RunStatus.QUEUED
    if cause == "completion":
        assert statuses[0] is RunStatus.QUEUED, "a parent that completes leaves its children be"
    else:
        assert statuses[0] in {RunStatus.CANCELLED, RunStatus.FAILED}


async def test_a_child_with_an_earlier_deadline_keeps_it(store: Store) -> None:
    lease = await a_turn(store, max_duration=timedelta(hours=5))

    child = await a_child(store, lease, max_duration=timedelta(hours=1))

    assert child.deadline_at == store.now() + timedelta(hours=1)


# -- nothing is stuck silently


async def test_no_run_that_goes_its_ways_is_stuck(store: Store) -> None:
    await a_gated_run(store)
    timed = await a_turn(store, task="timed")
    await store.park(timed, [timer := a_timer(store)], [timer.key])
    parent = await a_turn(store, task="parent")
    child = await a_child(store, parent)
    await store.park(parent, [a_wait_for(child)], ["review#1"])
    await store.pause((await store.trigger(a_trigger(task="later"))).id, by="mia", reason="")
    await a_run_in_doubt(store)
    await a_turn(store, task="busy")

    assert await store.stuck(limit=10) == []


async def test_a_run_that_waits_for_what_will_never_come_is_stuck(store: Store) -> None:
    gate = await a_gated_run(store)
    lease = await a_turn(store, task="empty")
    await store.park(lease, [], [])
    nowhere = await a_turn(store, task="nowhere")
    wait = a_wait_for(await store.trigger(TriggerRun(task="child", version="1", input="{}")))
    await store.park(nowhere, [wait], [wait.key])
    await store.write(_forget_children, gate.run_id)  # type: ignore[attr-defined]

    found = {one.id for one in await store.stuck(limit=10)}

    assert found == {lease.run_id, gate.run_id}
    assert len(await store.stuck(limit=1)) == 1


def _forget_children(tx: Any, run_id: str) -> None:
    """Somebody wrote past the store: an approval is withdrawn, and its run not told."""
    tx.run(WITHDRAW, {"of_run": run_id})
