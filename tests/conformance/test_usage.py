"""What calls of models used: kept with the entry that records them, once, and summed for runs and for the books."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from agentflow.errors import LeaseLost
from agentflow.requests import Completed, CostsFilter, NewCallback, ReceiveEvents
from agentflow.states import EntryKind
from agentflow.usage import Usage
from tests.support.spending import LARGE, SMALL, a_use, used
from tests.support.stores import a_child, a_gate, a_trigger, a_turn, an_entry, claimed, everything_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.records import CostsRow
    from agentflow.requests import Lease
    from agentflow.store import Store
    from agentflow.testing import FakeClock

DAY = timedelta(days=1)
VERBS = ("append", "settle", "trigger_child", "receive_events", "create_callback")


async def written(store: Store, verb: str, lease: Lease) -> None:
    """Have the verb keep an entry that used something."""
    entry = an_entry("model#1", usage=(a_use(),))
    if verb == "append":
        await store.append(lease, entry)
    elif verb == "settle":
        await store.settle(lease, entry, "model#1")
    elif verb == "trigger_child":
        await store.trigger_child(lease, [a_trigger("child")], entry)
    elif verb == "receive_events":
        await store.receive_events(lease, ReceiveEvents(name="mail", key="k", limit=1), entry)
    else:
        new = NewCallback(id="cbk_1", key="model#1", token_digest="d", timeout=None, heartbeat_for=None)
        await store.create_callback(lease, new, entry)


async def test_an_entry_and_what_it_used_are_kept_together(store: Store, clock: FakeClock) -> None:
    lease = await a_turn(store)
    one = Usage(
        model=LARGE,
        input_tokens=1200,
        output_tokens=34,
        cached_tokens=1000,
        reasoning_tokens=20,
        cost=Decimal("0.004110000"),
    )
    other = Usage(model=SMALL, input_tokens=5)
    await store.append(lease, an_entry("model#1/a#1", EntryKind.ATTEMPT_FAILED, attempt=2, took=1500, usage=(one,)))
    await clock.advance(timedelta(seconds=2))
    await store.append(lease, an_entry("model#1/a#1", attempt=3, usage=(other, one)))
    await store.append(lease, an_entry("fetch#1"))

    first, second, third = await store.usage(lease.run_id)

    assert (first.run_id, first.task, first.key, first.attempt) == (lease.run_id, "review", "model#1/a#1", 2)
    assert (first.usage, second.usage, third.usage) == (one, other, one)
    assert first.took == timedelta(microseconds=1500)
    assert second.took is None
    assert second.at - first.at == timedelta(seconds=2)
    assert first.id < second.id < third.id
    assert second.usage.cost is None
    assert len(await store.entries(lease.run_id)) == 4  # with that of the trigger


@pytest.mark.parametrize("verb", VERBS)
async def test_whatever_verb_keeps_the_entry_counts_it(store: Store, verb: str) -> None:
    lease = await a_turn(store)
    await written(store, verb, lease)
    assert [line.usage for line in await store.usage(lease.run_id)] == [a_use()]


@pytest.mark.parametrize("verb", VERBS)
async def test_a_turn_that_lost_its_lease_counts_nothing(store: Store, verb: str) -> None:
    lease = await a_turn(store)
    before = await everything_of(store, lease.run_id)
    with pytest.raises(LeaseLost):
        await written(store, verb, replace(lease, epoch=lease.epoch + 1))
    assert await store.usage(lease.run_id) == []
    assert (await store.spent(lease.run_id)).calls == 0
    assert await everything_of(store, lease.run_id) == before


async def test_of_appends_that_go_together_each_counts_its_own(store: Store) -> None:
    leases = [await a_turn(store) for _ in range(3)]
    stale = replace(leases[0], epoch=9)
    entries = [an_entry("m#1", usage=(a_use(),)), an_entry("m#1", usage=(a_use(LARGE), a_use())), an_entry("m#1")]
    found = await asyncio.gather(
        *(store.append(lease, entry) for lease, entry in zip(leases, entries, strict=True)),
        store.append(stale, an_entry("m#2", usage=(a_use(),))),
        return_exceptions=True,
    )
    assert [type(one) for one in found] == [type(None)] * 3 + [LeaseLost]
    assert [len(await store.usage(lease.run_id)) for lease in leases] == [1, 2, 0]


async def test_a_run_has_spent_what_it_and_the_runs_below_it_spent(store: Store) -> None:
    lease = await a_turn(store)
    child = await a_child(store, lease)
    (child_lease,) = await claimed(store, task="child")
    grandchild = await a_child(store, child_lease, task="grandchild")
    (last,) = await claimed(store, task="grandchild")
    stranger = await a_turn(store)
    await used(store, lease)
    await used(store, child_lease, "m#1", a_use(cost=None))
    await used(store, last, "m#1", a_use(LARGE, cost=Decimal("0.0000000001"), cached_tokens=7))
    await used(store, stranger)

    whole = await store.spent(lease.run_id)
    assert (whole.calls, whole.input_tokens, whole.output_tokens, whole.cached_tokens) == (3, 300, 30, 7)
    assert whole.tokens == 330
    assert (whole.cost, whole.unpriced) == (Decimal("0.001000001"), 1)  # rounded up to a billionth
    assert (await store.spent(child.id)).calls == 2
    assert (await store.spent(grandchild.id)).calls == 1
    assert (await store.spent("run_none")).calls == 0


async def test_a_count_that_nobody_can_have_meant_stops_no_run(store: Store) -> None:
    """A provider that says it used a googol of tokens is not believed, and breaks no sum."""
    lease = await a_turn(store)
    for n in range(3):
        await used(store, lease, f"m#{n}", a_use(input_tokens=10**100, cost=Decimal(10**60)))
    assert (await store.spent(lease.run_id)).calls == 3


# -- the books


def shown(found: Sequence[CostsRow]) -> list[tuple[str, str, str, int, str]]:
    return [(str(one.day), one.task, one.model, one.spent.calls, str(one.spent.cost.normalize())) for one in found]


async def test_costs_are_summed_by_day_task_and_model(store: Store, clock: FakeClock) -> None:
    begun = clock.now()
    first = await a_turn(store)
    await used(store, first, "m#1", a_use(), a_use(LARGE))
    await used(store, first, "m#2")
    await clock.advance(DAY)
    second = await a_turn(store, task="triage")
    await used(store, second, "m#1", a_use(cost=None))
    day, next_day = str(begun.date()), str((begun + DAY).date())

    found = await store.costs(CostsFilter(since=begun, until=clock.now() + DAY))
    assert shown(found) == [
        (next_day, "triage", SMALL, 1, "0"),
        (day, "review", LARGE, 1, "0.001"),
        (day, "review", SMALL, 2, "0.002"),
    ]
    assert found[0].spent.unpriced == 1
    one_task = await store.costs(CostsFilter(since=begun, until=clock.now() + DAY, task="review", model=SMALL))
    assert shown(one_task) == shown(found)[2:]
    assert shown(await store.costs(CostsFilter(since=begun, until=begun + DAY))) == shown(found)[1:]
    assert shown(await store.costs(CostsFilter(since=begun + DAY, until=begun + 2 * DAY))) == shown(found)[:1]


async def test_a_day_ends_at_midnight_utc(store: Store, clock: FakeClock) -> None:
    lease = await a_turn(store)
    midnight = (clock.now() + DAY).replace(hour=0, minute=0, second=0, microsecond=0)
    await clock.advance(midnight - clock.now() - timedelta(microseconds=1))
    await used(store, lease, "m#1")
    await clock.advance(timedelta(microseconds=1))
    await used(store, lease, "m#2")
    found = await store.costs(CostsFilter(since=midnight - DAY, until=midnight + DAY))
    assert [one.day for one in found] == [midnight.date(), (midnight - DAY).date()]


async def test_an_approval_that_is_decided_meanwhile_changes_no_count(store: Store) -> None:
    """A run that parks and goes on has its earlier calls counted once."""
    lease = await a_turn(store)
    await used(store, lease)
    gate = a_gate(store)
    await store.park(lease, [gate], [gate.key])
    await store.cancel(lease.run_id, by="mia", reason="")
    assert (await store.spent(lease.run_id)).calls == 1


async def test_what_a_run_used_is_known_after_its_end(store: Store) -> None:
    lease = await a_turn(store)
    await used(store, lease)
    await store.finish(lease, Completed('"done"'))
    assert len(await store.usage(lease.run_id)) == 1
