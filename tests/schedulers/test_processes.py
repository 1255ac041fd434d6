"""Ten scheduler processes on one database, killed and started again at random while they fire once a second.

`AGENTFLOW_TEST_LONG=1` makes it a minute.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from asyncio import subprocess
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from agentflow.client import Client
from agentflow.records import Occurrence
from agentflow.states import OccurrenceKind, OccurrenceOutcome
from agentflow.store import open_store
from tests.support.postgres import postgres_database

ROOT = Path(__file__).parents[2]
SCHEDULERS = 10
ALWAYS_THERE, ENOUGH = 3, 5
SECONDS = 60 if os.environ.get("AGENTFLOW_TEST_LONG") else 10
SECOND = timedelta(seconds=1)


@pytest.fixture(params=["sqlite", "postgres"])
async def url(request: pytest.FixtureRequest, database: str) -> AsyncIterator[str]:
    if request.param == "sqlite":
        yield database
        return
    async with postgres_database() as found:
        yield found


class Fleet:
    """Scheduler processes, of which some are always there."""

    def __init__(self, database: str) -> None:
        self.database = database
        self.here: list[subprocess.Process] = []
        self.starting: set[asyncio.Task[None]] = set()
        self.killed = 0

    def start(self) -> None:
        self.starting.add(asyncio.create_task(self._start()))

    async def _start(self) -> None:
        script = str(Path(__file__).with_name("beating.py"))
        started = await subprocess.create_subprocess_exec(
            sys.executable, script, self.database, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE
        )
        assert started.stdout is not None
        assert await started.stdout.readline() == b"started\n"
        self.here.append(started)

    async def all_started(self) -> None:
        await asyncio.gather(*self.starting)
        self.starting.clear()

    async def kill_and_start(self, chance: random.Random, *, until: Client, end: datetime) -> None:
        """Kill one of them at any moment of a second, and start another, until that time; some at least."""
        while until.now() < end or self.killed < ENOUGH:
            ends = [asyncio.ensure_future(one.wait()) for one in self.here]
            ended, _ = await asyncio.wait(ends, timeout=chance.uniform(0.05, 1), return_when=asyncio.FIRST_COMPLETED)
            assert not ended, "a scheduler ended that nobody killed"
            for one in ends:
                one.cancel()
            if len(self.here) > ALWAYS_THERE:
                victim = self.here.pop(chance.randrange(len(self.here)))
                victim.kill()
                await victim.communicate()
                self.killed += 1
                self.start()

    async def stop(self) -> None:
        """Ask them to end, as a deploy does."""
        await asyncio.gather(*self.starting, return_exceptions=True)
        for one in self.here:
            one.terminate()
        for one in self.here:
            await one.communicate()


async def occurrences(client: Client) -> list[Occurrence]:
    found, cursor = [], None
    while True:
        page = await client.schedules.occurrences("seconds", cursor=cursor, limit=200)
        found += page.items
        if (cursor := page.next_cursor) is None:
            return found


async def run_ids(client: Client) -> list[str]:
    found, cursor = [], None
    while True:
        page = await client.runs(cursor=cursor, limit=200)
        found += [run.id for run in page.items]
        if (cursor := page.next_cursor) is None:
            return found


async def until_fired(client: Client, at: datetime) -> None:
    async with aclosing(client.changes()) as changes:
        async for _ in changes:
            latest = (await client.schedules.occurrences("seconds", limit=1)).items
            if latest and latest[0].fire_at > at:
                return


@pytest.mark.timeout(500 + 2 * SECONDS)
async def test_ten_schedulers_killed_at_random_start_exactly_one_run_for_each_second(url: str) -> None:
    store = await open_store(url)
    client, fleet = Client(store), Fleet(url)
    seed = random.SystemRandom().randrange(10**9)
    try:
        for _ in range(SCHEDULERS):
            fleet.start()
        await fleet.all_started()
        begin = client.now() + SECOND
        end = begin + SECONDS * SECOND
        await fleet.kill_and_start(random.Random(seed), until=client, end=end)
        await until_fired(client, end)
    finally:
        await fleet.stop()
    assert {one.returncode for one in fleet.here} <= {0, -signal.SIGKILL}
    found = await occurrences(client)
    within = sorted(one.fire_at for one in found if begin < one.fire_at <= end)
    assert len(within) == SECONDS, f"seed {seed}"
    assert all(later - earlier == SECOND for earlier, later in pairwise(within)), f"seed {seed}"
    of_them = [one for one in found if begin < one.fire_at <= end]
    assert Counter((one.outcome, one.kind) for one in of_them) == {
        (OccurrenceOutcome.STARTED, OccurrenceKind.DUE): SECONDS
    }, f"seed {seed}"
    started = sorted(one.run_id or "" for one in found if one.outcome is OccurrenceOutcome.STARTED)
    assert started == sorted(await run_ids(client)), f"seed {seed}"
    late = sorted(one.created_at - one.fire_at for one in of_them)
    assert timedelta() <= late[0], "one fired before its time"
    await store.close()
