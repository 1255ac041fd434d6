"""The clock of one process. These tests take a second or two each: APScheduler keeps real time."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from agentflow.client import Client
from agentflow.clock import SystemClock
from agentflow.errors import StoreUnavailable
from agentflow.records import Run, Schedule
from agentflow.store import Store, open_store
from agentflow.tasks.catalog import Catalog
from agentflow.tasks.schedule import schedule
from agentflow.tasks.task import task
from schedulers.declaring import declare
from schedulers.ticker import Ticker
from tests.schedulers.support import HandClock, client_of, runs_of

HOUR = timedelta(hours=1)


@schedule("* * * * * *", id="seconds")
@task
async def beat() -> None: ...


@schedule("0 * * * *", id="hourly")
@task
async def report() -> None: ...


async def until_runs(client: Client, count: int) -> None:
    async with aclosing(client.changes()) as changes:
        async for _ in changes:
            if len((await client.runs()).items) >= count:
                return


async def test_it_fires_each_second_close_to_its_instant(database: str) -> None:
    store = await open_store(database, clock=SystemClock())
    client = client_of(store, beat)
    ticker = Ticker(client)
    await ticker.start()
    await until_runs(client, 3)
    await ticker.stop()
    occurrences = await client.occurrences("seconds")
    fired = sorted(one.fire_at for one in occurrences)
    assert [later - earlier for earlier, later in pairwise(fired)] == [timedelta(seconds=1)] * 2
    assert all(timedelta() <= one.created_at - one.fire_at < timedelta(seconds=0.9) for one in occurrences)
    await store.close()


async def test_what_was_missed_before_the_start_runs_at_once(store: Store, clock: HandClock) -> None:
    client = client_of(store, report)
    await declare(client)
    clock.at("2026-03-02T15:30:00Z")
    ticker = Ticker(client, poll_every=HOUR)
    await ticker.start()
    await until_runs(client, 1)
    await ticker.stop()
    assert await runs_of(client, "hourly") == ["2026-03-02T15:00:00"]


async def test_a_schedule_that_another_program_adds_is_seen(store: Store, database: str, clock: HandClock) -> None:
    @task(id="report")
    async def unscheduled() -> None: ...

    client = client_of(store, unscheduled)
    ticker = Ticker(client, poll_every=timedelta(seconds=0.05))
    assert await ticker.start() == []
    other = await open_store(database, clock=clock)
    await declare(client_of(other, report))
    clock.at("2026-03-02T13:00:00Z")
    await until_runs(client, 1)
    await ticker.stop()
    await other.close()
    assert await runs_of(client, "hourly") == ["2026-03-02T13:00:00"]


async def test_after_stop_nothing_fires_and_nothing_is_left_running(store: Store, clock: HandClock) -> None:
    client = client_of(store, beat)
    before = asyncio.all_tasks()
    ticker = Ticker(client, poll_every=timedelta(seconds=0.05))
    await ticker.start()
    await ticker.start()
    clock.at("2026-03-02T12:00:01Z")
    await until_runs(client, 1)
    await ticker.stop()
    await ticker.stop()
    left = [one for one in asyncio.all_tasks() - before if "_look" in repr(one) and "Ticker" in repr(one)]
    assert left == []
    clock.at("2026-03-02T12:00:09Z")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await until_runs(client, 2)


@pytest.mark.parametrize(("gap", "count"), [("2026-03-02T12:00:04.5Z", 3), ("2026-03-02T14:00:04.5Z", 1)])
async def test_a_late_look_makes_up_for_all_a_long_absence_for_one(
    store: Store, clock: HandClock, gap: str, count: int
) -> None:
    """The process is busy for seconds, or the laptop it runs on is closed for hours."""
    client = client_of(store, beat)
    await declare(client)
    clock.at("2026-03-02T12:00:01Z")
    ticker = Ticker(client, poll_every=timedelta(seconds=0.02))
    await ticker.start()
    await until_runs(client, 1)
    clock.at(gap)
    await until_runs(client, 1 + count)
    await ticker.stop()
    fired = await runs_of(client, "seconds")
    assert len(fired) == 1 + count
    assert fired[-1] == gap[:19]


class Unreliable(Client):
    """A client whose store is out of reach for a while."""

    is_cut_off = False
    refused = 0

    def __init__(self, store: Store, catalog: Catalog) -> None:
        super().__init__(store, catalog)
        self.refused_thrice = asyncio.Event()

    async def schedules(self) -> Any:
        if self.is_cut_off:
            self.refused += 1
            if self.refused == 3:
                self.refused_thrice.set()
            raise StoreUnavailable("the disk is full; nothing was stored")
        return await super().schedules()


async def test_a_store_out_of_reach_is_said_once_and_got_over(
    store: Store, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    catalog = client_of(store, report).catalog
    client = Unreliable(store, catalog)
    ticker = Ticker(client, poll_every=timedelta(seconds=0.02))
    with caplog.at_level(logging.WARNING):
        await ticker.start()
        client.is_cut_off = True
        await client.refused_thrice.wait()
        clock.at("2026-03-02T13:00:00Z")
        client.is_cut_off = False
        await until_runs(client, 1)
    await ticker.stop()
    assert caplog.text.count("schedules are not looked at while the store is out of reach") == 1
    assert await runs_of(client, "hourly") == ["2026-03-02T13:00:00"]


class Slow(Client):
    """A client whose store takes its time."""

    def __init__(self, store: Store, catalog: Catalog) -> None:
        super().__init__(store, catalog)
        self.firing = 0
        self.entered, self.released = asyncio.Event(), asyncio.Event()

    async def fire(self, schedule: Schedule, *, at: datetime, next_at: datetime | None) -> Run | None:
        self.firing += 1
        self.entered.set()
        await self.released.wait()
        return await super().fire(schedule, at=at, next_at=next_at)


async def test_a_slow_look_is_not_joined_by_others_and_stop_waits_for_it(
    store: Store, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    client = Slow(store, client_of(store, report).catalog)
    await declare(client)
    clock.at("2026-03-02T13:00:00Z")
    ticker = Ticker(client, poll_every=timedelta(seconds=0.01))
    await ticker.start()
    await client.entered.wait()
    stopping = asyncio.create_task(ticker.stop())
    done, _ = await asyncio.wait([stopping], timeout=0.2)
    assert not done
    client.released.set()
    await stopping
    assert client.firing == 1
    assert await runs_of(client, "hourly") == ["2026-03-02T13:00:00"]
    assert "maximum number of running instances" not in caplog.text


async def test_start_gives_the_reconciled_schedules(store: Store) -> None:
    ticker = Ticker(client_of(store, report), poll_every=HOUR)
    found: list[Schedule] = list(await ticker.start())
    await ticker.stop()
    assert [(one.id, one.next_fire_at) for one in found] == [("hourly", datetime(2026, 3, 2, 13, tzinfo=UTC))]
