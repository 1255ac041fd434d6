"""An occurrence or a delivery starts one run, whoever sees it and however often."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from agentflow.errors import IdempotencyMismatch
from agentflow.requests import DeclareSchedule, Deliver, Fire
from agentflow.store import Store
from agentflow.testing import FakeClock
from tests.support.stores import Database, a_trigger

HOUR = timedelta(hours=1)


def declared(store: Store, **given: Any) -> DeclareSchedule:
    values: dict[str, Any] = {
        "id": "hourly",
        "task": "report",
        "version": "1",
        "rule": "0 * * * *",
        "timezone": "UTC",
        "input": "{}",
        "first_fire_at": store.now() + HOUR,
    }
    return DeclareSchedule(**values | given)


def occurrence(at: datetime, next_at: datetime | None, **given: Any) -> Fire:
    return Fire(schedule_id="hourly", fire_at=at, next_fire_at=next_at, run=a_trigger("report"), **given)


def delivery(**given: Any) -> Deliver:
    values: dict[str, Any] = {
        "webhook": "/github",
        "delivery_id": "d1",
        "digest": "sha256:1",
        "run": a_trigger("build"),
    }
    return Deliver(**values | given)


async def runs_in(store: Store) -> int:
    return sum((await store.counts()).runs.values())


async def test_a_declared_schedule_is_stored(store: Store) -> None:
    (stored,) = await store.declare_schedules([declared(store)], ["report"])

    assert list(await store.schedules()) == [stored]
    assert (stored.id, stored.task, stored.rule, stored.timezone) == ("hourly", "report", "0 * * * *", "UTC")
    assert (stored.next_fire_at, stored.last_fire_at) == (store.now() + HOUR, None)


async def test_declaring_again_keeps_the_next_fire_time_unless_the_rule_changed(store: Store, clock: FakeClock) -> None:
    first = declared(store)
    await store.declare_schedules([first], ["report"])
    due = store.now() + HOUR
    clock.advance("30m")

    (same,) = await store.declare_schedules([declared(store, input='{"n":2}')], ["report"])
    assert (same.next_fire_at, same.input) == (due, '{"n":2}')
    (other,) = await store.declare_schedules([declared(store, timezone="Europe/Berlin")], ["report"])
    assert other.next_fire_at == store.now() + HOUR


async def test_schedules_no_longer_declared_are_removed_but_not_those_of_other_programs(store: Store) -> None:
    foreign = declared(store, id="nightly", task="backup")
    await store.declare_schedules([declared(store), declared(store, id="daily")], ["report"])
    await store.declare_schedules([foreign], ["backup"])

    left = await store.declare_schedules([declared(store, id="daily")], ["report"])

    assert [one.id for one in left] == ["daily", "nightly"]


async def test_an_occurrence_starts_its_run_and_advances_the_schedule(store: Store) -> None:
    await store.declare_schedules([declared(store)], ["report"])
    at = store.now() + HOUR

    made = await store.fire(occurrence(at, at + HOUR))

    assert made is not None
    assert await store.run(made.id) == made
    (stored,) = await store.schedules()
    assert (stored.next_fire_at, stored.last_fire_at) == (at + HOUR, at)
    (fired,) = await store.occurrences("hourly")
    assert (fired.fire_at, fired.run_id) == (at, made.id)


async def test_an_occurrence_fires_once_however_many_see_it(database: Database) -> None:
    stores = [await database.open() for _ in range(3)]
    await stores[0].declare_schedules([declared(stores[0])], ["report"])
    at = stores[0].now() + HOUR

    made = await asyncio.gather(*(stores[n % 3].fire(occurrence(at, at + HOUR)) for n in range(10)))

    assert sum(one is not None for one in made) == 1
    assert await runs_in(stores[0]) == 1
    assert len(await stores[0].occurrences("hourly")) == 1


async def test_a_late_scheduler_neither_fires_again_nor_turns_the_schedule_back(store: Store) -> None:
    await store.declare_schedules([declared(store)], ["report"])
    first = store.now() + HOUR
    for n in range(3):
        assert await store.fire(occurrence(first + n * HOUR, first + (n + 1) * HOUR)) is not None

    assert await store.fire(occurrence(first, first + HOUR)) is None

    (stored,) = await store.schedules()
    assert (stored.next_fire_at, stored.last_fire_at) == (first + 3 * HOUR, first + 2 * HOUR)
    assert await runs_in(store) == 3


async def test_catching_up_skips_what_was_missed(store: Store, clock: FakeClock) -> None:
    """After five hours down, one run for the latest occurrence; the schedule is past all of them."""
    await store.declare_schedules([declared(store)], ["report"])
    first = store.now() + HOUR
    clock.advance("5h")

    assert await store.fire(occurrence(first + 4 * HOUR, first + 5 * HOUR)) is not None

    for missed in range(4):
        assert await store.fire(occurrence(first + missed * HOUR, first + 5 * HOUR)) is None
    (stored,) = await store.schedules()
    assert stored.next_fire_at == first + 5 * HOUR
    assert await runs_in(store) == 1


async def test_a_schedule_that_has_fired_for_the_last_time_stays(store: Store) -> None:
    await store.declare_schedules([declared(store)], ["report"])
    at = store.now() + HOUR

    assert await store.fire(occurrence(at, None)) is not None

    (stored,) = await store.schedules()
    assert stored.next_fire_at is None
    assert await store.fire(occurrence(at, None)) is None


async def test_a_removed_schedule_does_not_fire(store: Store) -> None:
    at = store.now() + HOUR
    await store.declare_schedules([declared(store)], ["report"])
    await store.declare_schedules([], ["report"])

    assert await store.fire(occurrence(at, at + HOUR)) is None
    assert await runs_in(store) == 0


async def test_a_refused_run_leaves_the_occurrence_to_be_fired(store: Store) -> None:
    await store.declare_schedules([declared(store)], ["report"])
    await store.trigger(a_trigger("report", idempotency_key="taken"))
    at = store.now() + HOUR
    clash = a_trigger("report", "[]", idempotency_key="taken")

    with pytest.raises(IdempotencyMismatch):
        await store.fire(replace(occurrence(at, at + HOUR), run=clash))

    (stored,) = await store.schedules()
    assert stored.next_fire_at == at
    assert await store.fire(occurrence(at, at + HOUR)) is not None


async def test_the_latest_occurrences_come_first(store: Store) -> None:
    await store.declare_schedules([declared(store)], ["report"])
    first = store.now() + HOUR
    for n in range(5):
        await store.fire(occurrence(first + n * HOUR, first + (n + 1) * HOUR))

    assert [one.fire_at for one in await store.occurrences("hourly", limit=2)] == [first + 4 * HOUR, first + 3 * HOUR]
    assert await store.occurrences("none") == []


# -- deliveries


async def test_a_delivery_starts_its_run(store: Store) -> None:
    received = await store.deliver(delivery())

    assert (await store.run(received.run_id)).task == "build"
    assert (received.webhook, received.delivery_id, received.received_at) == ("/github", "d1", store.now())
    assert list(await store.deliveries()) == [received]


async def test_the_same_delivery_again_is_answered_with_the_first(store: Store, clock: FakeClock) -> None:
    first = await store.deliver(delivery())
    clock.advance("1h")

    assert await store.deliver(delivery()) == first
    assert await runs_in(store) == 1


async def test_the_same_delivery_with_another_body_is_refused(store: Store) -> None:
    first = await store.deliver(delivery())

    with pytest.raises(IdempotencyMismatch, match=first.run_id):
        await store.deliver(delivery(digest="sha256:2"))

    assert await runs_in(store) == 1
    assert list(await store.deliveries()) == [first]


async def test_a_delivery_id_belongs_to_its_webhook(store: Store) -> None:
    one, other = await store.deliver(delivery()), await store.deliver(delivery(webhook="/gitlab", digest="sha256:2"))

    assert one.run_id != other.run_id


async def test_concurrent_deliveries_of_one_id_start_one_run(database: Database) -> None:
    stores = [await database.open() for _ in range(3)]

    received = await asyncio.gather(*(stores[n % 3].deliver(delivery()) for n in range(10)))

    assert len({one.run_id for one in received}) == 1
    assert await runs_in(stores[0]) == 1


async def test_a_refused_run_leaves_the_delivery_to_be_sent_again(store: Store) -> None:
    await store.trigger(a_trigger("build", idempotency_key="taken"))
    with pytest.raises(IdempotencyMismatch):
        await store.deliver(delivery(run=a_trigger("build", "[]", idempotency_key="taken")))

    assert await store.deliveries() == []
    assert (await store.deliver(delivery())).delivery_id == "d1"


async def test_the_latest_deliveries_come_first(store: Store, clock: FakeClock) -> None:
    for n in range(4):
        await store.deliver(delivery(delivery_id=f"d{n}"))
        clock.advance("1s")

    assert [one.delivery_id for one in await store.deliveries(limit=2)] == ["d3", "d2"]
