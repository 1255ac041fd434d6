"""Heartbeats are fenced by the turn's lease; circuit breakers are the same for every worker."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from agentflow.errors import LeaseLost
from agentflow.requests import BreakerRule, HandedBack
from agentflow.store import Store
from agentflow.testing import FakeClock
from tests.support.stores import Database, a_turn, claimed

RULE = BreakerRule(key="openai", failures=3, within=timedelta(minutes=1), open_for=timedelta(seconds=30))


async def failing(store: Store, times: int, rule: BreakerRule = RULE) -> None:
    for _ in range(times):
        await store.report(rule, ok=False)


# -- heartbeats


async def test_the_last_thing_a_step_said_is_kept(store: Store) -> None:
    lease = await a_turn(store)
    assert await store.last_beat(lease.run_id, "import#1") is None

    await store.beat(lease, "import#1", '{"row":1}')
    await store.beat(lease, "import#1", '{"row":2}')
    await store.beat(lease, "import#2", '"other"')

    assert await store.last_beat(lease.run_id, "import#1") == '{"row":2}'
    assert await store.last_beat(lease.run_id, "import#2") == '"other"'
    assert await store.last_beat("run_of_nobody", "import#1") is None


@pytest.mark.parametrize("first", [True, False])
async def test_a_superseded_turn_cannot_say_anything(store: Store, first: bool) -> None:
    stale = await a_turn(store)
    if not first:
        await store.beat(stale, "import#1", '"mine"')
    await store.finish(stale, HandedBack())

    with pytest.raises(LeaseLost):
        await store.beat(stale, "import#1", '"late"')
    [lease] = await claimed(store)
    with pytest.raises(LeaseLost):
        await store.beat(stale, "import#1", '"later"')

    assert await store.last_beat(lease.run_id, "import#1") == (None if first else '"mine"')


async def test_what_was_said_outlives_the_turn(store: Store) -> None:
    lease = await a_turn(store)
    await store.beat(lease, "import#1", '"before"')
    await store.finish(lease, HandedBack())

    [again] = await claimed(store)

    assert await store.last_beat(again.run_id, "import#1") == '"before"'
    await store.beat(again, "import#1", '"after"')
    assert await store.last_beat(again.run_id, "import#1") == '"after"'


async def test_a_heartbeat_is_no_news_for_those_who_follow_the_run(store: Store) -> None:
    lease = await a_turn(store)
    before = await store.entries(lease.run_id)
    heard: list[Any] = []
    stop = store.watch(lambda *said: heard.append(said))

    await store.beat(lease, "import#1", '"going"')

    stop()
    assert heard == []
    assert await store.entries(lease.run_id) == before


# -- circuit breakers


async def test_enough_failures_in_a_row_open_the_breaker_for_a_while(store: Store, clock: FakeClock) -> None:
    await failing(store, 2)
    assert await store.admit(RULE) is None

    await failing(store, 1)

    assert await store.admit(RULE) == store.now() + timedelta(seconds=30)
    clock.advance("29s")
    assert await store.admit(RULE) == store.now() + timedelta(seconds=1)


async def test_a_success_in_between_begins_the_count_anew(store: Store) -> None:
    await failing(store, 2)
    await store.report(RULE, ok=True)
    await failing(store, 2)

    assert await store.admit(RULE) is None
    await failing(store, 1)
    assert await store.admit(RULE) is not None


async def test_failures_that_lie_too_far_apart_are_not_counted_together(store: Store, clock: FakeClock) -> None:
    await failing(store, 2)
    clock.advance("61s")
    await failing(store, 2)
    assert await store.admit(RULE) is None

    clock.advance("60s")
    await failing(store, 1)
    assert await store.admit(RULE) is not None, "within the minute of the first that counts"


async def test_once_its_time_is_over_one_caller_is_let_through_and_the_others_wait(
    store: Store, clock: FakeClock
) -> None:
    await failing(store, 3)
    clock.advance("30s")

    answers = await asyncio.gather(*(store.admit(RULE) for _ in range(8)))

    assert answers.count(None) == 1
    assert {one for one in answers if one} == {store.now() + timedelta(seconds=30)}


async def test_the_one_that_was_let_through_closes_the_breaker_or_opens_it_anew(store: Store, clock: FakeClock) -> None:
    await failing(store, 3)
    clock.advance("30s")
    assert await store.admit(RULE) is None
    await failing(store, 1)
    assert await store.admit(RULE) == store.now() + timedelta(seconds=30), "one failure is enough this time"

    clock.advance("30s")
    assert await store.admit(RULE) is None
    await store.report(RULE, ok=True)
    assert [await store.admit(RULE) for _ in range(3)] == [None] * 3


async def test_the_one_that_fails_opens_it_however_long_ago_the_others_failed(store: Store, clock: FakeClock) -> None:
    rule = BreakerRule(key="slow", failures=3, within=timedelta(minutes=1), open_for=timedelta(minutes=5))
    await failing(store, 3, rule)
    clock.advance("5m")
    assert await store.admit(rule) is None

    await failing(store, 1, rule)

    assert await store.admit(rule) == store.now() + timedelta(minutes=5)


async def test_one_that_was_let_through_and_died_is_not_waited_for_for_ever(store: Store, clock: FakeClock) -> None:
    await failing(store, 3)
    clock.advance("30s")
    assert await store.admit(RULE) is None
    clock.advance("29s")
    assert await store.admit(RULE) is not None

    clock.advance("1s")

    assert await store.admit(RULE) is None


async def test_late_failures_do_not_keep_an_open_breaker_open(store: Store, clock: FakeClock) -> None:
    await failing(store, 3)
    clock.advance("20s")
    await failing(store, 5)
    clock.advance("10s")

    assert await store.admit(RULE) is None


async def test_breakers_are_shared_by_processes_and_told_apart_by_their_keys(database: Database, store: Store) -> None:
    other = await database.open()
    await failing(store, 2)
    await failing(other, 1)

    assert await store.admit(RULE) is not None
    assert await other.admit(RULE) is not None
    assert await other.admit(BreakerRule(key="x", failures=1, within=RULE.within, open_for=RULE.open_for)) is None


async def test_reports_of_two_processes_at_once_are_all_counted(database: Database, store: Store) -> None:
    other = await database.open()
    rule = BreakerRule(key="busy", failures=20, within=timedelta(minutes=1), open_for=timedelta(seconds=30))

    await asyncio.gather(*(one.report(rule, ok=False) for _ in range(10) for one in (store, other)))

    assert await store.admit(rule) is not None


async def test_a_healthy_breaker_costs_no_write(store: Any) -> None:
    await failing(store, 1)
    await store.report(RULE, ok=True)
    before = store.commits

    for _ in range(5):
        assert await store.admit(RULE) is None
        await store.report(RULE, ok=True)

    assert store.commits == before
