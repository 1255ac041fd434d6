"""The clock of one process. These tests take a second or two each: APScheduler keeps real time."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, ClassVar

import pytest

from agentflow.client import Client
from agentflow.client.schedules import Schedules
from agentflow.clock import SystemClock
from agentflow.errors import StoreUnavailable
from agentflow.store import Store, open_store
from agentflow.tasks.decorating import task
from schedulers.declaring import declare
from schedulers.firing import fire_due
from schedulers.ticker import Ticker
from tests.schedulers.support import HandClock, client_of, occurrences_of, runs_of

HOUR = timedelta(hours=1)


@task.schedule("* * * * * *", id="seconds")
@task
async def beat() -> None: ...


@task.schedule("0 * * * *", id="hourly")
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
    late: list[timedelta] = []
    while sum(one < timedelta(seconds=0.5) for one in late) < 3:  # where the machine is busy not each of them is
        await until_runs(client, len(late) + 1)
        late = [one.created_at - one.fire_at for one in await occurrences_of(client, "seconds")]
    await ticker.stop()
    fired = [one.fire_at for one in await occurrences_of(client, "seconds")]
    assert {later - earlier for earlier, later in pairwise(fired)} == {timedelta(seconds=1)}
    assert timedelta() <= min(late), "one fired before its time"
    await store.close()


async def test_what_was_missed_before_the_start_runs_at_once(store: Store, clock: HandClock) -> None:
    client = client_of(store, report)
    await declare(client)
    await fire_due(client)
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
    assert (await ticker.start()).added == []
    other = await open_store(database, clock=clock)
    await declare(client_of(other, report))
    await fire_due(client_of(other, report))
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
    await until_planned(client, "seconds")
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


async def until_planned(client: Client, schedule_id: str) -> None:
    while (await client.schedules.one(schedule_id)).next_fire_at is None:
        await SystemClock().sleep(timedelta(seconds=0.01))  # a plan is no change that anybody is told of


@pytest.mark.parametrize(("gap", "count"), [("2026-03-02T12:00:04.5Z", 3), ("2026-03-02T14:00:04.5Z", 1)])
async def test_a_late_look_makes_up_for_all_a_long_absence_for_one(
    store: Store, clock: HandClock, gap: str, count: int
) -> None:
    """The process is busy for seconds, or the laptop it runs on is closed for hours."""
    client = client_of(store, beat)
    await declare(client)
    await fire_due(client)
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


class Outage(Schedules):
    """What a client has whose store is out of reach for a while."""

    is_cut_off = False
    refused = 0
    refused_thrice: asyncio.Event

    async def need_a_scheduler(self, until: datetime) -> bool:
        if Outage.is_cut_off:
            Outage.refused += 1
            if Outage.refused == 3:
                Outage.refused_thrice.set()
            raise StoreUnavailable("the disk is full; nothing was stored")
        return await super().need_a_scheduler(until)


class Unreliable(Client):
    @property
    def schedules(self) -> Schedules:
        return Outage(self._store, self.catalog)


async def test_a_store_out_of_reach_is_said_once_and_got_over(
    store: Store, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    catalog = client_of(store, report).catalog
    client = Unreliable(store, catalog)
    Outage.is_cut_off, Outage.refused, Outage.refused_thrice = False, 0, asyncio.Event()
    ticker = Ticker(client, poll_every=timedelta(seconds=0.02))
    with caplog.at_level(logging.WARNING):
        await ticker.start()
        await until_planned(client, "hourly")
        Outage.is_cut_off = True
        await Outage.refused_thrice.wait()
        assert ticker.trouble
        clock.at("2026-03-02T13:00:00Z")
        Outage.is_cut_off = False
        await until_runs(client, 1)
    await ticker.stop()
    assert caplog.text.count("schedules are not looked at while the store is out of reach") == 1
    assert await runs_of(client, "hourly") == ["2026-03-02T13:00:00"]


class Holding(Schedules):
    """What a client has whose store takes its time."""

    firing = 0
    entered: asyncio.Event
    released: asyncio.Event

    async def fire(self, *args: Any, **options: Any) -> Any:
        Holding.firing += 1
        Holding.entered.set()
        await Holding.released.wait()
        return await super().fire(*args, **options)


class Slow(Client):
    @property
    def schedules(self) -> Schedules:
        return Holding(self._store, self.catalog)


async def test_a_slow_look_is_not_joined_by_others_and_stop_waits_for_it(
    store: Store, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    client = Slow(store, client_of(store, report).catalog)
    Holding.firing, Holding.entered, Holding.released = 0, asyncio.Event(), asyncio.Event()
    await declare(client)
    await fire_due(client)
    clock.at("2026-03-02T13:00:00Z")
    ticker = Ticker(client, poll_every=timedelta(seconds=0.01))
    await ticker.start()
    await Holding.entered.wait()
    stopping = asyncio.create_task(ticker.stop())
    done, _ = await asyncio.wait([stopping], timeout=0.2)
    assert not done
    Holding.released.set()
    await stopping
    assert Holding.firing == 1
    assert await runs_of(client, "hourly") == ["2026-03-02T13:00:00"]
    assert "maximum number of running instances" not in caplog.text


async def test_start_gives_what_was_reconciled(store: Store) -> None:
    ticker = Ticker(client_of(store, report), poll_every=HOUR)
    first = await ticker.start()
    await ticker.stop()
    again = await ticker.start()
    await ticker.stop()
    assert ([one.id for one in first.added], [one.id for one in again.kept]) == (["hourly"], ["hourly"])


async def test_a_backfill_is_worked_off_in_looks_that_follow_each_other_at_once(store: Store, clock: HandClock) -> None:
    client = client_of(store, report)
    await declare(client)
    until = clock.shows - timedelta(minutes=30)
    await client.schedules.backfill("hourly", since=until - 50 * HOUR, until=until, by="mia")
    ticker = Ticker(client, poll_every=timedelta(minutes=1))
    await ticker.start()
    await until_runs(client, 50)
    await ticker.stop()
    assert len(await runs_of(client, "hourly")) == 50


class Counting(Schedules):
    """What a client has that counts what it asks."""

    asked: ClassVar[list[str]] = []

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("_") and name != "asked":
            Counting.asked.append(name)
        return super().__getattribute__(name)


class Counted(Client):
    @property
    def schedules(self) -> Schedules:
        return Counting(self._store, self.catalog)


async def test_with_nothing_due_a_look_asks_one_short_question(store: Store) -> None:
    client = Counted(store, client_of(store, report).catalog)
    await declare(client)
    await fire_due(client)
    Counting.asked.clear()
    await fire_due(client)
    assert Counting.asked == ["need_a_scheduler"]
