"""A database that goes away while a worker is at work: it waits, says so once, and goes on by itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from agentflow import AgentFlow, step, task
from agentflow.errors import StoreUnavailable
from agentflow.requests import TriggerRun
from agentflow.settings import WorkerSettings
from agentflow.store import outages
from agentflow.store.outages import Outages
from agentflow.store.postgres import sending, transactions
from agentflow.store.postgres import store as postgres_store
from agentflow.store.sqlite import writer as sqlite_writer
from tests.store.programs import HOLD_THE_LOCK, programs
from tests.support.clusters import Cluster
from tests.support.proxy import Proxy
from tests.support.tasks import LONGEST

STEPS, RUNS = 6, 5
SAID_BY = {"agentflow.store", "agentflow.worker"}
LONG = WorkerSettings(lease_for=timedelta(seconds=60), heartbeat_every=timedelta(milliseconds=200))
SHORT = WorkerSettings(lease_for=timedelta(seconds=6), heartbeat_every=timedelta(milliseconds=200))


class Counted:
    """Tasks whose steps count their calls, and stand still in the middle until told."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, int]] = []
        self.halfway = asyncio.Event()
        self.go_on = asyncio.Event()

        @step
        async def noted(run: int, n: int) -> int:
            self.calls.append((run, n))
            if n == STEPS // 2:
                if len([call for call in self.calls if call[1] == n]) >= RUNS:
                    self.halfway.set()
                await self.go_on.wait()
            return n

        @task
        async def counts(run: int) -> int:
            return sum([await noted(run, n) for n in range(STEPS)])

        self.task = counts


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    with Cluster() as cluster:
        yield cluster


@pytest.fixture
async def proxy(server: Cluster, request: pytest.FixtureRequest) -> AsyncIterator[tuple[Proxy, str]]:
    name = f"weather{abs(hash(request.node.nodeid)) % 10**8}"
    server.run_sql(f"CREATE DATABASE {name}")
    with Proxy(server.host, server.port) as proxy:
        yield proxy, proxy.url(name)


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was said at a level that nobody leaves out, of the database and of the worker."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.name in SAID_BY and record.levelno >= logging.WARNING and "fsync" not in record.message
    ]


async def until_told(caplog: pytest.LogCaptureFixture, what: str) -> None:
    async with asyncio.timeout(LONGEST):
        while not any(what in one for one in told(caplog)):  # noqa: ASYNC110  a log has no event
            await asyncio.sleep(0.02)


async def away(app: AgentFlow) -> None:
    """Return when the store has noticed."""
    async with asyncio.timeout(LONGEST):
        while not app.store._writer.outages._away:  # type: ignore[attr-defined]  # noqa: ASYNC110  threads change it
            await asyncio.sleep(0.01)


async def test_turns_in_memory_wait_for_the_server_and_repeat_nothing(
    proxy: tuple[Proxy, str], caplog: pytest.LogCaptureFixture
) -> None:
    """As long as the lease lasts the runs are this worker's, and their results are written once they can be."""
    weather, url = proxy
    work = Counted()
    caplog.set_level(logging.INFO)
    async with AgentFlow(work.task, database=url, settings=LONG) as app:
        runs = [await app.client.trigger(work.task, run) for run in range(RUNS)]
        await asyncio.wait_for(work.halfway.wait(), LONGEST)
        weather.cut()
        work.go_on.set()
        await away(app)
        with pytest.raises(StoreUnavailable):
            await app.store.trigger(TriggerRun(task="of another", version="1", input="{}"))
        await asyncio.sleep(1.5)  # long enough for many a loop to complain
        weather.accept()
        ended = [await app.client.result(run.id, timeout=LONGEST) for run in runs]
        await until_told(caplog, "is back after")

    assert [run.output for run in ended] == [str(sum(range(STEPS)))] * RUNS
    assert sorted(work.calls) == [(run, n) for run in range(RUNS) for n in range(STEPS)]
    assert {run.epoch for run in ended} == {1}
    went, back = told(caplog)
    assert "what needs it waits, and it is tried again until it is back" in went
    assert "the database is back after" in back


async def test_a_worker_whose_lease_ran_out_meanwhile_comes_back_as_a_new_one(
    proxy: tuple[Proxy, str], caplog: pytest.LogCaptureFixture
) -> None:
    """What was recorded is not done again; the step whose result could not be written is."""
    weather, url = proxy
    work = Counted()
    async with AgentFlow(work.task, database=url, settings=SHORT) as app:
        assert app.worker is not None
        before = app.worker.id
        runs = [await app.client.trigger(work.task, run) for run in range(RUNS)]
        await asyncio.wait_for(work.halfway.wait(), LONGEST)
        weather.cut()
        await away(app)
        await until_told(caplog, "lost its lease")
        work.go_on.set()
        weather.accept()
        ended = [await app.client.result(run.id, timeout=LONGEST) for run in runs]
        assert app.worker.id != before
        await until_told(caplog, "is back after")

    assert [run.output for run in ended] == [str(sum(range(STEPS)))] * RUNS
    assert {run.epoch for run in ended} == {2}
    assert {n for run, n in work.calls if work.calls.count((run, n)) > 1} == {STEPS // 2}
    assert len(told(caplog)) == 3, told(caplog)


async def test_a_server_that_is_restarted_is_found_again(server: Cluster, proxy: tuple[Proxy, str]) -> None:
    _, url = proxy
    work = Counted()
    async with AgentFlow(work.task, database=url, settings=LONG) as app:
        runs = [await app.client.trigger(work.task, run) for run in range(RUNS)]
        await asyncio.wait_for(work.halfway.wait(), LONGEST)
        server.restart("immediate")  # not in a thread, with which it would end
        work.go_on.set()
        for run in runs:
            assert (await app.client.result(run.id, timeout=LONGEST)).output == str(sum(range(STEPS)))
        for _ in range(8):
            await app.client.run(runs[0].id)  # by no reader whose connection is of before the restart


async def test_a_locked_file_makes_turns_wait_and_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sqlite_writer, "BUSY_MS", 50)
    work = Counted()
    file = tmp_path / "runs.db"
    async with AgentFlow(work.task, database=f"sqlite:///{file}", settings=LONG) as app:
        runs = [await app.client.trigger(work.task, run) for run in range(RUNS)]
        await asyncio.wait_for(work.halfway.wait(), LONGEST)
        with programs(HOLD_THE_LOCK, (file,)) as (holder,):
            assert await holder.line() == "held"
            work.go_on.set()
            await away(app)
            await asyncio.sleep(1)
            holder.go_on()
            ended = [await app.client.result(run.id, timeout=LONGEST) for run in runs]
        await until_told(caplog, "is back after")

    assert sorted(work.calls) == [(run, n) for run in range(RUNS) for n in range(STEPS)]
    assert {run.epoch for run in ended} == {1}
    went, back = told(caplog)
    assert f"database {file} is locked by another program" in went
    assert "the database is back" in back


# -- what is said


def said(caplog: pytest.LogCaptureFixture) -> int:
    return sum(record.name == "agentflow.store" for record in caplog.records)


def test_an_outage_of_several_connections_is_one(caplog: pytest.LogCaptureFixture) -> None:
    found = Outages()
    for name in ("writer", "reader", "heartbeat", "writer"):
        found.began(name, "it is gone")
    assert said(caplog) == 1
    found.ended("reader")
    found.ended("heartbeat")
    assert said(caplog) == 1
    found.ended("writer")
    found.ended("writer")
    assert said(caplog) == 2


def test_what_comes_and_goes_with_every_write_is_said_once_in_a_while(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(outages, "monotonic", lambda: now)
    found = Outages()
    for _ in range(500):
        found.began("writer", "the disk is full")
        found.ended("writer")
        now += 0.1
    assert said(caplog) == 4


# -- a server that stands still


async def test_a_server_that_says_nothing_any_more_is_given_up_and_found_again(
    proxy: tuple[Proxy, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its host still answers, so that nobody but us would notice; no read, no write and no lease waits for ever."""
    for module in (postgres_store, sending, transactions):
        monkeypatch.setattr(module, "ANYTHING", 4.0)
    monkeypatch.setattr(postgres_store, "LEASE", 2.0)
    weather, url = proxy
    work = Counted()
    async with AgentFlow(work.task, database=f"{url}?connect_timeout=5", settings=SHORT) as app:
        runs = [await app.client.trigger(work.task, run) for run in range(RUNS)]
        await asyncio.wait_for(work.halfway.wait(), LONGEST)
        weather.silence()
        told = await asyncio.wait_for(
            asyncio.gather(
                app.client.runs(),
                app.store.trigger(TriggerRun(task="of another", version="1", input="{}")),
                return_exceptions=True,
            ),
            LONGEST,
        )
        assert [type(one) for one in told] == [StoreUnavailable, StoreUnavailable]
        work.go_on.set()
        weather.speak()
        for run in runs:
            assert (await app.client.result(run.id, timeout=LONGEST)).output == str(sum(range(STEPS)))
