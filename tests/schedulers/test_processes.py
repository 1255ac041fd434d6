"""Several scheduler processes on one database, killed while they fire."""

from __future__ import annotations

import os
import sys
from asyncio import subprocess
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

from agentflow.client import Client
from agentflow.store import open_store

ROOT = Path(__file__).parents[2]
SECONDS = 6


@asynccontextmanager
async def scheduler(database: str) -> AsyncIterator[subprocess.Process]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    script = str(Path(__file__).with_name("beating.py"))
    started = await subprocess.create_subprocess_exec(
        sys.executable, script, database, env=environment, stdout=subprocess.PIPE
    )
    assert started.stdout is not None
    try:
        assert await started.stdout.readline() == b"started\n"
        yield started
    finally:
        if started.returncode is None:
            started.terminate()
        await started.communicate()


async def until_fired(client: Client, count: int) -> None:
    async with aclosing(client.changes()) as changes:
        async for _ in changes:
            if len(await client.occurrences("seconds", limit=1000)) >= count:
                return


async def test_three_processes_two_of_them_killed_start_one_run_for_each_second(database: str) -> None:
    store = await open_store(database)
    client = Client(store)
    async with scheduler(database) as first, scheduler(database) as second, scheduler(database) as last:
        all_here_at, so_far = client.now(), len(await client.occurrences("seconds", limit=1000))
        await until_fired(client, so_far + 2)
        first.kill()
        await until_fired(client, so_far + 4)
        second.kill()
        await until_fired(client, so_far + SECONDS)
        last.terminate()
        assert await last.wait() == 0
    occurrences = await client.occurrences("seconds", limit=1000)
    runs = (await client.runs(limit=200)).items
    assert len(runs) == len(occurrences)
    assert {run.id for run in runs} == {one.run_id for one in occurrences}
    seconds = sorted(one.fire_at for one in occurrences if one.fire_at > all_here_at)
    assert len(seconds) >= SECONDS - 1
    assert all(later - earlier == timedelta(seconds=1) for earlier, later in pairwise(seconds))
    await store.close()
