"""Budgets of run trees: what a model call finds over it, whatever is granted, and that nothing counts twice."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from agentflow.errors import IdempotencyMismatch, LeaseLost, RunNotFound
from agentflow.requests import BeforeCall, ForkRun, GrantBudget, NewBudget, ReceiveEvents, SendEvent
from tests.support.spending import a_use, bounded, kept, over, used
from tests.support.stores import a_child, a_turn, an_entry, claimed

if TYPE_CHECKING:
    from agentflow.requests import Lease
    from agentflow.store import Store
    from agentflow.testing import FakeClock

MAIL = "agentflow.mail"


def a_grant(run_id: str, key: str = "", id: str = "grant_1", **given: Any) -> GrantBudget:
    return GrantBudget(id=id, run_id=run_id, key=key, by="mia", **({"tokens": 500} | given))


async def below(store: Store, lease: Lease, task: str, key: str) -> Lease:
    """The lease of a child that this operation of the lease's run triggered."""
    await a_child(store, lease, task=task, key=key)
    (found,) = await claimed(store, task=task)
    return found


async def test_a_call_finds_the_budget_of_its_run_and_what_was_spent_of_it(store: Store) -> None:
    lease = await a_turn(store)
    await bounded(store, lease, cost=Decimal("2.50"), warn_at=0.75)
    await used(store, lease, "model#1/a#1", a_use(), a_use(cost=None))

    (found,) = await over(store, lease.run_id)

    assert (found.run_id, found.key, found.tokens) == (lease.run_id, "", 1000)
    assert (found.cost, found.warn_at) == (Decimal("2.5"), 0.75)
    assert (found.spent.calls, found.spent.tokens, found.spent.cost) == (2, 220, Decimal("0.001"))
    assert found.spent.unpriced == 1


async def test_no_budget_is_found_where_none_is_held(store: Store) -> None:
    lease = await a_turn(store)
    await bounded(store, await a_turn(store))
    assert await over(store, lease.run_id) == []
    assert await store.budgets(lease.run_id) == []
    assert await over(store, "run_none") == []


async def test_a_budget_that_is_held_again_stands_as_it_is(store: Store) -> None:
    """As when the run is replayed, or goes on after a crash."""
    lease = await a_turn(store)
    await bounded(store, lease)
    await store.grant_budget(a_grant(lease.run_id))
    await bounded(store, lease, tokens=7)
    assert [one.tokens for one in await store.budgets(lease.run_id)] == [1500]


async def test_a_turn_that_lost_its_lease_holds_no_budget(store: Store) -> None:
    lease = await a_turn(store)
    with pytest.raises(LeaseLost):
        await kept(store, replace(lease, epoch=9), NewBudget(key="", tokens=1))
    assert await store.budgets(lease.run_id) == []


async def test_a_scope_counts_what_happens_within_it(store: Store) -> None:
    lease = await a_turn(store)
    for key in ("", "research#1", "research#1/draft#2", "research#10"):
        await bounded(store, lease, key)
    for key in ("research#1", "research#1/model#1/a#1", "research#1/draft#2/model#1", "research#10/model#1"):
        await used(store, lease, key)

    found = await over(store, lease.run_id, "research#1/draft#2/model#4/a#1")
    assert [(one.key, one.spent.calls) for one in found] == [("research#1/draft#2", 1), ("research#1", 2), ("", 4)]
    assert [one.key for one in await over(store, lease.run_id, "research#10/model#1")] == ["research#10", ""]
    assert [one.key for one in await over(store, lease.run_id, "research#1")] == [""]
    assert [(one.key, one.spent.calls) for one in await store.budgets(lease.run_id)] == [
        ("", 4),
        ("research#1", 2),
        ("research#1/draft#2", 1),
        ("research#10", 1),
    ]


async def test_runs_below_count_and_are_bounded_by_what_led_to_them(store: Store) -> None:
    root = await a_turn(store)
    await bounded(store, root)
    await bounded(store, root, "research#1", tokens=300)
    await bounded(store, root, "other#1", tokens=1)
    child = await below(store, root, "child", "research#1/child#1")
    last = await below(store, child, "last", "last#1")
    beside = await below(store, root, "beside", "beside#1")
    await bounded(store, child, tokens=50)
    for lease in (root, child, last, beside):
        await used(store, lease)

    found = await over(store, last.run_id)
    assert [(one.run_id, one.key, one.spent.calls) for one in found] == [
        (child.run_id, "", 2),
        (root.run_id, "research#1", 2),
        (root.run_id, "", 4),
    ]
    assert [(one.key, one.spent.calls) for one in await over(store, beside.run_id)] == [("", 4)]


async def test_a_grant_adds_to_what_is_limited_and_only_once(store: Store) -> None:
    lease = await a_turn(store)
    await bounded(store, lease, "a#1")
    await bounded(store, lease, "b#1", tokens=None, cost=Decimal(1))
    again = [
        await store.grant_budget(a_grant(lease.run_id, "a#1", cost=Decimal(1), tokens=tokens)) for tokens in (500, 500)
    ]
    assert again[0] == again[1]
    assert (again[0].tokens, again[0].cost) == (1500, None)
    second = await store.grant_budget(a_grant(lease.run_id, "b#1", "grant_2", cost=Decimal("0.25")))
    assert (second.tokens, second.cost) == (None, Decimal("1.25"))
    third = await store.grant_budget(a_grant(lease.run_id, "b#1", "grant_3", tokens=0, cost=None))
    assert (third.tokens, third.cost) == (None, Decimal("1.25"))


async def test_grants_that_come_at_once_add_up(store: Store) -> None:
    lease = await a_turn(store)
    await bounded(store, lease)
    await asyncio.gather(*(store.grant_budget(a_grant(lease.run_id, id=f"grant_{n % 5}")) for n in range(20)))
    assert [one.tokens for one in await store.budgets(lease.run_id)] == [1000 + 5 * 500]


async def test_nothing_is_granted_where_there_is_no_such_budget(store: Store) -> None:
    lease = await a_turn(store)
    with pytest.raises(RunNotFound, match="nothing was granted"):
        await store.grant_budget(a_grant(lease.run_id))
    with pytest.raises(RunNotFound):
        await store.grant_budget(a_grant("run_none"))
    await bounded(store, lease)
    assert (await store.grant_budget(a_grant(lease.run_id))).tokens == 1500  # the id was not used up


async def test_one_grant_is_not_made_to_two_budgets(store: Store) -> None:
    lease = await a_turn(store)
    await bounded(store, lease, "a#1")
    await bounded(store, lease, "b#1")
    await store.grant_budget(a_grant(lease.run_id, "a#1"))
    with pytest.raises(IdempotencyMismatch, match="'a#1'"):
        await store.grant_budget(a_grant(lease.run_id, "b#1"))
    assert [one.tokens for one in await store.budgets(lease.run_id)] == [1500, 1000]


async def test_a_fork_begins_with_nothing_spent(store: Store) -> None:
    lease = await a_turn(store)
    await bounded(store, lease)
    await used(store, lease)
    made = await store.fork(ForkRun(run_id=lease.run_id, by="mia"))
    assert (await store.spent(made.id)).calls == 0
    assert await store.budgets(made.id) == []


# -- mail


async def told(store: Store, run_id: str, id: str, name: str = MAIL) -> None:
    await store.send_event(SendEvent(id=id, name=name, key=run_id, payload='"stop"', sent_by="mia"))


async def has_mail(store: Store, run_id: str) -> bool:
    return (await store.before_call(BeforeCall(run_id=run_id, key="model#1", mail=MAIL))).has_mail


async def test_there_is_mail_until_it_is_received(store: Store) -> None:
    lease = await a_turn(store)
    assert not await has_mail(store, lease.run_id)
    await told(store, lease.run_id, "evt_1")
    await told(store, lease.run_id, "evt_2")
    assert await has_mail(store, lease.run_id)
    asked = ReceiveEvents(name=MAIL, key=lease.run_id, limit=1)
    for n in (1, 2):
        assert await has_mail(store, lease.run_id)
        await store.receive_events(lease, asked, an_entry(f"receive#{n}"))
    assert not await has_mail(store, lease.run_id)
    await told(store, lease.run_id, "evt_3")
    assert await has_mail(store, lease.run_id)


async def test_other_messages_are_no_mail(store: Store) -> None:
    lease, other = await a_turn(store), await a_turn(store)
    await told(store, lease.run_id, "evt_1", name="paid")
    await told(store, other.run_id, "evt_2")
    assert not await has_mail(store, lease.run_id)
    assert not (await store.before_call(BeforeCall(run_id=other.run_id, key="model#1"))).has_mail


async def test_what_was_sent_before_the_run_began_is_no_mail(store: Store, clock: FakeClock) -> None:
    """As receiving would not give it, a run that looks and receives would go round in a circle."""
    await told(store, "run_known_ahead", "evt_1")
    await clock.advance(timedelta(seconds=1))
    lease = await a_turn(store, id="run_known_ahead")
    assert not await has_mail(store, lease.run_id)
