"""A worker has one lease for all it holds; when that is over others have the runs, and the worker is told."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from agentflow.errors import IllegalTransition, LeaseLost
from agentflow.requests import Completed
from agentflow.states import EntryKind, RunStatus
from agentflow.store import Store
from agentflow.testing import FakeClock
from tests.support.stores import (
    LEASE,
    Database,
    a_trigger,
    a_turn,
    a_worker,
    an_entry,
    claimed,
    everything_of,
    kinds_of,
    last_entry,
)

TICK = timedelta(microseconds=1)


async def renewed(store: Store, worker: str) -> dict[str, int] | None:
    """As the heartbeat does it: in a thread of its own."""
    return await asyncio.to_thread(store.renew, worker, LEASE)


async def lost(store: Store, clock: FakeClock, *, max_recoveries: int = 3, limit: int = 100) -> int:
    """Let every lease run out; how many runs a sweep then recovers."""
    clock.advance(LEASE + TICK)
    return await store.sweep(limit=limit, max_recoveries=max_recoveries)


async def test_a_worker_sees_what_it_holds_and_what_is_to_be_paused(store: Store) -> None:
    worker, other = await a_worker(store), await a_worker(store)
    kept, marked, cancelled, ended = [await a_turn(store, worker=worker) for _ in range(4)]
    await a_turn(store, worker=other)
    await store.pause(marked.run_id, by="mia", reason="")
    await store.cancel(cancelled.run_id, by="mia", reason="")
    await store.finish(ended, Completed("null"))

    assert await store.held(worker) == {kept.run_id: (kept.epoch, False), marked.run_id: (marked.epoch, True)}
    assert await store.held("wrk_nobody") == {}


async def test_a_registered_worker_has_a_lease(store: Store) -> None:
    worker = await store.register_worker(host="here", pid=41, started="1700", lease_for=LEASE)

    assert list(await store.workers()) == [worker]
    assert (worker.host, worker.pid, worker.started, worker.started_at) == ("here", 41, "1700", store.now())
    assert worker.lease_until == store.now() + LEASE


async def test_a_worker_is_recorded_with_what_it_takes_and_lacks(store: Store) -> None:
    worker = await store.register_worker(
        host="here",
        pid=41,
        started="1700",
        lease_for=LEASE,
        tasks=["b@1", "a@*"],
        labels=["region=eu", "gpu"],
        lacks={"c@*": ["big"]},
        queues=["slow"],
    )

    assert list(await store.workers()) == [worker]
    assert (worker.tasks, worker.labels) == ('["a@*", "b@1"]', '["gpu", "region=eu"]')
    assert (worker.lacks, worker.queues) == ('{"c@*": ["big"]}', '["slow"]')
    assert worker.draining_at is None


async def test_a_worker_that_drains_says_since_when_and_keeps_its_lease_and_its_runs(
    store: Store, clock: FakeClock
) -> None:
    worker = await a_worker(store)
    lease = await a_turn(store, worker=worker)
    began_at = store.now()
    await store.drain_worker(worker)
    clock.advance("5s")
    await store.drain_worker(worker)
    await store.drain_worker("wrk_unknown")

    [shown] = await store.workers()
    assert (shown.draining_at, shown.lease_until) == (began_at, began_at + LEASE)
    assert await renewed(store, worker) == {lease.run_id: 1}
    await store.append(lease, an_entry())
    await store.retire_worker(worker)
    assert await store.workers() == []


async def test_renewing_tells_which_runs_are_held(store: Store, clock: FakeClock) -> None:
    worker, other = await a_worker(store), await a_worker(store)
    held = [await a_turn(store, worker=worker) for _ in range(2)]
    await a_turn(store, worker=other)
    ended = await a_turn(store, worker=worker)
    await store.finish(ended, Completed("1"))
    clock.advance("20s")

    assert await renewed(store, worker) == {lease.run_id: 1 for lease in held}
    assert {one.id: one.lease_until for one in await store.workers()}[worker] == store.now() + LEASE


async def test_a_renewed_lease_is_not_swept(store: Store, clock: FakeClock) -> None:
    worker = await a_worker(store)
    lease = await a_turn(store, worker=worker)
    for _ in range(5):
        clock.advance("20s")
        assert await renewed(store, worker) == {lease.run_id: 1}
        assert await store.sweep(limit=10, max_recoveries=3) == 0

    await store.append(lease, an_entry())


async def test_a_lease_holds_to_its_last_microsecond(store: Store, clock: FakeClock) -> None:
    lease = await a_turn(store)
    clock.advance(LEASE)

    assert await store.sweep(limit=10, max_recoveries=3) == 0
    await store.append(lease, an_entry())


async def test_a_swept_run_goes_to_another_worker(store: Store, clock: FakeClock) -> None:
    zombie = await a_turn(store)

    assert await lost(store, clock) == 1

    run = await store.run(zombie.run_id)
    assert (run.status, run.worker_id, run.recoveries, run.attempt) == (RunStatus.QUEUED, None, 1, 1)
    assert (await last_entry(store, zombie.run_id)).kind is EntryKind.RECOVERED
    (again,) = await claimed(store)
    assert (again.run_id, again.epoch) == (zombie.run_id, zombie.epoch + 1)


async def test_a_zombie_cannot_renew_and_is_told_so(store: Store, clock: FakeClock) -> None:
    zombie = await a_turn(store)
    await lost(store, clock)
    before = await everything_of(store, zombie.run_id)

    assert await renewed(store, zombie.worker_id) is None
    assert await store.workers() == []
    assert await everything_of(store, zombie.run_id) == before
    with pytest.raises(LeaseLost):
        await store.append(zombie, an_entry())


async def test_a_worker_that_renews_after_its_runs_were_cancelled_holds_nothing(store: Store) -> None:
    lease = await a_turn(store)
    await store.cancel(lease.run_id, by="mia", reason="")

    assert await renewed(store, lease.worker_id) == {}


async def test_a_sweep_recovers_no_more_than_its_limit(store: Store, clock: FakeClock) -> None:
    await store.trigger_many([a_trigger() for _ in range(25)])
    await claimed(store, limit=25)

    assert await lost(store, clock, limit=10) == 10
    assert await store.sweep(limit=10, max_recoveries=3) == 10
    assert await store.sweep(limit=10, max_recoveries=3) == 5
    assert await store.sweep(limit=10, max_recoveries=3) == 0
    assert len(await claimed(store, limit=30)) == 25


async def test_concurrent_sweeps_recover_each_run_once(database: Database) -> None:
    stores = [await database.open() for _ in range(3)]
    made = await stores[0].trigger_many([a_trigger() for _ in range(20)])
    await claimed(stores[0], limit=20)
    database.clock.advance(LEASE + TICK)

    counts = await asyncio.gather(*(store.sweep(limit=10, max_recoveries=3) for store in stores))

    assert sum(counts) == 20
    for run in made:
        assert (await kinds_of(stores[0], run.id)).count(EntryKind.RECOVERED) == 1
        assert (await stores[0].run(run.id)).recoveries == 1


async def test_a_run_that_keeps_killing_its_workers_is_set_aside(store: Store, clock: FakeClock) -> None:
    lease = await a_turn(store)
    for _ in range(2):
        assert await lost(store, clock, max_recoveries=2) == 1
        assert len(await claimed(store)) == 1

    assert await lost(store, clock, max_recoveries=2) == 1

    run = await store.run(lease.run_id)
    assert (run.status, run.worker_id, run.recoveries) == (RunStatus.NEEDS_ATTENTION, None, 3)
    assert "3 workers in a row" in str(run.error)
    assert (await last_entry(store, lease.run_id)).kind is EntryKind.QUARANTINED
    assert await claimed(store) == []


async def test_a_run_that_gets_on_between_losses_is_not_set_aside(store: Store, clock: FakeClock) -> None:
    lease = await a_turn(store)
    for n in range(5):
        await store.append(lease, an_entry(f"fetch#{n + 1}"))
        await lost(store, clock, max_recoveries=1)
        (lease,) = await claimed(store)

    assert (await store.run(lease.run_id)).status is RunStatus.RUNNING


async def test_resuming_forgets_the_losses(store: Store, clock: FakeClock) -> None:
    lease = await a_turn(store)
    await lost(store, clock, max_recoveries=0)

    resumed = await store.resume(lease.run_id, by="mia")

    assert (resumed.status, resumed.recoveries, resumed.error) == (RunStatus.QUEUED, 0, None)
    assert "mia" in str((await last_entry(store, lease.run_id)).detail)
    assert len(await claimed(store)) == 1


async def test_only_a_run_that_needs_attention_is_resumed(store: Store) -> None:
    lease = await a_turn(store)
    for _ in range(2):
        before = await everything_of(store, lease.run_id)
        with pytest.raises(IllegalTransition) as refused:
            await store.resume(lease.run_id, by="mia")
        assert refused.value.status == before["run"].status
        assert await everything_of(store, lease.run_id) == before
        if not before["run"].is_finished:
            await store.cancel(lease.run_id, by="mia", reason="")


async def test_an_ended_run_is_not_cancelled_again(store: Store) -> None:
    lease = await a_turn(store)
    await store.finish(lease, Completed("1"))
    before = await everything_of(store, lease.run_id)

    with pytest.raises(IllegalTransition, match="completed"):
        await store.cancel(lease.run_id, by="mia", reason="")

    assert await everything_of(store, lease.run_id) == before


async def test_a_buried_workers_runs_are_recovered_without_waiting_for_the_lease(store: Store) -> None:
    dead, alive = await a_turn(store), await a_turn(store)

    await store.bury([dead.worker_id])

    assert await renewed(store, dead.worker_id) is None
    assert await store.sweep(limit=10, max_recoveries=3) == 1
    assert (await store.run(dead.run_id)).status is RunStatus.QUEUED
    await store.append(alive, an_entry())


async def test_burying_nobody_or_a_stranger_changes_nothing(store: Store) -> None:
    lease = await a_turn(store)
    await store.bury([])
    await store.bury(["wrk_none"])

    assert await store.sweep(limit=10, max_recoveries=3) == 0
    await store.append(lease, an_entry())


async def test_a_retiring_worker_gives_its_runs_back_at_no_cost(store: Store) -> None:
    worker = await a_worker(store)
    leases = [await a_turn(store, worker=worker) for _ in range(2)]

    await store.retire_worker(worker)

    assert await store.workers() == []
    for lease in leases:
        run = await store.run(lease.run_id)
        assert (run.status, run.recoveries, run.attempt, run.worker_id) == (RunStatus.QUEUED, 0, 1, None)
        assert (await last_entry(store, lease.run_id)).kind is EntryKind.REQUEUED
    assert len(await claimed(store, limit=5)) == 2


async def test_a_forgotten_worker_gets_no_runs(store: Store, clock: FakeClock) -> None:
    """A zombie may ask for runs before it hears that it is one; what it began would be cut off when it hears."""
    zombie = await a_worker(store)
    run = await store.trigger(a_trigger())
    clock.advance(LEASE + TICK)
    await store.sweep(limit=10, max_recoveries=3)

    assert await claimed(store, worker=zombie, limit=5, task=run.task) == []

    assert (await store.run(run.id)).status is RunStatus.QUEUED
