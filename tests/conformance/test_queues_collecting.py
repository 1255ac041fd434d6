"""Triggers that meet an open run (singletons), become one run (debounce, batch), or are not started in time."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from agentflow.clock import to_micros
from agentflow.errors import InvalidSetting, LeaseLost, SingletonTaken
from agentflow.limits import Budget, Limits
from agentflow.records import Run
from agentflow.requests import (
    Collect,
    Completed,
    DeclareQueue,
    HandedBack,
    RunFilter,
    Singleton,
)
from agentflow.states import EntryKind, RunStatus
from agentflow.store import Store
from agentflow.testing import FakeClock
from tests.support.deliveries import a_delivery
from tests.support.stores import (
    Database,
    a_gate,
    a_trigger,
    a_turn,
    a_wait_for,
    an_entry,
    claimed,
    kinds_of,
    last_entry,
)

SECOND = timedelta(seconds=1)
LAST = Collect(key="a", keep="last", delay=5 * SECOND, most=12 * SECOND)
LIST = Collect(key="a", keep="list", delay=5 * SECOND, size=3)


def single(conflict: Any, key: str = "a") -> Singleton:
    return Singleton(key, conflict)


async def runs_of(store: Store) -> list[Run]:
    return sorted((await store.runs(RunFilter())).items, key=lambda one: one.id)


# -- singletons


async def test_a_second_trigger_is_skipped_while_the_first_runs_run_is_open(store: Store) -> None:
    lease = await a_turn(store, singleton=single("skip"))

    with pytest.raises(SingletonTaken, match=r"no run was made") as refused:
        await store.trigger(a_trigger(singleton=single("skip")))
    assert refused.value.run_id == lease.run_id
    other = await store.trigger(a_trigger(singleton=single("skip", "b")))
    await store.finish(lease, Completed("1"))
    again = await store.trigger(a_trigger(singleton=single("skip")))

    assert [one.id for one in await runs_of(store)] == sorted([lease.run_id, other.id, again.id])


async def test_a_second_trigger_can_join_the_first(store: Store) -> None:
    first = await store.trigger(a_trigger(singleton=single("join")))

    assert (await store.trigger(a_trigger(input='{"n":2}', singleton=single("join")))).id == first.id
    assert len(await runs_of(store)) == 1


async def test_a_second_trigger_can_replace_the_first(store: Store) -> None:
    lease = await a_turn(store, singleton=single("replace"))

    second = await store.trigger(a_trigger(singleton=single("replace")))

    first = await store.run(lease.run_id)
    assert (first.status, second.status) == (RunStatus.CANCELLED, RunStatus.QUEUED)
    assert f"replaced by {second.id}" in str((await last_entry(store, first.id)).detail)
    with pytest.raises(LeaseLost):
        await store.append(lease, an_entry())


async def test_of_many_triggers_at_once_one_makes_the_run(database: Database) -> None:
    stores = [await database.open() for _ in range(4)]
    asked = [one.trigger(a_trigger(singleton=single("skip"))) for one in stores for _ in range(5)]

    made = await asyncio.gather(*asked, return_exceptions=True)

    assert sum(isinstance(one, Run) for one in made) == 1
    assert sum(isinstance(one, SingletonTaken) for one in made) == len(asked) - 1
    assert len(await runs_of(stores[0])) == 1


async def test_a_child_cannot_replace_a_run_it_is_a_part_of(store: Store) -> None:
    """It would cancel itself with it."""
    lease = await a_turn(store, singleton=single("replace"))

    with pytest.raises(SingletonTaken):
        await store.trigger_child(lease, [a_trigger(singleton=single("replace"))], an_entry())
    assert (await store.run(lease.run_id)).status is RunStatus.RUNNING


async def test_a_delivery_that_finds_an_open_run_is_answered_with_it(store: Store) -> None:
    first = await store.trigger(a_trigger(singleton=single("skip")))
    request = a_delivery(run=a_trigger(singleton=single("skip")))

    assert (await store.receive_delivery(request)).delivery.run_id == first.id
    assert (await store.receive_delivery(request)).delivery.run_id == first.id


# -- debounce


async def test_the_last_of_several_triggers_is_the_one_that_counts(store: Store, clock: FakeClock) -> None:
    first = await store.trigger(a_trigger(collect=LAST))
    clock.advance("3s")
    second = await store.trigger(a_trigger(input='{"n":2}', collect=LAST, cost=7, queue_key="k"))

    assert second.id == first.id
    assert (second.input, second.cost, second.queue_key) == ('{"n":2}', 7, "k")
    clock.advance("4999ms")
    assert await claimed(store) == []
    clock.advance("1ms")
    assert [one.run_id for one in await claimed(store)] == [first.id]


async def test_triggers_that_never_end_cannot_put_the_start_off_for_ever(store: Store, clock: FakeClock) -> None:
    first = await store.trigger(a_trigger(collect=LAST))
    for _ in range(4):
        clock.advance("3s")
        await store.trigger(a_trigger(collect=LAST))

    assert [one.run_id for one in await claimed(store)] == [first.id]


async def test_a_trigger_after_the_start_makes_a_run_of_its_own(store: Store, clock: FakeClock) -> None:
    first = await store.trigger(a_trigger(collect=LAST))
    clock.advance("5s")
    (lease,) = await claimed(store)
    second = await store.trigger(a_trigger(collect=LAST))
    await store.finish(lease, HandedBack())
    third = await store.trigger(a_trigger(collect=LAST))

    assert first.id != second.id == third.id


async def test_triggers_of_other_keys_are_kept_apart(store: Store) -> None:
    other = Collect(key="b", keep="last", delay=SECOND)

    assert (await store.trigger(a_trigger(collect=LAST))).id != (await store.trigger(a_trigger(collect=other))).id
    assert (await store.trigger(a_trigger("t", collect=LAST))).task == "t"
    assert len(await runs_of(store)) == 3


# -- batch


def items(*values: Any) -> str:
    return json.dumps({"items": list(values)})


async def test_triggers_are_gathered_in_a_list_until_it_is_full(store: Store, clock: FakeClock) -> None:
    first = await store.trigger(a_trigger(input=items(1), collect=LIST, cost=2))
    await store.trigger(a_trigger(input=items("zwei", 2.0), collect=LIST, cost=3))
    fourth = await store.trigger(a_trigger(input=items(4), collect=LIST))

    (lease,) = await claimed(store, limit=5)
    run = await store.run(lease.run_id)
    assert (run.id, json.loads(run.input), run.cost) == (first.id, {"items": [1, "zwei", 2.0]}, 5)
    assert fourth.id != first.id


async def test_a_list_that_is_not_full_starts_after_its_delay(store: Store, clock: FakeClock) -> None:
    first = await store.trigger(a_trigger(input=items(1), collect=LIST))
    clock.advance("3s")
    await store.trigger(a_trigger(input=items(2), collect=LIST))
    assert await claimed(store) == []
    clock.advance("2s")

    assert [one.run_id for one in await claimed(store)] == [first.id]


async def test_what_does_not_fit_into_the_list_begins_another(store: Store, clock: FakeClock) -> None:
    """One trigger's inputs stay together."""
    await store.trigger(a_trigger(input=items(1, 2), collect=LIST))
    clock.advance("1ms")
    await store.trigger(a_trigger(input=items(3, 4), collect=LIST))
    await store.trigger(a_trigger(input=items(5, 6, 7, 8), collect=LIST))

    found = [json.loads((await store.run(one.run_id)).input)["items"] for one in await claimed(store, limit=9)]
    assert sorted(found) == [[1, 2], [3, 4], [5, 6, 7, 8]]


async def test_a_list_never_costs_more_than_its_budget(store: Store) -> None:
    limits = Limits(budget=Budget("tokens", "10/min"))
    await store.declare_queues([DeclareQueue(name="llm", limits=limits)])
    for n in range(3):
        await store.trigger(a_trigger(input=items(n), collect=LIST, queue="llm", cost=5))

    assert sorted(one.cost for one in await runs_of(store)) == [5, 10]


async def test_large_lists_are_gathered_too(store: Store) -> None:
    text = "x" * 200_000
    for _ in range(2):
        made = await store.trigger(a_trigger(input=items(text), collect=LIST))

    assert json.loads((await store.run(made.id)).input) == {"items": [text, text]}


@pytest.mark.parametrize("input", ['{"n":1}', "{}", '{"a":[],"b":[]}', "[1]"])
async def test_an_input_that_is_no_list_is_refused(store: Store, input: str) -> None:
    with pytest.raises(InvalidSetting, match="in one list"):
        await store.trigger(a_trigger(input=input, collect=LIST))
    assert (await store.counts()).runs == {}


async def test_triggers_of_several_processes_are_gathered_without_loss(database: Database) -> None:
    stores = [await database.open() for _ in range(3)]
    many = Collect(key="", keep="list", delay=SECOND, size=10)

    made = await asyncio.gather(
        *(
            one.trigger(a_trigger(input=items(f"{at}-{n}"), collect=many))
            for at, one in enumerate(stores)
            for n in range(10)
        )
    )

    found = [json.loads(one.input)["items"] for one in await runs_of(stores[0])]
    assert len({one.id for one in made}) == len(found) == 3
    assert sorted(item for each in found for item in each) == sorted(f"{at}-{n}" for at in range(3) for n in range(10))


# -- not started in time


async def test_a_run_that_is_not_started_in_time_expires(store: Store, clock: FakeClock) -> None:
    made = await store.trigger(a_trigger(ttl=10 * SECOND, singleton=single("skip")))
    assert made.expires_at == store.now() + 10 * SECOND
    assert await store.next_due_at() == made.expires_at
    clock.advance("10s")

    assert await claimed(store) == []
    assert await store.expire(limit=10) == 1

    run = await store.run(made.id)
    assert (run.status, run.finished_at) == (RunStatus.EXPIRED, store.now())
    assert await kinds_of(store, made.id) == [EntryKind.TRIGGERED, EntryKind.RUN_EXPIRED]
    assert await store.next_due_at() is None
    await store.trigger(a_trigger(singleton=single("skip")))


async def test_the_time_to_start_counts_from_when_it_may(store: Store, clock: FakeClock) -> None:
    made = await store.trigger(a_trigger(ttl=SECOND, delay=10 * SECOND))
    assert made.expires_at == store.now() + 11 * SECOND
    clock.advance("10s")
    assert len(await claimed(store)) == 1


async def test_a_run_that_was_started_never_expires(store: Store, clock: FakeClock) -> None:
    lease = await a_turn(store, ttl=SECOND)
    await store.finish(lease, HandedBack())
    clock.advance("1h")

    assert await store.expire(limit=10) == 0
    assert len(await claimed(store)) == 1


async def test_a_parent_is_told_that_its_child_expired(store: Store, clock: FakeClock) -> None:
    lease = await a_turn(store)
    (child,) = await store.trigger_child(lease, [a_trigger("child", ttl=SECOND)], an_entry("child#1"))
    wait = a_wait_for(child, "child#2")
    await store.park(lease, [wait, a_gate(store)], [wait.key])
    clock.advance("1s")

    await store.expire(limit=10)

    resolved = await last_entry(store, lease.run_id)
    assert (resolved.kind, resolved.detail) == (EntryKind.WAIT_RESOLVED, "expired")
    assert len(await claimed(store)) == 1


async def test_a_run_can_be_put_off_until_an_instant(store: Store, clock: FakeClock) -> None:
    at = store.now() + 90 * SECOND
    made = await store.trigger(a_trigger(run_at=at, ttl=SECOND))
    late = await store.trigger(a_trigger(run_at=store.now() - SECOND))

    assert (made.available_at, made.expires_at) == (at, at + SECOND)
    assert late.available_at is not None
    assert to_micros(late.available_at) == to_micros(store.now())
    assert await store.next_due_at() == at
