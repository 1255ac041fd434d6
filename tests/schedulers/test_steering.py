"""Schedules that are paused, bounded, told their time, asked by hand, or filled in afterwards."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime

import pytest

from agentflow.client import Client
from agentflow.errors import InvalidInput
from agentflow.states import OPEN, OccurrenceKind, OccurrenceOutcome
from agentflow.store import Store
from agentflow.tasks.decorating import task
from agentflow.tasks.schedule import Schedule
from schedulers import upcoming
from schedulers.backfilling import AT_ONCE
from schedulers.declaring import declare
from schedulers.firing import Firing, fire_due
from tests.schedulers.support import HandClock, client_of, occurrences_of, runs_of


@task
async def report(region: str = "eu") -> None: ...


async def made(store: Store, rule: str = "0 * * * *", **options: object) -> Client:
    """A client with the schedule `s` of a program, planned."""
    client = client_of(store, report)
    await client.schedules.upsert(Schedule(report, rule, id="s", **options), by="mia")  # type: ignore[arg-type]
    await fire_due(client)
    return client


def on(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-03-{text}Z")


# -- pausing


async def test_paused_nothing_fires_and_resumed_it_goes_on_from_then(store: Store, clock: HandClock) -> None:
    client = await made(store, catch_up="all")
    await client.schedules.pause("s", by="mia", reason="maintenance")
    clock.at("2026-03-02T15:30:00Z")
    assert await fire_due(client) == 0
    assert upcoming(await client.schedules.one("s"), 3, clock.now()) == []
    await client.schedules.resume("s", by="mia")
    assert await fire_due(client) == 0
    assert await occurrences_of(client, "s") == []
    assert upcoming(await client.schedules.one("s"), 1, clock.now()) == [on("02T16:00")]
    clock.at("2026-03-02T16:00:00Z")
    assert await fire_due(client) == 1


async def test_paused_between_being_seen_and_being_fired_it_does_not_fire(store: Store, clock: HandClock) -> None:
    client = await made(store)
    seen = await client.schedules.one("s")
    clock.at("2026-03-02T13:00:00Z")
    await client.schedules.pause("s", by="mia")
    assert await client.schedules.fire(seen, at=clock.shows, next_at=on("02T14:00")) is None


# -- start and end


async def test_nothing_fires_before_the_start_or_after_the_end(store: Store, clock: HandClock) -> None:
    client = await made(store, start=on("02T14:30"), end=on("02T16:00"))
    for time in ("13:00", "14:00", "15:00", "16:00", "17:00"):
        clock.at(f"2026-03-02T{time}:00Z")
        await fire_due(client)
    assert await runs_of(client, "s") == ["2026-03-02T15:00:00", "2026-03-02T16:00:00"]
    assert (await client.schedules.one("s")).next_fire_at is None


async def test_a_schedule_of_dates_is_over_after_the_last(store: Store, clock: HandClock) -> None:
    client = await made(store, "at 2026-03-02 13:00, 2026-03-03 13:00")
    clock.at("2026-03-02T13:00:00Z")
    assert await fire_due(client) == 1
    clock.at("2026-03-04T13:00:00Z")
    assert await fire_due(client) == 1
    assert await runs_of(client, "s") == ["2026-03-02T13:00:00", "2026-03-03T13:00:00"]
    assert (await client.schedules.one("s")).next_fire_at is None


# -- the nominal time


async def test_a_run_is_given_the_time_that_came_round_not_the_time_it_started(store: Store, clock: HandClock) -> None:
    options = {"occurrence_as": "when", "timezone": "Europe/Berlin", "catch_up": "all"}

    @task.schedule("0 * * * *", id="dates", **options)  # type: ignore[arg-type]
    @task
    async def sales(when: datetime) -> None: ...

    @task.schedule("0 * * * *", id="texts", input={"region": "us"}, **options)  # type: ignore[arg-type]
    @task
    async def tell(region: str, when: str) -> None: ...

    client = client_of(store, sales, tell)
    await declare(client)
    await fire_due(client)
    clock.at("2026-03-02T14:10:00Z")
    assert await fire_due(client) == 4
    date, _ = [await client.run(one.run_id or "") for one in await occurrences_of(client, "dates")]
    text, _ = [await client.run(one.run_id or "") for one in await occurrences_of(client, "texts")]
    assert sales.signature.decode(date.input) == ((), {"when": on("02T13:00")})
    assert json.loads(text.input) == {"region": "us", "when": "2026-03-02T14:00:00+01:00"}


async def test_a_parameter_that_takes_no_time_is_refused(store: Store) -> None:
    @task
    async def sales(when: int) -> None: ...

    client = client_of(store, sales)
    with pytest.raises(InvalidInput, match="/when"):
        await client.schedules.upsert(Schedule(sales, "0 * * * *", id="s", occurrence_as="when"), by="mia")
    assert await client.schedules.all() == []


# -- clocks


async def test_a_clock_put_back_over_an_occurrence_does_not_fire_it_again(store: Store, clock: HandClock) -> None:
    client = await made(store)
    clock.at("2026-03-02T13:00:30Z")
    assert await fire_due(client) == 1
    clock.at("2026-03-02T12:30:00Z")
    await client.schedules.upsert(Schedule(report, "0,45 * * * *", id="s"), by="mia")  # it is planned anew from there
    assert await fire_due(client) == 0
    started = []
    for time in ("12:45:00", "13:00:00", "13:00:30", "13:45:00"):
        clock.at(f"2026-03-02T{time}Z")
        started.append(await fire_due(client))
    assert started == [1, 0, 0, 1]
    assert await runs_of(client, "s") == [f"2026-03-02T{time}:00" for time in ("12:45", "13:00", "13:45")]


# -- by hand and afterwards


async def test_by_hand_a_run_starts_now_and_the_schedule_stays_as_it_is(store: Store, clock: HandClock) -> None:
    client = await made(store, input={"region": "us"})
    before = await client.schedules.one("s")
    run = await client.schedules.trigger("s", by="mia")
    assert (run.input, await client.schedules.one("s")) == ('{"region":"us"}', before)
    clock.at("2026-03-02T13:00:00Z")
    assert await fire_due(client) == 1
    kinds = [one.kind for one in await occurrences_of(client, "s")]
    assert kinds == [OccurrenceKind.BY_HAND, OccurrenceKind.DUE]


async def test_a_backfill_starts_whatever_has_no_run_bit_by_bit(store: Store, clock: HandClock) -> None:
    client = await made(store, catch_up="latest")
    clock.at("2026-03-04T12:30:00Z")
    assert await fire_due(client) == 1  # the others of two days are missed
    backfill = await client.schedules.backfill("s", since=on("02T10:30"), until=on("04T12:30"), by="mia")
    firing, looks = Firing(client), []
    while not looks or looks[-1].next_at == clock.now():
        looks.append(await firing.look())
    assert [one.started for one in looks] == [AT_ONCE, AT_ONCE, 9]  # 11 on the 2nd to 12 on the 4th, less the one
    done = await client.schedules.one_backfill(backfill.id)
    assert (done.started, done.finished_at) == (49, clock.now())
    found = await occurrences_of(client, "s")
    assert Counter(one.kind for one in found) == {OccurrenceKind.BACKFILL: 49, OccurrenceKind.CAUGHT_UP: 1}
    assert {one.outcome for one in found} == {OccurrenceOutcome.STARTED}
    again = await client.schedules.backfill("s", since=on("02T10:30"), until=on("04T12:30"), by="mia")
    for _ in range(4):
        assert (await firing.look()).started == 0
    assert (await client.schedules.one_backfill(again.id)).started == 0


async def test_several_schedulers_killed_at_a_backfill_start_each_occurrence_once(
    store: Store, clock: HandClock
) -> None:
    """Each of them is gone after its first look; the next one goes on from the cursor, or from what it last read."""
    client = await made(store)
    backfill = await client.schedules.backfill("s", since=on("01T00:00"), until=on("02T00:00"), by="mia")
    stale = await client.schedules.one_backfill(backfill.id)
    await client.schedules.advance_backfill(stale, at=on("01T00:00"), next_at=on("01T01:00"))
    assert (await client.schedules.advance_backfill(stale, at=on("01T00:00"), next_at=on("01T01:00"))).started == 1
    for _ in range(3):
        await Firing(client).look()
    assert await runs_of(client, "s") == [f"2026-03-01T{at:02}:00:00" for at in range(24)]
    assert len((await client.runs(limit=200)).items) == 24


async def test_a_backfill_that_waits_for_runs_goes_on_when_they_end(store: Store, clock: HandClock) -> None:
    client = await made(store)
    await client.schedules.backfill("s", since=on("01T00:00"), until=on("01T03:00"), by="mia", overlap="queue")
    firing = Firing(client)
    for expected in (1, 2, 3):
        look = await firing.look()
        assert (look.started, len(await runs_of(client, "s"))) == (1, expected)
        assert (await firing.look()).started == 0
        [open_run] = [run for run in (await client.runs()).items if run.status in OPEN]
        await client.cancel(open_run.id, by="mia")


async def test_a_backfill_keeps_within_start_and_end_and_may_be_stopped(store: Store, clock: HandClock) -> None:
    client = await made(store, start=on("01T05:00"), end=on("01T08:00"))
    await client.schedules.backfill("s", since=on("01T00:00"), until=on("02T00:00"), by="mia")
    assert await fire_due(client) == 4
    assert (await client.schedules.open_backfills()) == []
    endless = await client.schedules.backfill(
        "s", since=on("01T00:00"), until=datetime(2026, 3, 2, tzinfo=UTC), by="mia"
    )
    await client.schedules.cancel_backfill(endless.id, by="mia")
    assert (await Firing(client).look()).started == 0
