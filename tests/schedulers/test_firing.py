"""One run for each time a schedule comes round, whoever looks and how often."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Any

import pytest

from agentflow.client import Client
from agentflow.client.schedules import Schedules
from agentflow.errors import StoreUnavailable
from agentflow.states import OccurrenceKind, OccurrenceOutcome
from agentflow.store import Store, open_store
from agentflow.tasks.decorating import task
from agentflow.tasks.queue import Queue
from schedulers.declaring import declare
from schedulers.firing import Firing, fire_due
from tests.schedulers.support import HandClock, client_of, occurrences_of, runs_of

SECOND = timedelta(seconds=1)


@task.schedule("0 * * * *", input={"region": "eu"}, id="hourly")
@task
async def report(region: str) -> None: ...


@task.schedule("0 * * * *", id="nightly")
@task
async def tidy() -> None: ...


async def test_a_due_schedule_starts_a_run_with_its_input(store: Store, clock: HandClock) -> None:
    client = client_of(store, report)
    await declare(client)
    assert await fire_due(client) == 0
    clock.at("2026-03-02T13:00:00Z")
    assert await fire_due(client) == 1
    [occurrence] = await occurrences_of(client, "hourly")
    assert (occurrence.kind, occurrence.outcome) == (OccurrenceKind.DUE, OccurrenceOutcome.STARTED)
    [run] = (await client.runs()).items
    assert (run.task, run.input, run.origin) == ("report", '{"region":"eu"}', "schedule hourly")
    [stored] = await client.schedules.all()
    assert (f"{stored.last_fire_at:%H:%M}", f"{stored.next_fire_at:%H:%M}") == ("13:00", "14:00")


async def test_ten_schedulers_at_once_start_one_run(store: Store, database: str, clock: HandClock) -> None:
    await declare(client_of(store, report))
    await fire_due(client_of(store, report))
    others = [await open_store(database, clock=clock) for _ in range(2)]
    for hour in range(13, 18):
        clock.at(f"2026-03-02T{hour}:00:00Z")
        started = await asyncio.gather(*(fire_due(client_of(one, report)) for one in [store, *others] * 4))
        assert sum(started) == 1
    for other in others:
        await other.close()
    assert len((await client_of(store, report).runs()).items) == 5


async def test_after_downtime_the_newest_occurrence_runs_and_the_log_says_so(
    store: Store, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    client = client_of(store, report)
    await declare(client)
    await fire_due(client)
    clock.at("2026-03-05T09:30:00Z")
    with caplog.at_level(logging.WARNING, "schedulers"):
        assert await fire_due(client) == 1
    assert "schedule hourly was not looked at from 2026-03-02 13:00" in caplog.text
    assert "it missed 68 occurrences, and starts 1 (catch_up is latest)" in caplog.text
    assert await fire_due(client) == 0
    clock.at("2026-03-05T10:00:00Z")
    assert await fire_due(client) == 1
    assert await runs_of(client, "hourly") == ["2026-03-05T09:00:00", "2026-03-05T10:00:00"]


async def test_a_clock_set_back_does_not_fire_again(store: Store, clock: HandClock) -> None:
    client = client_of(store, report)
    await declare(client)
    clock.at("2026-03-02T13:00:30Z")
    assert await fire_due(client) == 1
    clock.at("2026-03-02T12:59:00Z")
    assert await fire_due(client) == 0
    await declare(client)
    clock.at("2026-03-02T13:00:10Z")
    assert await fire_due(client) == 0


async def test_an_occurrence_that_ran_is_passed_over_when_a_new_rule_comes_to_it_again(
    store: Store, clock: HandClock
) -> None:
    """The clock is set back, and a changed rule begins with a time that the old one has fired."""
    client = client_of(store, report)
    await declare(client)
    clock.at("2026-03-02T13:00:30Z")
    assert await fire_due(client) == 1
    clock.at("2026-03-02T12:50:00Z")

    @task.schedule("0,30 * * * *", input={"region": "eu"}, id="hourly")
    @task(id="report")
    async def changed(region: str) -> None: ...

    await declare(client := client_of(store, changed))
    clock.at("2026-03-02T13:00:30Z")
    assert await fire_due(client) == 0
    clock.at("2026-03-02T13:30:00Z")
    assert await fire_due(client) == 1
    assert await runs_of(client, "hourly") == ["2026-03-02T13:00:00", "2026-03-02T13:30:00"]


class Refusing(Schedules):
    """What a client has whose store cannot take a write."""

    async def fire(self, *_: Any, **__: Any) -> Any:
        raise StoreUnavailable("the disk is full; nothing was stored")


class CutOff(Client):
    @property
    def schedules(self) -> Schedules:
        return Refusing(self._store, self.catalog)


async def test_a_store_out_of_reach_is_not_blamed_on_the_schedule(
    store: Store, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    await declare(client := client_of(store, report))
    await fire_due(client)
    clock.at("2026-03-02T13:00:00Z")
    with pytest.raises(StoreUnavailable):
        await fire_due(CutOff(store, client.catalog))
    assert "starts no runs" not in caplog.text
    assert await fire_due(client) == 1


async def test_a_scheduler_that_is_behind_does_not_run_what_others_left_out(store: Store, clock: HandClock) -> None:
    """Both saw the schedule as it was before the downtime; the other one's clock is an hour ahead."""
    client = client_of(store, report)
    await declare(client)
    await fire_due(client)
    stale = await client.schedules.one("hourly")
    clock.at("2026-03-02T18:00:00Z")
    assert await fire_due(client) == 1
    at, next_at = clock.shows.replace(hour=17), clock.shows
    assert await client.schedules.fire(stale, at=at, next_at=next_at) is None
    assert await runs_of(client, "hourly") == ["2026-03-02T18:00:00"]
    stored = await client.schedules.one("hourly")
    assert f"{stored.next_fire_at:%H:%M}" == "19:00"


async def test_a_schedule_taken_out_meanwhile_does_not_fire(store: Store, clock: HandClock) -> None:
    client = client_of(store, report)
    await declare(client)
    await fire_due(client)
    gone = await client.schedules.one("hourly")
    clock.at("2026-03-02T13:00:00Z")

    @task(id="report")
    async def unscheduled(region: str) -> None: ...

    assert [one.id for one in (await declare(client_of(store, unscheduled))).removed] == ["hourly"]
    assert await client.schedules.fire(gone, at=clock.shows, next_at=clock.shows.replace(hour=14)) is None
    assert (await client.runs()).items == []


async def test_an_unknown_task_is_logged_once_and_stops_no_other_schedule(
    store: Store, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    await declare(client_of(store, report, tidy))
    firing = Firing(client_of(store, tidy))
    await firing.look()
    clock.at("2026-03-02T13:00:00Z")
    assert [(await firing.look()).started for _ in range(3)] == [1, 0, 0]
    assert caplog.text.count("schedule hourly starts no runs: TaskNotFound: there is no task 'report'") == 1
    assert {one.id for one in await firing.client.schedules.all()} == {"hourly", "nightly"}
    assert await fire_due(client_of(store, report)) == 1  # whoever knows the task


async def test_input_that_no_longer_fits_starts_nothing_until_it_does(
    store: Store, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    @task(id="report")
    async def needs_more(region: str, year: int) -> None: ...

    await declare(client_of(store, report, tidy))
    await fire_due(client_of(store, report, tidy))
    clock.at("2026-03-02T13:00:00Z")
    assert await fire_due(client_of(store, needs_more, tidy)) == 1
    assert "schedule hourly starts no runs: InvalidInput: input of task 'report' is refused" in caplog.text
    assert await fire_due(client_of(store, report, tidy)) == 1


async def test_what_nothing_could_start_is_not_written_down_as_missed(store: Store, clock: HandClock) -> None:
    """Hours later somebody comes who knows the task; only then is what it does not start missed."""
    await declare(client := client_of(store, report, tidy))
    await fire_due(client)
    clock.at("2026-03-02T16:30:00Z")
    assert await fire_due(client_of(store, tidy)) == 1
    assert await occurrences_of(client, "hourly") == []
    assert await fire_due(client) == 1
    assert [one.count for one in await occurrences_of(client, "hourly")] == [3, 1]


async def test_a_schedule_declared_with_a_wrong_input_is_stored_and_shown(
    store: Store, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    @task.schedule("0 * * * *", input={"region": 7}, id="wrong")
    @task
    async def sales(region: str) -> None: ...

    client = client_of(store, sales, tidy)
    assert [one.id for one in (await declare(client)).added] == ["nightly", "wrong"]
    await fire_due(client)
    clock.at("2026-03-02T13:00:00Z")
    assert await fire_due(client) == 1
    assert "schedule wrong starts no runs" in caplog.text


async def test_a_refused_run_leaves_its_occurrence_due(
    store: Store, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Its queue is full; the next look tries again, and whoever was there before has not missed it."""

    @task.schedule("*/5 * * * * *", id="often", catch_up="none")
    @task(queue=Queue("small", backlog=2))
    async def small() -> None: ...

    client = client_of(store, small)
    await client.declare_queues()
    await declare(client)
    firing = Firing(client)
    await firing.look()
    for second in ("05", "10", "15"):
        clock.at(f"2026-03-02T12:00:{second}Z")
        await firing.look(since=clock.shows - SECOND)
    assert "schedule often starts no runs: QueueFull" in caplog.text
    await client.cancel((await client.runs()).items[0].id, by="mia")
    assert (await firing.look(since=clock.shows)).started == 1
    assert await runs_of(client, "often") == [f"2026-03-02T12:00:{second}" for second in ("05", "10", "15")]
