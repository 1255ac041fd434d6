"""What models cost and what was said outlive their runs, each for a time of its own."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from agentflow.requests import BeforeCall, Completed, CostsFilter, GrantBudget, Kept, Prune
from agentflow.states import ParentClose
from tests.conformance.test_ageing import counted_then_pruned
from tests.support.spending import a_chunk, a_part, a_use, bounded, extended, used
from tests.support.stores import a_child, a_decision, a_gated_run, a_turn, an_entry, claimed

if TYPE_CHECKING:
    from agentflow.requests import Lease
    from agentflow.store import Store
    from agentflow.testing import FakeClock

AGE = timedelta(days=14)
LARGE = json.dumps(["x" * 200_000])


async def ended(store: Store, lease: Lease) -> None:
    await store.finish(lease, Completed('"done"'))


async def a_costly_run(store: Store, calls: int, *, ends: bool = True, **given: Any) -> Lease:
    lease = await a_turn(store, **given)
    for n in range(calls):
        await used(store, lease, f"model#{n}")
    if ends:
        await ended(store, lease)
    return lease


async def calls_of(store: Store, *leases: Lease) -> list[int]:
    return [len(await store.usage(lease.run_id)) for lease in leases]


async def all_costs(store: Store) -> int:
    found = await store.costs(CostsFilter(since=store.now() - timedelta(days=999), until=store.now() + AGE))
    return sum(row.spent.calls for row in found)


async def test_what_was_spent_is_known_when_the_run_is_removed(store: Store, clock: FakeClock) -> None:
    lease = await a_costly_run(store, 3, ends=False)
    await bounded(store, lease)
    await store.grant_budget(GrantBudget(id="g", run_id=lease.run_id, key="", by="mia", tokens=1))
    await store.keep_chunks([a_chunk(lease.run_id)])
    await extended(store, lease, a_part())
    await ended(store, lease)
    await clock.advance(AGE)
    assert (await store.prune(Prune(kind=Kept.RUNS, before=store.now()))).removed == 1

    assert await calls_of(store, lease) == [3]
    assert (await store.spent(lease.run_id)).calls == await all_costs(store) == 3
    assert [part.run_id for part in await store.thread("customer-7")] == [lease.run_id]
    assert await store.chunks(lease.run_id) == []
    assert await store.budgets(lease.run_id) == []


async def test_a_run_that_leaves_its_approvals_leaves_no_budget(store: Store, clock: FakeClock) -> None:
    approval = await a_gated_run(store)
    await store.decide(a_decision(approval.id))
    (lease,) = await claimed(store)
    await bounded(store, lease)
    await ended(store, lease)
    await clock.advance(AGE)
    assert (await store.prune(Prune(kind=Kept.RUNS, before=store.now()))).reduced == 1
    assert await store.budgets(lease.run_id) == []


async def test_old_spending_goes_when_nobody_counts_it_any_more(store: Store, clock: FakeClock) -> None:
    old, still_open = await a_costly_run(store, 3), await a_costly_run(store, 2, ends=False)
    await clock.advance(AGE + timedelta(seconds=1))
    young = await a_costly_run(store, 1)
    assert await counted_then_pruned(store, Kept.USAGE) == 3
    assert await calls_of(store, old, still_open, young) == [0, 2, 1]


async def test_what_a_child_spent_stays_while_a_run_above_it_is_open(store: Store, clock: FakeClock) -> None:
    root = await a_turn(store)
    await bounded(store, root)
    await a_child(store, root)
    (child,) = await claimed(store, task="child")
    await a_child(store, child, task="last", on_parent_close=ParentClose.ABANDON)
    (last,) = await claimed(store, task="last")
    for lease in (child, last):
        await used(store, lease)
        await ended(store, lease)
    await clock.advance(2 * AGE)
    assert await counted_then_pruned(store, Kept.USAGE) == 0
    (budget,) = (await store.before_call(BeforeCall(run_id=root.run_id, key="model#1"))).budgets
    assert budget.spent.calls == 2
    await ended(store, root)
    assert await counted_then_pruned(store, Kept.USAGE) == 2


async def test_a_conversation_goes_as_a_whole_when_nobody_adds_to_it(store: Store, clock: FakeClock) -> None:
    first, second = await a_turn(store), await a_turn(store)
    for name in ("old-1", "old-2", "old-3", "alive", "in-use"):
        await extended(store, first, a_part(name, f"thread#{name}", LARGE))
    await extended(store, second, a_part("in-use"))
    await ended(store, first)
    await clock.advance(AGE + timedelta(seconds=1))
    await extended(store, second, a_part("alive", "thread#2", LARGE))

    assert await counted_then_pruned(store, Kept.THREADS) == 3
    names = ("old-1", "old-2", "old-3", "alive", "in-use")
    assert [len(await store.thread(name)) for name in names] == [0, 0, 0, 2, 2]
    assert {part.messages for part in await store.thread("alive")} == {LARGE}

    await ended(store, second)
    await clock.advance(AGE + timedelta(seconds=1))
    assert await counted_then_pruned(store, Kept.THREADS) == 2
    again = await extended(store, await a_turn(store), a_part("old-1"))
    assert again.seq == 1


async def test_a_large_part_of_a_conversation_stays_while_its_run_goes(store: Store, clock: FakeClock) -> None:
    """The same text is named by the run's journal and by the conversation."""
    lease = await a_turn(store)
    await store.append(lease, an_entry("thread#1", output=LARGE, usage=(a_use(),)))
    await extended(store, lease, a_part(messages=LARGE))
    await ended(store, lease)
    await clock.advance(AGE)
    assert (await store.prune(Prune(kind=Kept.RUNS, before=store.now()))).removed == 1
    assert (await store.thread("customer-7"))[0].messages == LARGE
