"""A turn that no longer owns its run changes nothing, whatever it tries and however it lost the run."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from agentflow.errors import LeaseLost
from agentflow.requests import Completed, Failed, HandedBack, Lease, NeedsAttention, TryAgain
from agentflow.states import EntryKind
from agentflow.store import Store
from tests.support.stores import (
    LEASE,
    Database,
    a_gate,
    a_timer,
    a_trigger,
    a_turn,
    a_worker,
    an_entry,
    claimed,
    everything_of,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

WRITES: dict[str, Callable[[Store, Lease], Awaitable[object]]] = {
    "append": lambda store, lease: store.append(lease, an_entry("late#1", output="1")),
    "settle": lambda store, lease: store.settle(lease, an_entry("late#1"), "gather#1"),
    "open_waits": lambda store, lease: store.open_waits(lease, [a_gate(store, "late#1"), a_timer(store, "late#2")]),
    "open_waits, none": lambda store, lease: store.open_waits(lease, []),
    "park": lambda store, lease: store.park(lease, [a_gate(store, "late#1")], ["late#1"]),
    "park on a known wait": lambda store, lease: store.park(lease, [], ["gather#1/gate#1"]),
    "complete": lambda store, lease: store.finish(lease, Completed('"late"')),
    "fail": lambda store, lease: store.finish(lease, Failed("{}")),
    "try again": lambda store, lease: store.finish(lease, TryAgain("{}", timedelta(seconds=1), None)),
    "hand back": lambda store, lease: store.finish(lease, HandedBack()),
    "need attention": lambda store, lease: store.finish(lease, NeedsAttention(EntryKind.DIVERGED, "{}", "late")),
    "trigger_child": lambda store, lease: store.trigger_child(lease, [a_trigger("child")], an_entry("late#1")),
    "trigger no child": lambda store, lease: store.trigger_child(lease, [], an_entry("late#1")),
}


async def lose_by_cancel(database: Database, store: Store, lease: Lease) -> None:
    await store.cancel(lease.run_id, by="mia", reason="")


async def lose_by_sweep(database: Database, store: Store, lease: Lease) -> None:
    database.clock.advance(LEASE + timedelta(seconds=1))
    assert await store.sweep(limit=10, max_recoveries=3) == 1


async def lose_by_reclaim(database: Database, store: Store, lease: Lease) -> None:
    """The run is running again, but under a later epoch of another worker."""
    await lose_by_sweep(database, store, lease)
    assert len(await claimed(store)) == 1


async def lose_by_reclaim_of_the_same_worker(database: Database, store: Store, lease: Lease) -> None:
    await store.finish(lease, HandedBack())
    assert len(await claimed(store, worker=lease.worker_id)) == 1


async def lose_by_quarantine(database: Database, store: Store, lease: Lease) -> None:
    database.clock.advance(LEASE + timedelta(seconds=1))
    assert await store.sweep(limit=10, max_recoveries=0) == 1


async def lose_by_overrun(database: Database, store: Store, lease: Lease) -> None:
    database.clock.advance("1h")
    assert await store.expire(limit=10) == 1


async def lose_by_retiring(database: Database, store: Store, lease: Lease) -> None:
    await store.retire_worker(lease.worker_id)


async def lose_by_completing(database: Database, store: Store, lease: Lease) -> None:
    await store.finish(lease, Completed("1"))


async def lose_by_parking(database: Database, store: Store, lease: Lease) -> None:
    await store.park(lease, [], ["gather#1/gate#1"])


LOSSES = [
    lose_by_cancel,
    lose_by_sweep,
    lose_by_reclaim,
    lose_by_reclaim_of_the_same_worker,
    lose_by_quarantine,
    lose_by_overrun,
    lose_by_retiring,
    lose_by_completing,
    lose_by_parking,
]


@pytest.mark.parametrize("lose", LOSSES, ids=lambda lose: lose.__name__)
async def test_a_turn_that_lost_its_run_writes_nothing(
    database: Database, lose: Callable[[Database, Store, Lease], Awaitable[None]]
) -> None:
    """The late writes come from another process, which cannot know better."""
    store, other = await database.open(), await database.open()
    lease = await a_turn(store, worker=await a_worker(store), max_duration=timedelta(hours=1))
    await store.open_waits(lease, [a_gate(store, "gather#1/gate#1")])
    await lose(database, store, lease)
    before = await everything_of(store, lease.run_id)

    for name, write in WRITES.items():
        with pytest.raises(LeaseLost) as lost:
            await write(other, lease)
        assert (lost.value.run_id, lost.value.epoch) == (lease.run_id, lease.epoch), name
        assert await everything_of(store, lease.run_id) == before, name


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
async def test_the_turn_that_owns_its_run_may_do_all_of_it(
    store: Store, write: Callable[[Store, Lease], Awaitable[object]]
) -> None:
    lease = await a_turn(store)
    await store.open_waits(lease, [a_gate(store, "gather#1/gate#1")])

    await write(store, lease)


async def test_a_lease_on_a_run_that_never_was_is_lost(store: Store) -> None:
    worker = await a_worker(store)
    for write in WRITES.values():
        with pytest.raises(LeaseLost):
            await write(store, Lease("run_none", 1, worker))
        with pytest.raises(LeaseLost):
            await write(store, Lease("run_none", 0, worker))


async def test_a_lease_with_a_future_epoch_is_lost(store: Store) -> None:
    lease = await a_turn(store)
    before = await everything_of(store, lease.run_id)

    for write in WRITES.values():
        with pytest.raises(LeaseLost):
            await write(store, Lease(lease.run_id, lease.epoch + 1, lease.worker_id))

    assert await everything_of(store, lease.run_id) == before
