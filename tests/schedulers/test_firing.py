"""One run for each time a schedule comes round, whoever looks and how often."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from agentflow.client import Client
from agentflow.errors import DefinitionError, StoreUnavailable
from agentflow.store import Store, open_store
from agentflow.tasks.catalog import Catalog
from agentflow.tasks.schedule import Schedule, schedule
from agentflow.tasks.task import task
from schedulers.declaring import declare
from schedulers.firing import Firing, fire_due
from tests.schedulers.support import HandClock, client_of, runs_of


@schedule("0 * * * *", input={"region": "eu"}, id="hourly")
@task
async def report(region: str) -> None: ...


@schedule("0 * * * *", id="nightly")
@task
async def tidy() -> None: ...


async def test_a_due_schedule_starts_a_run_with_its_input(store: Store, clock: HandClock) -> None:
    client = client_of(store, report)
    await declare(client)
    assert await fire_due(client) == 0
    clock.at("2026-03-02T13:00:00Z")
    assert await fire_due(client) == 1
    [run] = (await client.runs()).items
    assert (run.task, run.input, run.origin) == ("report", '{"region":"eu"}', "schedule hourly")
    [stored] = await client.schedules()
    assert (f"{stored.last_fire_at:%H:%M}", f"{stored.next_fire_at:%H:%M}") == ("13:00", "14:00")


async def test_ten_schedulers_at_once_start_one_run(store: Store, database: str, clock: HandClock) -> None:
    await declare(client_of(store, report))
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
    clock.at("2026-03-05T09:30:00Z")
    with caplog.at_level(logging.WARNING, "schedulers"):
        assert await fire_due(client) == 1
    assert "schedule hourly was not looked at from 2026-03-02 13:00" in caplog.text
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

    @schedule("0,30 * * * *", input={"region": "eu"}, id="hourly")
    @task(id="report")
    async def changed(region: str) -> None: ...

    await declare(client := client_of(store, changed))
    clock.at("2026-03-02T13:00:30Z")
    assert await fire_due(client) == 0
    clock.at("2026-03-02T13:30:00Z")
    assert await fire_due(client) == 1
    assert await runs_of(client, "hourly") == ["2026-03-02T13:00:00", "2026-03-02T13:30:00"]


class CutOff(Client):
    """A client whose store cannot take a write."""

    async def fire(self, *_: Any, **__: Any) -> Any:
        raise StoreUnavailable("the disk is full; nothing was stored")


async def test_a_store_out_of_reach_is_not_blamed_on_the_schedule(
    store: Store, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    await declare(client := client_of(store, report))
    clock.at("2026-03-02T13:00:00Z")
    with pytest.raises(StoreUnavailable):
        await fire_due(CutOff(store, client.catalog))
    assert "starts no runs" not in caplog.text
    assert await fire_due(client) == 1


async def test_a_scheduler_that_is_behind_does_not_run_what_others_left_out(store: Store, clock: HandClock) -> None:
    """Both saw the schedule as it was before the downtime; the other one's clock is an hour ahead."""
    client = client_of(store, report)
    [stale] = await declare(client)
    clock.at("2026-03-02T18:00:00Z")
    assert await fire_due(client) == 1
    at, next_at = clock.shows.replace(hour=17), clock.shows
    assert await client.fire(stale, at=at, next_at=next_at) is None
    assert await runs_of(client, "hourly") == ["2026-03-02T18:00:00"]
    [stored] = await client.schedules()
    assert f"{stored.next_fire_at:%H:%M}" == "19:00"


async def test_a_schedule_taken_out_meanwhile_does_not_fire(store: Store, clock: HandClock) -> None:
    client = client_of(store, report)
    [gone] = await declare(client)
    clock.at("2026-03-02T13:00:00Z")
    await declare(without_schedule(client_of(store, report)))
    assert await client.fire(gone, at=clock.shows, next_at=clock.shows.replace(hour=14)) is None
    assert (await client.runs()).items == []


async def test_an_unknown_task_is_logged_once_and_stops_no_other_schedule(
    store: Store, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    await declare(client_of(store, report, tidy))
    firing = Firing(client_of(store, tidy))
    clock.at("2026-03-02T13:00:00Z")
    assert [await firing.look() for _ in range(3)] == [1, 0, 0]
    assert caplog.text.count("schedule hourly starts no runs: TaskNotFound: there is no task 'report'") == 1
    assert {one.id for one in await firing.client.schedules()} == {"hourly", "nightly"}
    assert await fire_due(client_of(store, report)) == 1  # whoever knows the task


async def test_input_that_no_longer_fits_starts_nothing_until_it_does(
    store: Store, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    @task(id="report")
    async def needs_more(region: str, year: int) -> None: ...

    await declare(client_of(store, report, tidy))
    clock.at("2026-03-02T13:00:00Z")
    assert await fire_due(client_of(store, needs_more, tidy)) == 1
    assert "schedule hourly starts no runs: InvalidInput: input of task 'report' is refused" in caplog.text
    assert await fire_due(client_of(store, report, tidy)) == 1


async def test_a_schedule_declared_with_a_wrong_input_is_stored_and_shown(
    store: Store, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    @schedule("0 * * * *", input={"region": 7}, id="wrong")
    @task
    async def sales(region: str) -> None: ...

    client = client_of(store, sales, tidy)
    assert [one.id for one in await declare(client)] == ["nightly", "wrong"]
    clock.at("2026-03-02T13:00:00Z")
    assert await fire_due(client) == 1
    assert "schedule wrong starts no runs" in caplog.text


async def test_a_changed_rule_takes_over_and_a_changed_input_is_used(store: Store, clock: HandClock) -> None:
    def version(rule: str, region: str) -> Client:
        @schedule(rule, input={"region": region}, id="s")
        @task
        async def sales(region: str) -> None: ...

        return client_of(store, sales)

    await declare(version("0 * * * *", "eu"))
    clock.at("2026-03-02T12:30:00Z")
    [kept] = await declare(version("0 * * * *", "us"))
    assert f"{kept.next_fire_at:%H:%M}" == "13:00"
    [changed] = await declare(client := version("45 * * * *", "us"))
    assert f"{changed.next_fire_at:%H:%M}" == "12:45"
    clock.at("2026-03-02T13:00:00Z")
    assert await fire_due(client) == 1
    [run] = (await client.runs()).items
    assert run.input == '{"region":"us"}'


async def test_two_schedules_with_one_id_are_refused(store: Store) -> None:
    @schedule("0 * * * *", id="nightly")
    @task
    async def other() -> None: ...

    with pytest.raises(DefinitionError, match="schedule id 'nightly' is declared 2 times"):
        await declare(client_of(store, tidy, other))
    assert await store.schedules() == []


async def test_a_task_added_by_hand_for_another_task_is_shown_too(store: Store) -> None:
    @task
    async def other() -> None: ...

    other.add_schedule(Schedule("absent", "0 * * * *", id="lost"))
    assert [one.task for one in await declare(client_of(store, other))] == ["absent"]


async def test_a_program_without_tasks_leaves_the_stored_schedules_alone(store: Store) -> None:
    await declare(client_of(store, report))
    assert [one.id for one in await declare(client_of(store))] == ["hourly"]


def without_schedule(client: Client) -> Client:
    """A later release of the same program: its task is there, its schedule is not."""

    @task(id="report")
    async def unscheduled(region: str) -> None: ...

    client.catalog = Catalog([unscheduled])
    return client


async def test_a_program_whose_tasks_have_no_schedules_any_more_takes_them_out(store: Store) -> None:
    client = client_of(store, report)
    await declare(client)
    assert await declare(without_schedule(client)) == []


async def test_a_program_leaves_the_schedules_of_another_programs_tasks_alone(store: Store) -> None:
    await declare(client_of(store, report))
    assert [one.id for one in await declare(client_of(store, tidy))] == ["hourly", "nightly"]
