"""The stored schedules are those of the code."""

from __future__ import annotations

import pytest

from agentflow.client import Client
from agentflow.errors import DefinitionError
from agentflow.store import Store
from agentflow.tasks.decorating import task
from agentflow.tasks.schedule import Schedule
from schedulers.declaring import declare
from schedulers.firing import fire_due
from tests.schedulers.support import HandClock, client_of


@task.schedule("0 * * * *", id="hourly")
@task
async def report() -> None: ...


@task.schedule("0 3 * * *", id="nightly")
@task
async def tidy() -> None: ...


def version(store: Store, rule: str, region: str, **options: str) -> Client:
    @task.schedule(rule, input={"region": region}, id="s", **options)  # type: ignore[arg-type]
    @task
    async def sales(region: str) -> None: ...

    return client_of(store, sales)


async def test_a_changed_rule_takes_over_and_a_changed_input_is_used(store: Store, clock: HandClock) -> None:
    client = version(store, "0 * * * *", "eu")
    await declare(client)
    await fire_due(client)
    clock.at("2026-03-02T12:30:00Z")
    [changed] = (await declare(client := version(store, "0 * * * *", "us"))).changed
    assert (f"{changed.next_fire_at:%H:%M}", changed.revision) == ("13:00", 2)
    await declare(client := version(store, "45 * * * *", "us"))
    await fire_due(client)
    assert f"{(await client.schedules.one('s')).next_fire_at:%H:%M}" == "12:45"
    clock.at("2026-03-02T12:45:00Z")
    assert await fire_due(client) == 1
    [run] = (await client.runs()).items
    assert run.input == '{"region":"us"}'
    [occurrence] = (await client.schedules.occurrences("s")).items
    assert occurrence.revision == 3


async def test_what_would_change_is_told_without_being_done(store: Store) -> None:
    await declare(client_of(store, report, tidy))
    [before] = [one for one in await store.schedules() if one.id == "hourly"]

    @task.schedule("5 * * * *", id="hourly")
    @task.schedule("0 4 * * *", id="new")
    @task(id="report")
    async def changed() -> None: ...

    @task(id="tidy")
    async def unscheduled() -> None: ...

    told = await declare(client_of(store, changed, unscheduled), dry_run=True)
    assert ([one.id for one in told.added], [one.rule for one in told.changed]) == (["new"], ["5 * * * *"])
    assert ([one.rule for one in told.before], [one.id for one in told.removed]) == (["0 * * * *"], ["nightly"])
    assert await store.schedules() == [before, told.removed[0]]
    assert [one.id for one in (await declare(client_of(store, report, tidy))).kept] == ["hourly", "nightly"]


async def test_two_schedules_with_one_id_are_refused(store: Store) -> None:
    @task.schedule("0 * * * *", id="nightly")
    @task
    async def other() -> None: ...

    with pytest.raises(DefinitionError, match="schedule id 'nightly' is declared 2 times"):
        await declare(client_of(store, tidy, other))
    assert await store.schedules() == []


async def test_a_schedule_added_by_hand_for_another_task_is_stored_too(store: Store) -> None:
    @task
    async def other() -> None: ...

    other.add_schedule(Schedule("absent", "0 * * * *", id="lost"))
    assert [one.task for one in (await declare(client_of(store, other))).added] == ["absent"]


async def test_a_program_without_tasks_leaves_the_stored_schedules_alone(store: Store) -> None:
    await declare(client_of(store, report))
    assert (await declare(client_of(store))).removed == ()
    assert [one.id for one in await store.schedules()] == ["hourly"]


async def test_schedules_of_programs_stay_whatever_the_code_declares(store: Store, clock: HandClock) -> None:
    """A hundred tenants, each with a schedule of its own, made while all runs."""
    client = client_of(store, report)
    for n in range(100):
        await client.schedules.upsert(Schedule(report, "0 * * * *", id=f"tenant-{n}", spread="10m"), by="mia")
    assert (await declare(client)).removed == []
    await fire_due(client)
    started = []
    for minute in range(11):
        clock.at(f"2026-03-02T13:{minute:02}:00Z")
        started.append(await fire_due(client))
    assert (sum(started), started[0] >= 1) == (101, True)  # the hourly one of the code has no spread
    assert sum(count > 0 for count in started) == 11
    stored = await client.schedules.all()
    assert {f"{one.next_fire_at:%H:%M}" for one in stored} == {"14:00"}
    await client.schedules.remove("tenant-7", by="mia")
    clock.at("2026-03-02T14:10:00Z")
    assert await fire_due(client) == 100
