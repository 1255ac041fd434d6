"""A run leaves memory on named waits, and no answer to any of them is ever missed."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

import pytest

from agentflow.requests import Completed, Failed, HandedBack
from agentflow.states import ApprovalStatus, EntryKind, RunStatus, Verdict, WaitKind
from agentflow.store import Store
from agentflow.testing import FakeClock
from tests.support.stores import (
    Database,
    a_child,
    a_decision,
    a_gate,
    a_timer,
    a_trigger,
    a_turn,
    a_wait_for,
    a_worker,
    an_entry,
    approvals_of,
    claimed,
    completed,
    kinds_of,
    last_entry,
)


async def keys_of(store: Store, run_id: str) -> set[str]:
    return {wait.key for wait in await store.waits(run_id)}


async def statuses_of(store: Store, run_id: str) -> dict[str, ApprovalStatus]:
    return {approval.key: approval.status for approval in await approvals_of(store, run_id)}


async def test_a_parked_run_is_held_by_nobody_and_says_what_it_waits_for(store: Store) -> None:
    lease = await a_turn(store)
    gate, timer = a_gate(store), a_timer(store, after=timedelta(minutes=5))

    assert await store.park(lease, [gate, timer], [gate.key]) is RunStatus.WAITING

    run = await store.run(lease.run_id)
    assert (run.status, run.worker_id, run.epoch) == (RunStatus.WAITING, None, 1)
    waits = {wait.key: wait for wait in await store.waits(lease.run_id)}
    assert (waits["approval#1"].kind, waits["approval#1"].subject) == (WaitKind.APPROVAL, gate.subject)
    assert (waits["sleep#1"].kind, waits["sleep#1"].due_at) == (WaitKind.TIMER, timer.due_at)
    opened, parked = EntryKind.WAIT_OPENED, EntryKind.PARKED
    assert await kinds_of(store, lease.run_id) == [EntryKind.TRIGGERED, opened, opened, parked]


async def test_a_run_that_waits_for_many_things_says_so_in_a_line(store: Store) -> None:
    """Else a thousand gates, answered one by one, would each write the other nine hundred down."""
    lease = await a_turn(store)
    timers = [a_timer(store, f"sleep#{n:03}") for n in range(1_000)]

    await store.park(lease, timers, [timer.key for timer in timers])

    said = (await last_entry(store, lease.run_id)).detail or ""
    assert said.startswith("sleep#000,sleep#001,")
    assert said.endswith("980 more")
    assert len(await store.waits(lease.run_id)) == 1_000


async def test_a_timer_that_does_not_block_does_not_wake(store: Store, clock: FakeClock) -> None:
    """As of a race that another branch has won: only what the run is blocked on wakes it."""
    lease = await a_turn(store)
    await store.park(lease, [a_gate(store), a_timer(store)], ["approval#1"])

    clock.advance("2h")

    assert await claimed(store) == []


async def test_the_earliest_of_several_timers_wakes(store: Store, clock: FakeClock) -> None:
    lease = await a_turn(store)
    late = a_timer(store, "sleep#1", after=timedelta(hours=2))
    early = a_timer(store, "sleep#2", after=timedelta(hours=1))
    await store.park(lease, [late, early], [late.key, early.key])

    clock.advance("1h")

    assert len(await claimed(store)) == 1


async def test_parking_on_a_timer_that_has_come_queues_the_run(store: Store, clock: FakeClock) -> None:
    lease = await a_turn(store)
    timer = a_timer(store, after=timedelta(minutes=1))
    clock.advance("1m")

    assert await store.park(lease, [timer], [timer.key]) is RunStatus.QUEUED
    assert len(await claimed(store)) == 1


async def test_an_answer_between_opening_and_parking_queues_the_run(store: Store) -> None:
    lease = await a_turn(store)
    gate = a_gate(store)
    await store.open_waits(lease, [gate])
    await store.decide(a_decision(str(gate.subject)))

    assert await store.park(lease, [], [gate.key]) is RunStatus.QUEUED
    assert len(await claimed(store)) == 1


async def test_an_answer_to_another_wait_does_not_queue_a_run_blocked_on_this_one(store: Store) -> None:
    lease = await a_turn(store)
    here, there = a_gate(store, "approval#1"), a_gate(store, "approval#2")
    await store.open_waits(lease, [here, there])
    await store.decide(a_decision(str(there.subject)))

    assert await store.park(lease, [], [here.key]) is RunStatus.WAITING


async def test_racing_park_and_decide_never_leaves_the_run_asleep(database: Database) -> None:
    """Two processes, each order of the two commits, sixty times: the run always ends up queued."""
    store, other = await database.open(), await database.open()
    worker, chance = await a_worker(store), random.Random(17)
    for _ in range(60):
        lease = await a_turn(store, worker=worker)
        gate = a_gate(store)
        await store.open_waits(lease, [gate])
        both = [store.park(lease, [], [gate.key]), other.decide(a_decision(str(gate.subject)))]
        chance.shuffle(both)
        await asyncio.gather(*both)

        run = await store.run(lease.run_id)
        assert run.status is RunStatus.QUEUED
        assert await store.waits(lease.run_id) == []
        assert len(await claimed(store, worker=worker)) == 1


async def test_an_answer_while_the_run_goes_on_leaves_it_running(store: Store) -> None:
    lease = await a_turn(store)
    gate = a_gate(store)
    await store.open_waits(lease, [gate])

    await store.decide(a_decision(str(gate.subject)))

    assert (await store.run(lease.run_id)).status is RunStatus.RUNNING
    await store.append(lease, an_entry())


async def test_a_child_that_ends_wakes_its_parent_with_its_result(store: Store) -> None:
    parent = await a_turn(store)
    child = await a_child(store, parent)
    assert await store.park(parent, [a_wait_for(child)], ["review#1"]) is RunStatus.WAITING

    await completed(store, child.id, "child", '"42"')

    assert (await store.run(parent.run_id)).status is RunStatus.QUEUED
    entry = await last_entry(store, parent.run_id)
    assert (entry.kind, entry.key, entry.output) == (EntryKind.WAIT_RESOLVED, "review#1", '"42"')
    assert entry.detail == RunStatus.COMPLETED


async def test_a_child_that_ended_before_its_parent_waited_answers_at_once(store: Store) -> None:
    parent = await a_turn(store)
    child = await a_child(store, parent)
    (of_child,) = await claimed(store, task="child")
    await store.finish(of_child, Failed('{"type":"E"}'))

    assert await store.park(parent, [a_wait_for(child)], ["review#1"]) is RunStatus.QUEUED

    resolved = [entry for entry in await store.entries(parent.run_id) if entry.kind is EntryKind.WAIT_RESOLVED]
    assert [(entry.error, entry.detail) for entry in resolved] == [('{"type":"E"}', RunStatus.FAILED)]
    assert await store.waits(parent.run_id) == []


async def test_a_cancelled_child_wakes_its_parent(store: Store) -> None:
    parent = await a_turn(store)
    child = await a_child(store, parent)
    await store.park(parent, [a_wait_for(child)], ["review#1"])

    await store.cancel(child.id, by="mia", reason="")

    assert (await store.run(parent.run_id)).status is RunStatus.QUEUED
    assert (await last_entry(store, parent.run_id)).detail == RunStatus.CANCELLED


@pytest.mark.parametrize("ends", ["complete", "cancel"])
async def test_a_run_that_somebody_else_started_wakes_whoever_waits_for_it(store: Store, ends: str) -> None:
    """A child's key may give a run that was made before, which has no parent or another one."""
    made = await store.trigger(a_trigger("child", idempotency_key="a"))
    parent = await a_turn(store)
    child = await a_child(store, parent, idempotency_key="a")
    assert child.id == made.id
    await store.park(parent, [a_wait_for(child)], ["review#1"])

    if ends == "complete":
        await completed(store, child.id, "child")
    else:
        await store.cancel(child.id, by="mia", reason="")

    assert (await store.run(parent.run_id)).status is RunStatus.QUEUED


@pytest.mark.parametrize("is_alone", [True, False])
async def test_finishing_withdraws_what_the_run_still_asks_for(store: Store, *, is_alone: bool) -> None:
    """A gate has no row among the waits, which a run is seldom looked up in when it ends."""
    lease = await a_turn(store)
    await store.open_waits(lease, [a_gate(store)] if is_alone else [a_gate(store), a_timer(store)])

    await store.finish(lease, Completed("1"))

    assert await store.waits(lease.run_id) == []
    assert await statuses_of(store, lease.run_id) == {"approval#1": ApprovalStatus.CANCELLED}


async def test_handing_back_keeps_what_the_run_asks_for(store: Store) -> None:
    lease = await a_turn(store)
    await store.open_waits(lease, [a_gate(store)])

    await store.finish(lease, HandedBack())

    assert await keys_of(store, lease.run_id) == {"approval#1"}
    assert await statuses_of(store, lease.run_id) == {"approval#1": ApprovalStatus.PENDING}


async def test_cancelling_withdraws_children_and_theirs_and_what_they_ask_for(store: Store) -> None:
    parent = await a_turn(store)
    child = await a_child(store, parent)
    (of_child,) = await claimed(store, task="child")
    grandchild = await a_child(store, of_child, task="grandchild")
    (of_grandchild,) = await claimed(store, task="grandchild")
    await store.park(of_grandchild, [a_gate(store)], ["approval#1"])
    await store.park(of_child, [a_wait_for(grandchild)], ["review#1"])
    await store.park(parent, [a_gate(store), a_wait_for(child)], ["review#1"])

    await store.cancel(parent.run_id, by="mia", reason="wrong invoice")

    for run_id in (parent.run_id, child.id, grandchild.id):
        assert (await store.run(run_id)).status is RunStatus.CANCELLED
        assert await store.waits(run_id) == []
        assert (await kinds_of(store, run_id)).count(EntryKind.RUN_CANCELLED) == 1
    assert await statuses_of(store, grandchild.id) == {"approval#1": ApprovalStatus.CANCELLED}
    assert "mia: wrong invoice" in str((await last_entry(store, parent.run_id)).detail)


async def test_cancelling_leaves_children_that_have_ended_as_they_are(store: Store) -> None:
    parent = await a_turn(store)
    child = await a_child(store, parent)
    await completed(store, child.id, "child")
    before = await store.run(child.id)

    await store.cancel(parent.run_id, by="mia", reason="")

    assert await store.run(child.id) == before


async def test_settling_an_operation_withdraws_its_waits_and_no_others(store: Store) -> None:
    """`race#1` covers its branches and what is under it; `race#10` is another operation."""
    lease = await a_turn(store)
    under = ["race#1", "race#1/gate#1", "race#1[0]/gate#1"]
    beside = ["race#10", "race#10/gate#1", "gate#1", "outer#1/race#1/gate#1"]
    await store.open_waits(lease, [a_gate(store, key) for key in under + beside])

    await store.settle(lease, an_entry("race#1", output="1"), "race#1")

    assert await keys_of(store, lease.run_id) == set(beside)
    statuses = await statuses_of(store, lease.run_id)
    assert {key for key, status in statuses.items() if status is ApprovalStatus.CANCELLED} == set(under)
    assert (await last_entry(store, lease.run_id)).key == "race#1"


async def test_settling_does_not_touch_an_approval_that_was_decided(store: Store) -> None:
    lease = await a_turn(store)
    gate = a_gate(store, "race#1/gate#1")
    await store.open_waits(lease, [gate])
    await store.decide(a_decision(str(gate.subject), Verdict.REJECT))

    await store.settle(lease, an_entry("race#1"), "race#1")

    assert await statuses_of(store, lease.run_id) == {"race#1/gate#1": ApprovalStatus.REJECTED}


async def test_an_approval_asked_anew_supersedes_the_one_before(store: Store, clock: FakeClock) -> None:
    lease = await a_turn(store)
    gate = a_gate(store)
    await store.park(lease, [gate, a_timer(store)], [gate.key, "sleep#1"])
    clock.advance("1h")
    (again,) = await claimed(store)

    await store.open_waits(again, [a_gate(store, replaces=gate.subject, data="[2]")])

    of_run = {one.id: one for one in await approvals_of(store, lease.run_id)}
    old = of_run.pop(str(gate.subject))
    (new,) = of_run.values()
    assert (old.status, old.version, old.data) == (ApprovalStatus.SUPERSEDED, 2, '{"total":10}')
    assert (new.status, new.data, new.key) == (ApprovalStatus.PENDING, "[2]", gate.key)
    assert {wait.subject for wait in await store.waits(lease.run_id) if wait.key == gate.key} == {new.id}
