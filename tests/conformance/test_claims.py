"""A due run is claimed once, most urgent and oldest first, by workers that know its task."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from agentflow.requests import ClaimRuns, Completed, HandedBack, TryAgain
from agentflow.states import EntryKind, RunStatus
from agentflow.store import Store
from agentflow.testing import FakeClock
from tests.support.stores import (
    Database,
    a_decision,
    a_gated_run,
    a_timer,
    a_trigger,
    a_turn,
    a_worker,
    an_entry,
    claimed,
)


async def test_no_run_is_claimed_twice(database: Database) -> None:
    """Eight workers of four processes take forty runs at the same time."""
    stores = [await database.open() for _ in range(4)]
    made = await stores[0].trigger_many([a_trigger() for _ in range(40)])
    workers = [await a_worker(stores[n % 4]) for n in range(8)]

    batches = await asyncio.gather(*(claimed(stores[n % 4], worker=workers[n], limit=7) for n in range(8)))

    taken = [lease.run_id for batch in batches for lease in batch]
    assert sorted(taken) == sorted(run.id for run in made)
    assert max(map(len, batches)) <= 7


async def test_a_claimed_run_is_held_by_its_worker(store: Store, clock: FakeClock) -> None:
    worker = await a_worker(store)
    clock.advance("1s")
    lease = await a_turn(store, worker=worker)

    run = await store.run(lease.run_id)

    assert (run.status, run.worker_id, run.epoch, run.started_at) == (RunStatus.RUNNING, worker, 1, store.now())
    assert (lease.epoch, lease.worker_id) == (1, worker)


async def test_no_more_than_the_limit_is_claimed(store: Store) -> None:
    await store.trigger_many([a_trigger() for _ in range(5)])

    assert len(await claimed(store, limit=2)) == 2
    assert len(await claimed(store, limit=10)) == 3
    assert await claimed(store, limit=10) == []


async def test_the_oldest_run_is_claimed_first(store: Store, clock: FakeClock) -> None:
    made = []
    for _ in range(4):
        made.append((await store.trigger(a_trigger())).id)
        clock.advance("1ms")

    assert [(await claimed(store))[0].run_id for _ in range(4)] == made


async def test_a_priority_is_a_head_start_in_seconds(store: Store, clock: FakeClock) -> None:
    """So a run of low priority is overtaken for a while, but never starved."""
    patient = await store.trigger(a_trigger(priority=0))
    clock.advance("2s")
    urgent = await store.trigger(a_trigger(priority=5))
    clock.advance("4s")
    late = await store.trigger(a_trigger(priority=5))

    order = [(await claimed(store))[0].run_id for _ in range(3)]

    assert order == [urgent.id, patient.id, late.id]


async def test_a_delayed_run_is_not_claimed_early(store: Store, clock: FakeClock) -> None:
    await store.trigger(a_trigger(delay=timedelta(seconds=10), priority=9))

    clock.advance(timedelta(seconds=10) - timedelta(microseconds=1))
    assert await claimed(store) == []
    clock.advance(timedelta(microseconds=1))
    assert len(await claimed(store)) == 1


async def test_runs_of_unknown_tasks_are_left_to_others(store: Store) -> None:
    foreign = await store.trigger(a_trigger("of_another_program"))
    mine = await store.trigger(a_trigger("review"))

    leases = await claimed(store, limit=10)

    assert [lease.run_id for lease in leases] == [mine.id]
    assert (await store.run(foreign.id)).status is RunStatus.QUEUED


@pytest.mark.parametrize("tasks", [(), ("nothing",)])
async def test_a_worker_that_knows_no_due_task_gets_nothing(store: Store, tasks: tuple[str, ...]) -> None:
    await store.trigger(a_trigger())

    assert await store.claim(ClaimRuns(worker_id=await a_worker(store), tasks=tasks, limit=5)) == []


async def test_a_worker_takes_only_from_its_queues(store: Store) -> None:
    slow = await store.trigger(a_trigger(queue="slow"))
    await store.trigger(a_trigger(queue="default"))

    assert [lease.run_id for lease in await claimed(store, limit=5, queues=("slow", "other"))] == [slow.id]
    assert len(await claimed(store, limit=5)) == 1


async def test_each_claim_has_a_greater_epoch_than_any_before(store: Store) -> None:
    lease = await a_turn(store)
    epochs = [lease.epoch]
    for _ in range(3):
        await store.finish(lease, HandedBack())
        (lease,) = await claimed(store)
        epochs.append(lease.epoch)

    assert epochs == [1, 2, 3, 4]
    assert (await store.run(lease.run_id)).attempt == 1


async def test_a_later_turn_is_given_the_whole_journal(store: Store) -> None:
    first = await a_turn(store)
    await store.append(first, an_entry("fetch#1", output="1"))
    await store.append(first, an_entry("fetch#2", output="2"))
    await store.finish(first, HandedBack())

    (again,) = await store.claim(ClaimRuns(worker_id=await a_worker(store), tasks=("review",), limit=1))

    assert list(again.entries) == list(await store.entries(first.run_id))
    assert [entry.output for entry in again.entries if entry.kind is EntryKind.SUCCEEDED] == ["1", "2"]
    assert again.run == await store.run(first.run_id)


async def test_the_first_start_of_a_run_is_kept(store: Store, clock: FakeClock) -> None:
    lease = await a_turn(store)
    started_at = store.now()
    await store.finish(lease, HandedBack())
    clock.advance("1m")

    await claimed(store)

    assert (await store.run(lease.run_id)).started_at == started_at


async def test_a_failed_attempt_is_tried_again_after_its_delay(store: Store, clock: FakeClock) -> None:
    lease = await a_turn(store)
    await store.finish(lease, TryAgain('{"type":"E"}', timedelta(seconds=30), "fetch#1"))

    run = await store.run(lease.run_id)
    assert (run.status, run.attempt, run.worker_id) == (RunStatus.QUEUED, 2, None)
    assert await claimed(store) == []
    clock.advance("30s")
    assert len(await claimed(store)) == 1


async def test_a_parked_run_is_claimed_when_its_timer_comes_and_not_before(store: Store, clock: FakeClock) -> None:
    lease = await a_turn(store)
    timer = a_timer(store, after=timedelta(minutes=1))
    assert await store.park(lease, [timer], [timer.key]) is RunStatus.WAITING

    clock.advance(timedelta(minutes=1) - timedelta(microseconds=1))
    assert await claimed(store) == []
    clock.advance(timedelta(microseconds=1))
    (again,) = await claimed(store)
    assert (again.run_id, again.epoch) == (lease.run_id, 2)


async def test_an_ended_or_waiting_run_is_never_claimed(store: Store, clock: FakeClock) -> None:
    done = await a_turn(store)
    await store.finish(done, Completed("1"))
    gated = await a_gated_run(store)
    clock.advance("365d")

    assert await claimed(store, limit=10) == []
    await store.decide(a_decision(gated.id))
    assert [lease.run_id for lease in await claimed(store, limit=10)] == [gated.run_id]
