"""A queue's limits hold exactly, and whose turn it is is decided by its rules."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from agentflow.errors import InvalidSetting, QueueFull
from agentflow.limits import Budget, Limits, Rate
from agentflow.records import Run
from agentflow.requests import ChangeQueue, ClaimRuns, Completed, DeclareQueue, HandedBack, Lease
from agentflow.store import Store
from agentflow.testing import FakeClock
from tests.support.stores import Database, a_gate, a_trigger, a_worker, claimed

MINUTE = timedelta(minutes=1)


async def declared(store: Store, name: str = "llm", **limits: Any) -> None:
    await store.declare_queues([DeclareQueue(name=name, limits=Limits(**limits))])


async def queued(store: Store, count: int = 1, *, queue: str = "llm", **given: Any) -> list[Run]:
    return list(await store.trigger_many([a_trigger(queue=queue, **given) for _ in range(count)]))


async def keys_taken(store: Store, **given: Any) -> list[str | None]:
    return [(await store.run(lease.run_id)).queue_key for lease in await claimed(store, **given)]


async def ended(store: Store, *leases: Lease) -> None:
    for lease in leases:
        await store.finish(lease, Completed("1"))


# -- how many at a time


async def test_no_more_run_at_a_time_than_the_queue_allows(store: Store) -> None:
    await declared(store, concurrency=3)
    await queued(store, 10)

    first = await claimed(store, limit=10)
    assert len(first) == 3
    assert await claimed(store, limit=10) == []
    await ended(store, *first[:2])
    assert len(await claimed(store, limit=10)) == 2


async def test_the_limit_holds_for_all_processes_together(database: Database) -> None:
    stores = [await database.open() for _ in range(4)]
    await declared(stores[0], concurrency=5, per_worker=2)
    await queued(stores[0], 40)
    workers = [await a_worker(one) for one in stores]

    batches = await asyncio.gather(
        *(claimed(one, worker=worker, limit=4) for one, worker in zip(stores, workers, strict=True))
    )

    assert sum(map(len, batches)) == 5
    assert max(map(len, batches)) == 2


async def test_a_worker_has_its_own_limit(store: Store) -> None:
    await declared(store, per_worker=2)
    await queued(store, 9)
    mine, other = await a_worker(store), await a_worker(store)

    assert [len(await claimed(store, worker=mine, limit=1)) for _ in range(3)] == [1, 1, 0]
    assert len(await claimed(store, worker=other, limit=9)) == 2


async def test_a_queue_without_limits_and_the_default_one_are_served_beside_it(store: Store, clock: FakeClock) -> None:
    await declared(store, concurrency=1)
    made = []
    for queue in ("llm", "llm", "default", "other", "default"):
        made += await queued(store, queue=queue)
        clock.advance("1ms")

    assert [one.run_id for one in await claimed(store, limit=3)] == [made[n].id for n in (0, 2, 3)]
    assert [one.run_id for one in await claimed(store, limit=3)] == [made[4].id]


async def test_each_key_has_its_own_limit(store: Store, clock: FakeClock) -> None:
    await declared(store, concurrency=5, per_key=2)
    for key in ("a", "a", "a", "a", "b", None, "b", "b"):
        await queued(store, queue_key=key)
        clock.advance("1ms")

    assert await keys_taken(store, limit=10) == ["a", "a", "b", None, "b"]
    assert await claimed(store, limit=10) == []


async def test_a_long_line_of_a_key_that_has_enough_keeps_nobody_from_starting(store: Store, clock: FakeClock) -> None:
    await declared(store, per_key=2)
    await queued(store, 500, queue_key="a")
    clock.advance("1ms")
    await queued(store, 3, queue_key="b")
    clock.advance("1ms")
    await queued(store, 3)

    assert await keys_taken(store, limit=5) == ["a", "a", "b", "b", None]
    assert await keys_taken(store, limit=5) == [None]


async def test_a_parked_run_holds_no_place(store: Store) -> None:
    await declared(store, concurrency=1)
    await queued(store, 2)
    (lease,) = await claimed(store, limit=5)

    gate = a_gate(store)
    await store.park(lease, [gate], [gate.key])

    assert len(await claimed(store, limit=5)) == 1


async def test_a_run_that_goes_on_needs_a_place_again(store: Store) -> None:
    await declared(store, concurrency=1)
    await queued(store)
    (first,) = await claimed(store)
    await store.finish(first, HandedBack())
    await queued(store, priority=60)
    (second,) = await claimed(store, limit=5)

    assert second.run_id != first.run_id
    assert await claimed(store, limit=5) == []
    await ended(store, second)
    assert [one.run_id for one in await claimed(store, limit=5)] == [first.run_id]


@pytest.mark.parametrize("queue", ["default", "llm", "just-a-name"])
async def test_runs_of_a_version_are_taken_by_who_serves_it(store: Store, queue: str) -> None:
    await declared(store, concurrency=9)
    made = [await store.trigger(replace(a_trigger(task, queue=queue), version=v)) for task in "ab" for v in "12"]
    worker = await a_worker(store)

    taken = await store.claim(ClaimRuns(worker_id=worker, tasks=("a",), versions=(("b", "2"), ("c", "1")), limit=9))
    rest = await store.claim(ClaimRuns(worker_id=worker, tasks=(), versions=(("b", "1"),), limit=9))

    assert sorted(one.run.id for one in taken) == sorted(made[n].id for n in (0, 1, 3))
    assert [one.run.id for one in rest] == [made[2].id]


# -- how fast


async def test_no_span_of_the_rates_length_has_more_starts_than_it_allows(store: Store, clock: FakeClock) -> None:
    """The window slides: there is no moment at which a new one begins and twice as many may start."""
    await declared(store, rate=Rate(3, MINUTE))
    await queued(store, 12)
    starts: list[float] = []
    for second in range(150):
        starts += [second] * len(await claimed(store, limit=2 if second == 50 else 1 if second == 0 else 10))
        clock.advance("1s")

    assert starts == [0, 1, 1, 60, 61, 61, 120, 121, 121]
    assert all(sum(at <= other < at + 60 for other in starts) <= 3 for at in starts)


async def test_the_next_start_that_a_rate_allows_is_something_that_falls_due(store: Store, clock: FakeClock) -> None:
    await declared(store, rate=Rate(2, MINUTE))
    await queued(store, 4)
    began = store.now()
    await claimed(store)
    assert await store.next_due_at() is None
    clock.advance("10s")
    await claimed(store)

    assert await store.next_due_at() == began + MINUTE
    clock.advance(timedelta(seconds=50) - timedelta(microseconds=1))
    assert await claimed(store) == []
    clock.advance(timedelta(microseconds=1))
    assert len(await claimed(store, limit=5)) == 1
    assert await store.next_due_at() == began + MINUTE + timedelta(seconds=10)


async def test_a_rate_is_not_charged_for_runs_that_were_looked_at_in_vain(store: Store, clock: FakeClock) -> None:
    """Behind a long line of one key the choice begins anew, with all that the rate allows."""
    await declared(store, per_key=1, rate=Rate(3, MINUTE))
    for key, count in (("x", 1), ("a", 100), ("y", 1), ("z", 1)):
        await queued(store, count, queue_key=key)
        clock.advance("1ms")

    assert await keys_taken(store, limit=9) == ["x", "a", "y"]


async def test_going_on_takes_nothing_of_a_rate(store: Store) -> None:
    await declared(store, rate=Rate(1, MINUTE))
    await queued(store, 2)
    (lease,) = await claimed(store, limit=5)
    await store.finish(lease, HandedBack())

    assert [one.run_id for one in await claimed(store, limit=5)] == [lease.run_id]


async def test_costs_stay_within_a_budget_that_queues_share(store: Store, clock: FakeClock) -> None:
    tokens = Budget("tokens", "100/min")
    await declared(store, "a", budget=tokens)
    await declared(store, "b", budget=tokens, concurrency=9)
    await queued(store, queue="a", cost=60)
    clock.advance("1ms")
    big = await queued(store, queue="b", cost=50)
    clock.advance("1ms")
    small = await queued(store, queue="a", cost=40)

    assert [(await store.run(one.run_id)).cost for one in await claimed(store, limit=5)] == [60, 40]
    clock.advance("1m")
    await queued(store, queue="b", cost=1)
    assert [one.run_id for one in await claimed(store, limit=1)] == [big[0].id]
    assert (await store.run(small[0].id)).epoch == 1


async def test_who_cannot_be_afforded_yet_is_not_overtaken(store: Store, clock: FakeClock) -> None:
    """Otherwise an expensive run would wait for ever behind cheap ones."""
    await declared(store, budget=Budget("tokens", "100/min"))
    await queued(store, cost=80)
    await claimed(store)
    dear = await queued(store, cost=50)
    clock.advance("1s")
    await queued(store, cost=10)

    assert await claimed(store, limit=5) == []
    clock.advance("59s")
    assert [one.run_id for one in await claimed(store, limit=1)] == [dear[0].id]


async def test_what_is_released_at_this_very_moment_is_not_waited_for(store: Store, clock: FakeClock) -> None:
    """A due time that is not in the future would have workers look again and again."""
    await declared(store, budget=Budget("tokens", "100/min"))
    began = store.now()
    await queued(store, cost=10)
    await claimed(store)
    clock.advance("10s")
    await queued(store, cost=80)
    await claimed(store)
    await queued(store, cost=50)
    clock.advance("50s")

    assert await claimed(store) == []
    assert await store.next_due_at() == began + timedelta(seconds=70)


async def test_a_cost_above_the_whole_budget_is_refused(store: Store) -> None:
    await declared(store, budget=Budget("tokens", "100/min"))

    with pytest.raises(InvalidSetting, match=r"costs 101, and budget 'tokens' of queue 'llm' is 100 per 1m"):
        await queued(store, 1, cost=101)
    assert (await store.counts()).runs == {}


async def test_a_run_above_a_budget_that_was_lowered_since_starts_alone(store: Store, clock: FakeClock) -> None:
    await declared(store, budget=Budget("tokens", "100/min"))
    await queued(store, 2, cost=90)
    lowered = Limits(budget=Budget("tokens", "50/min"))
    await store.change_queue(ChangeQueue(name="llm", by="mia", reason="", limits=lowered))

    assert len(await claimed(store, limit=5)) == 1
    assert await claimed(store, limit=5) == []
    clock.advance("1m")
    assert len(await claimed(store, limit=5)) == 1


# -- whose turn it is


async def test_keys_take_turns_where_a_queue_is_fair(store: Store, clock: FakeClock) -> None:
    await declared(store, concurrency=1, fair=True)
    await queued(store, 6, queue_key="a")
    clock.advance("1ms")
    for key in ("b", "c"):
        await queued(store, 2, queue_key=key)
    order = []
    while leases := await claimed(store, limit=5):
        order += [(await store.run(one.run_id)).queue_key for one in leases]
        await ended(store, *leases)

    assert order == ["a", "b", "c", "a", "b", "c", "a", "a", "a", "a"]


async def test_the_key_with_fewest_running_comes_first(store: Store, clock: FakeClock) -> None:
    await declared(store, concurrency=6, fair=True)
    await queued(store, 9, queue_key="a")
    held = await claimed(store, limit=3)
    clock.advance("1ms")
    await queued(store, 9, queue_key="b")

    assert await keys_taken(store, limit=1) == ["b"]
    assert await keys_taken(store, limit=2) == ["b", "b"]
    await ended(store, *held[:1])
    assert await keys_taken(store, limit=9) == ["a"]


async def test_without_fairness_the_oldest_starts_first(store: Store, clock: FakeClock) -> None:
    await declared(store, concurrency=2)
    await queued(store, 2, queue_key="a")
    clock.advance("1ms")
    await queued(store, 2, queue_key="b")

    assert await keys_taken(store, limit=9) == ["a", "a"]


async def test_a_priority_is_a_head_start_in_a_queue_with_limits_too(store: Store, clock: FakeClock) -> None:
    await declared(store, concurrency=1)
    patient = await queued(store)
    clock.advance("2s")
    urgent = await queued(store, priority=5)

    assert [one.run_id for one in await claimed(store, limit=5)] == [urgent[0].id]
    assert (await store.run(patient[0].id)).epoch == 0


# -- how many line up


async def test_a_full_queue_refuses_further_runs(store: Store) -> None:
    await declared(store, backlog=3, concurrency=1)
    await queued(store, 1)
    await queued(store, 2, delay=MINUTE)

    with pytest.raises(QueueFull, match=r"queue 'llm' has 3 runs lined up") as refused:
        await queued(store)
    assert (refused.value.queue, refused.value.backlog) == ("llm", 3)
    await claimed(store)
    await queued(store)


async def test_a_batch_that_does_not_fit_makes_no_run_at_all(store: Store) -> None:
    await declared(store, backlog=3)

    with pytest.raises(QueueFull):
        await queued(store, 4)
    assert (await store.counts()).runs == {}


async def test_a_trigger_that_made_its_run_before_needs_no_room(store: Store) -> None:
    await declared(store, backlog=1)
    (made,) = await queued(store, idempotency_key="k")

    assert (await queued(store, idempotency_key="k"))[0].id == made.id
