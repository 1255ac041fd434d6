"""What falls due by itself: time-outs and overruns, in bounded batches, never early, each once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from agentflow.requests import Completed, TryAgain
from agentflow.states import ApprovalStatus, EntryKind, RunStatus
from agentflow.store import Store
from agentflow.testing import FakeClock
from tests.support.stores import (
    LEASE,
    Database,
    a_child,
    a_decision,
    a_gate,
    a_gated_run,
    a_timer,
    a_trigger,
    a_turn,
    a_wait_for,
    approvals_of,
    claimed,
    kinds_of,
    last_entry,
)

HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("on_timeout", "default", "final"),
    [
        ("reject", None, None),
        ("raise", None, None),
        ("default", '{"total":0}', '{"total":0}'),
        ("approve", None, '{"total":10}'),
    ],
)
async def test_an_overdue_approval_ends_as_its_task_declared(
    store: Store, clock: FakeClock, on_timeout: str, default: str | None, final: str | None
) -> None:
    approval = await a_gated_run(store, timeout=HOUR, on_timeout=on_timeout, default=default)
    clock.advance(HOUR)

    assert await store.expire(limit=10) == 1

    stored = await store.approval(approval.id)
    assert (stored.status, stored.final, stored.decided_by) == (ApprovalStatus.TIMED_OUT, final, "timeout")
    assert stored.decided_at == store.now()
    entry = await last_entry(store, approval.run_id)
    assert (entry.kind, entry.key, entry.output) == (EntryKind.WAIT_RESOLVED, approval.key, final)
    assert (await store.run(approval.run_id)).status is RunStatus.QUEUED


async def test_an_approval_never_times_out_early(store: Store, clock: FakeClock) -> None:
    await a_gated_run(store, timeout=HOUR)
    clock.advance(HOUR - TICK)
    assert await store.expire(limit=10) == 0
    clock.advance(TICK)
    assert await store.expire(limit=10) == 1
    assert await store.expire(limit=10) == 0


async def test_a_decided_or_withdrawn_approval_does_not_time_out(store: Store, clock: FakeClock) -> None:
    decided, withdrawn = await a_gated_run(store, timeout=HOUR), await a_gated_run(store, timeout=HOUR)
    await store.decide(a_decision(decided.id))
    await store.cancel(withdrawn.run_id, by="mia", reason="")
    clock.advance("1d")

    assert await store.expire(limit=10) == 0
    assert (await store.approval(decided.id)).status is ApprovalStatus.APPROVED
    assert (await store.approval(withdrawn.id)).status is ApprovalStatus.CANCELLED


async def test_overdue_approvals_end_in_bounded_batches_the_most_overdue_first(store: Store, clock: FakeClock) -> None:
    approvals = [await a_gated_run(store, timeout=HOUR + timedelta(minutes=n)) for n in (3, 1, 2)]
    clock.advance("2h")

    assert await store.expire(limit=2) == 2
    pending = [approval.id for approval in approvals if (await store.approval(approval.id)).is_pending]
    assert pending == [approvals[0].id]
    assert await store.expire(limit=2) == 1
    assert await store.expire(limit=2) == 0


@pytest.mark.parametrize("state", ["queued", "running", "waiting"])
async def test_a_run_that_takes_too_long_fails_wherever_it_is(store: Store, clock: FakeClock, state: str) -> None:
    run_id = (await store.trigger(a_trigger(max_duration=HOUR))).id
    if state != "queued":
        (lease,) = await claimed(store)
        gate = a_gate(store)
        await (store.open_waits(lease, [gate]) if state == "running" else store.park(lease, [gate], [gate.key]))
    assert (await store.run(run_id)).status == state

    clock.advance(HOUR - TICK)
    assert await store.expire(limit=10) == 0
    clock.advance(TICK)
    assert await store.expire(limit=10) == 1

    run = await store.run(run_id)
    assert (run.status, run.worker_id, run.finished_at) == (RunStatus.FAILED, None, store.now())
    assert "max_duration" in str(run.error)
    assert (await last_entry(store, run_id)).kind is EntryKind.RUN_FAILED
    assert await store.waits(run_id) == []
    assert all(one.status is ApprovalStatus.CANCELLED for one in await approvals_of(store, run_id))


async def test_a_delay_does_not_count_towards_the_duration(store: Store, clock: FakeClock) -> None:
    await store.trigger(a_trigger(max_duration=HOUR, delay=HOUR))
    clock.advance(HOUR)
    assert await store.expire(limit=10) == 0
    clock.advance(HOUR)
    assert await store.expire(limit=10) == 1


async def test_an_overrun_cancels_the_children_and_wakes_the_parent(store: Store, clock: FakeClock) -> None:
    top = await a_turn(store)
    middle = await a_child(store, top, max_duration=HOUR)
    (of_middle,) = await claimed(store, task="child")
    below = await a_child(store, of_middle, task="grandchild")
    await store.park(of_middle, [a_wait_for(below)], ["review#1"])
    await store.park(top, [a_wait_for(middle)], ["review#1"])
    clock.advance(HOUR)

    assert await store.expire(limit=10) == 1

    assert (await store.run(below.id)).status is RunStatus.CANCELLED
    assert (await store.run(top.run_id)).status is RunStatus.QUEUED
    entry = await last_entry(store, top.run_id)
    assert (entry.key, entry.detail, entry.error) == ("review#1", "failed", (await store.run(middle.id)).error)


async def test_a_child_cancelled_with_its_overdue_parent_stays_cancelled_if_overdue_too(
    store: Store, clock: FakeClock
) -> None:
    parent = await a_turn(store, max_duration=HOUR)
    child = await a_child(store, parent, max_duration=HOUR + TICK)
    await store.park(parent, [a_wait_for(child)], ["review#1"])
    clock.advance("2h")

    await store.expire(limit=10)

    assert (await store.run(child.id)).status is RunStatus.CANCELLED
    assert await kinds_of(store, child.id) == [EntryKind.TRIGGERED, EntryKind.RUN_CANCELLED]
    assert await store.expire(limit=10) == 0


async def test_overdue_runs_end_in_bounded_batches(store: Store, clock: FakeClock) -> None:
    await store.trigger_many([a_trigger(max_duration=HOUR) for _ in range(7)])
    clock.advance(HOUR)

    assert [await store.expire(limit=3) for _ in range(4)] == [3, 3, 1, 0]


async def test_concurrent_expiry_ends_each_once(database: Database) -> None:
    stores = [await database.open() for _ in range(3)]
    approvals = [await a_gated_run(stores[0], timeout=HOUR) for _ in range(10)]
    database.clock.advance(HOUR)

    counts = await asyncio.gather(*(store.expire(limit=10) for store in stores))

    assert sum(counts) == 10
    for approval in approvals:
        assert (await stores[0].approval(approval.id)).version == 2
        assert (await kinds_of(stores[0], approval.run_id)).count(EntryKind.WAIT_RESOLVED) == 1


# -- what falls due next


async def test_nothing_falls_due_by_itself_in_a_new_store(store: Store) -> None:
    assert await store.next_due_at() is None


async def test_what_falls_due_next_is_the_earliest_of_all(store: Store, clock: FakeClock) -> None:
    now = store.now()
    lease = await a_turn(store)
    await store.finish(lease, TryAgain("{}", timedelta(hours=5), None))
    assert await store.next_due_at() == now + timedelta(hours=5)
    await store.trigger(a_trigger("child", max_duration=timedelta(hours=4)))
    assert await store.next_due_at() == now + timedelta(hours=4)
    await a_gated_run(store, timeout=timedelta(hours=3))
    assert await store.next_due_at() == now + timedelta(hours=3)
    sleeping, timer = await a_turn(store), a_timer(store, after=timedelta(hours=2))
    await store.park(sleeping, [timer], [timer.key])
    assert await store.next_due_at() == now + timedelta(hours=2)
    await store.trigger(a_trigger("child", delay=HOUR))
    assert await store.next_due_at() == now + HOUR


async def test_what_has_ended_or_waits_for_a_person_never_falls_due(store: Store) -> None:
    ended = await a_turn(store, max_duration=HOUR)
    await store.finish(ended, Completed("1"))
    decided = await a_gated_run(store, timeout=HOUR)
    await store.decide(a_decision(decided.id))
    (lease,) = await claimed(store)
    await store.finish(lease, Completed("1"))
    await a_gated_run(store)

    assert await store.next_due_at() is None


async def test_a_run_that_needs_attention_never_falls_due(store: Store, clock: FakeClock) -> None:
    """It has a deadline, but expiring leaves it to its operator: a worker that waited for it would spin."""
    lease = await a_turn(store, max_duration=HOUR)
    clock.advance(LEASE + TICK)
    await store.sweep(limit=1, max_recoveries=0)
    assert (await store.run(lease.run_id)).status is RunStatus.NEEDS_ATTENTION
    clock.advance("1d")

    assert await store.expire(limit=10) == 0
    assert await store.next_due_at() is None
