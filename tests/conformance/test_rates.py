"""Rates of calls that all workers share: exact, whoever calls, and a pause that the other side asked for."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from agentflow.requests import TakeRate
from tests.support.stores import Database

if TYPE_CHECKING:
    from agentflow.store import Store
    from agentflow.testing import FakeClock

SECOND = timedelta(seconds=1)


def a_call(key: str = "openai", **given: Any) -> TakeRate:
    return TakeRate(key=key, **({"amount": 2, "per": 10 * SECOND} | given))


async def test_calls_pass_until_the_rate_is_used_and_again_when_the_first_is_past(
    store: Store, clock: FakeClock
) -> None:
    begun = clock.now()
    assert await store.take_rate(a_call()) is None
    await clock.advance(4 * SECOND)
    assert await store.take_rate(a_call()) is None
    assert await store.take_rate(a_call()) == begun + 10 * SECOND
    assert await store.take_rate(a_call("other")) is None
    await clock.advance(6 * SECOND)
    assert await store.take_rate(a_call()) is None
    assert await store.take_rate(a_call()) == begun + 14 * SECOND


async def test_a_refused_call_takes_nothing(store: Store, clock: FakeClock) -> None:
    await store.take_rate(a_call(cost=2))
    for _ in range(5):
        assert await store.take_rate(a_call()) is not None
    await clock.advance(10 * SECOND)
    assert await store.take_rate(a_call(cost=2)) is None


async def test_a_call_may_cost_more_than_one(store: Store, clock: FakeClock) -> None:
    begun = clock.now()
    assert await store.take_rate(a_call(amount=100, cost=70)) is None
    assert await store.take_rate(a_call(amount=100, cost=31)) == begun + 10 * SECOND
    assert await store.take_rate(a_call(amount=100, cost=30)) is None


async def test_workers_that_call_at_once_stay_within_the_rate(database: Database) -> None:
    stores = [await database.open() for _ in range(3)]
    asked = [stores[n % 3].take_rate(a_call(amount=7)) for n in range(30)]
    found = await asyncio.gather(*asked)
    assert found.count(None) == 7


async def test_while_a_key_is_held_off_no_call_passes(store: Store, clock: FakeClock) -> None:
    begun = clock.now()
    await store.hold_off("openai", 30 * SECOND)
    assert await store.take_rate(a_call()) == begun + 30 * SECOND
    assert await store.take_rate(a_call("other")) is None
    await clock.advance(30 * SECOND)
    assert await store.take_rate(a_call(cost=2)) is None  # nothing was taken meanwhile


async def test_a_longer_hold_stands_and_a_shorter_one_changes_nothing(store: Store, clock: FakeClock) -> None:
    begun = clock.now()
    await store.hold_off("openai", 30 * SECOND)
    await store.hold_off("openai", 5 * SECOND)
    assert await store.take_rate(a_call()) == begun + 30 * SECOND
    await store.hold_off("openai", 60 * SECOND)
    assert await store.take_rate(a_call()) == begun + 60 * SECOND
