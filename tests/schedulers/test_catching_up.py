"""After downtime exactly what a schedule asks for is started, and what is not started is written down."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from datetime import timedelta

import pytest

from agentflow.client import Client
from agentflow.states import OccurrenceKind, OccurrenceOutcome
from agentflow.store import Store, open_store
from agentflow.tasks.decorating import task
from agentflow.tasks.task import Task
from schedulers.declaring import declare
from schedulers.firing import Firing, fire_due
from tests.schedulers.support import HandClock, client_of, occurrences_of, runs_of

SECOND, MICROSECOND = timedelta(seconds=1), timedelta(microseconds=1)


def quarters(catch_up: str, **options: str) -> Task[..., None]:
    @task.schedule("*/15 * * * *", id="quarters", catch_up=catch_up, **options)  # type: ignore[arg-type]
    @task
    async def report() -> None: ...

    return report


async def outcomes(client: Client) -> Counter[OccurrenceOutcome]:
    """How many occurrences came to what, those that a missed one stands for counted too."""
    found: Counter[OccurrenceOutcome] = Counter()
    for one in await occurrences_of(client, "quarters"):
        found[one.outcome] += one.count
    return found


@pytest.mark.parametrize(
    ("catch_up", "counts"), [("none", (0, 12)), ("latest", (1, 11)), ("all(5)", (5, 7)), ("all", (12, 0))]
)
async def test_three_hours_without_a_scheduler(
    store: Store, clock: HandClock, caplog: pytest.LogCaptureFixture, catch_up: str, counts: tuple[int, int]
) -> None:
    started, missed = counts
    client = client_of(store, quarters(catch_up))
    await declare(client)
    await fire_due(client)
    clock.at("2026-03-02T12:15:00Z")
    assert await fire_due(client) == 1
    clock.at("2026-03-02T15:16:00Z")
    with caplog.at_level(logging.WARNING, "schedulers"):
        assert await fire_due(client) == started
        assert await fire_due(client) == 0
    assert await outcomes(client) == Counter({OccurrenceOutcome.STARTED: 1 + started, OccurrenceOutcome.MISSED: missed})
    said = f"from 2026-03-02 12:30:00+00:00 on: it missed {missed} occurrences, and starts {started}"
    assert caplog.text.count(said) == int(missed > 0)
    clock.at("2026-03-02T15:30:00Z")
    assert await fire_due(client) == 1
    all_runs = await runs_of(client, "quarters")
    assert len(all_runs) == len((await client.runs(limit=200)).items) == 2 + started
    assert all_runs[-1] == "2026-03-02T15:30:00"


async def test_more_than_its_cap_is_never_caught_up(store: Store, clock: HandClock) -> None:
    client = client_of(store, quarters("all"))
    await declare(client)
    await fire_due(client)
    clock.at("2026-03-09T12:01:00Z")
    assert await fire_due(client) == 100
    found = await outcomes(client)
    assert found == {OccurrenceOutcome.STARTED: 100, OccurrenceOutcome.MISSED: 7 * 96 - 100}
    kinds = Counter(one.kind for one in await occurrences_of(client, "quarters") if one.run_id)
    assert kinds == {OccurrenceKind.CAUGHT_UP: 100}


@pytest.mark.parametrize("catch_up", ["none", "latest", "all(3)"])
async def test_several_schedulers_that_come_back_at_once_agree(
    store: Store, database: str, clock: HandClock, catch_up: str
) -> None:
    report = quarters(catch_up)
    await declare(client_of(store, report))
    await fire_due(client_of(store, report))
    others = [await open_store(database, clock=clock) for _ in range(2)]
    clock.at("2026-03-02T15:16:00Z")
    for _ in range(3):
        await asyncio.gather(*(fire_due(client_of(one, report)) for one in [store, *others] * 3))
    for other in others:
        await other.close()
    started = {"none": 0, "latest": 1, "all(3)": 3}[catch_up]
    found = await outcomes(client_of(store, report))
    assert (found[OccurrenceOutcome.STARTED], found[OccurrenceOutcome.MISSED]) == (started, 13 - started)


async def test_a_scheduler_killed_while_it_catches_up_is_gone_on_for(store: Store, clock: HandClock) -> None:
    """It wrote down what was missed and started one of five; whoever comes next starts the other four."""
    client = client_of(store, quarters("all(5)"))
    await declare(client)
    await fire_due(client)
    clock.at("2026-03-02T15:16:00Z")
    schedule = await client.schedules.one("quarters")
    first, second = clock.shows.replace(hour=14, minute=15), clock.shows.replace(hour=14, minute=30)
    assert schedule.next_fire_at is not None
    await client.schedules.miss(schedule, at=schedule.next_fire_at, count=8, next_at=first)
    await client.schedules.fire(schedule, at=first, next_at=second, kind=OccurrenceKind.CAUGHT_UP)
    assert await fire_due(client) == 4
    assert await outcomes(client) == {OccurrenceOutcome.STARTED: 5, OccurrenceOutcome.MISSED: 8}


async def test_a_late_look_by_a_scheduler_that_was_there_starts_everything(store: Store, clock: HandClock) -> None:
    client = client_of(store, quarters("none"))
    await declare(client)
    firing = Firing(client)
    await firing.look()
    seen = clock.shows
    clock.at("2026-03-02T12:31:00Z")
    assert (await firing.look(since=seen)).started == 2
    assert await outcomes(client) == {OccurrenceOutcome.STARTED: 2}


async def test_a_scheduler_that_starts_beside_one_that_is_late_takes_nothing_for_missed(
    store: Store, clock: HandClock
) -> None:
    """The other one fired it a moment ago, so somebody was there: what came due since is late at worst."""

    @task.schedule("* * * * * *", id="quarters", catch_up="none")
    @task
    async def beat() -> None: ...

    client = client_of(store, beat)
    await declare(client)
    firing = Firing(client)
    await firing.look()
    clock.at("2026-03-02T12:00:01Z")
    assert (await firing.look(since=clock.shows - SECOND)).started == 1
    clock.at("2026-03-02T12:00:04.2Z")
    assert (await Firing(client).look(since=clock.shows - MICROSECOND)).started == 3
    assert await outcomes(client) == {OccurrenceOutcome.STARTED: 4}
    clock.at("2026-03-02T12:05:04.2Z")
    assert (await Firing(client).look(since=clock.shows - MICROSECOND)).started == 0
    assert (await outcomes(client))[OccurrenceOutcome.MISSED] == 300


async def test_what_was_missed_before_anybody_planned_it_is_caught_up_too(store: Store, clock: HandClock) -> None:
    """A schedule made by a program at noon, when no scheduler runs."""
    client = client_of(store, quarters("all(2)"))
    await declare(client)
    clock.at("2026-03-02T13:01:00Z")
    assert await fire_due(client) == 2
    assert await outcomes(client) == {OccurrenceOutcome.STARTED: 2, OccurrenceOutcome.MISSED: 2}
