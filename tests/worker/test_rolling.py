"""A deploy under load: workers of an old release are replaced one after the other by those of a new one."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from agentflow import AgentFlow
from agentflow.errors import Conflict
from agentflow.states import EntryKind, RunStatus
from tests.support import ledger
from tests.worker import releases

if TYPE_CHECKING:
    from agentflow.client import Client
    from agentflow.records import Run
    from tests.cli.shell import Shell, Started

OLD, NEW = "1", "2"
EVERY, AT_LEAST = 0.05, 40


class Load:
    """Runs triggered one after the other and approvals answered, until `stop`; `ended` gives what became of them."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.ids: list[str] = []
        self._stopping = asyncio.Event()
        self._tasks = [asyncio.create_task(self._trigger()), asyncio.create_task(self._answer())]

    async def _trigger(self) -> None:
        started = (releases.is_carried, ()), (releases.asks, (3,)), (releases.is_pinned, ())
        while not self._stopping.is_set() or len(self.ids) < AT_LEAST:
            task, given = started[len(self.ids) % len(started)]
            self.ids.append((await self.client.trigger(task, *given)).id)
            await asyncio.sleep(EVERY)

    async def _answer(self) -> None:
        async for _ in self.client.changes():
            for approval in (await self.client.approvals(limit=200)).items:
                with suppress(Conflict):
                    await self.client.decide(approval.id, "approve", by="mia")

    async def ended(self) -> list[Run]:
        self._stopping.set()
        await self._tasks[0]
        runs = [await self.client.result(run_id, timeout="120s") for run_id in self.ids]
        self._tasks[1].cancel()
        return runs


def started(shop: Shell, release: str) -> Started:
    shop.environment |= {releases.VARIABLE: release, ledger.VARIABLE: str(shop.folder / "ledger")}
    one = shop.start("worker", "tests.worker.releases", "--drain-timeout", "20s", "--json")
    one.document()
    return one


async def replaced(shop: Shell, old: Started, release: str) -> Started:
    """A worker of the release, ready, and then the old one asked to end: as a rolling deploy does it."""
    new = await asyncio.to_thread(started, shop, release)
    ended = await asyncio.to_thread(old.stop)
    assert ended.code == 0, ended.err
    return new


@pytest.mark.timeout(600)
async def test_workers_replaced_under_load_lose_nothing_and_do_nothing_twice(agentflow: Shell, database: str) -> None:
    workers = [await asyncio.to_thread(started, agentflow, OLD) for _ in range(2)]
    async with AgentFlow(releases, database=database, worker=False) as app:
        load = Load(app.client)
        pinned_worker = workers[0]
        workers = [await replaced(agentflow, workers[1], NEW)]
        workers += [await replaced(agentflow, workers[0], NEW)]  # and that of the new release itself
        runs = await load.ended()
        assert Counter(run.status for run in runs) == {RunStatus.COMPLETED: len(runs)}
        assert [run.id for run in runs if run.recoveries or run.attempt != 1] == []
        for run in runs:
            await check(app.client, run, agentflow)
        assert (await app.client.workers())[0].draining_at is None
    for worker in [pinned_worker, workers[-1]]:
        assert (await asyncio.to_thread(worker.stop)).code == 0


async def check(client: Client, run: Run, shop: Shell) -> None:
    """Each step of it ran once, was seen to its end, and is recorded once; nothing of it was taken for lost."""
    wanted = {"is_carried": releases.STEPS, "asks": 5, "is_pinned": f"{OLD}{OLD}"}
    assert json.loads(run.output or "null") == wanted[run.task]
    entries = await client.journal(run.id)
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    assert {EntryKind.RECOVERED, EntryKind.ATTEMPT_FAILED, EntryKind.DIVERGED}.isdisjoint(one.kind for one in entries)
    recorded = Counter(one.key for one in entries if one.kind is EntryKind.SUCCEEDED and one.operation == "step")
    lines = [line for line in ledger.read(shop.folder / "ledger") if line.run == run.id]
    assert Counter(line.key for line in lines if line.phase == "start") == recorded
    assert set(recorded.values()) == {1}


async def test_runs_of_both_releases_are_taken_by_workers_of_their_own(agentflow: Shell, database: str) -> None:
    """The releases side by side, as in the middle of a deploy or after a rollback."""
    workers = [await asyncio.to_thread(started, agentflow, release) for release in (OLD, NEW)]
    async with AgentFlow(releases, database=database, worker=False) as app:
        older = [await app.client.trigger(releases.is_pinned) for _ in range(8)]
        newer = agentflow("trigger", "tests.worker.releases:is_pinned", "--json").document["id"]
        for run in older:
            assert (await app.client.result(run.id, timeout="120s")).output == f'"{OLD}{OLD}"'
        assert (await app.client.result(newer, timeout="120s")).output == f'"{NEW}{NEW}"'
        assert (await asyncio.to_thread(workers[0].stop)).code == 0
        left = await app.client.trigger(releases.is_pinned)
        assert "knows task 'is_pinned' (version 1)" in await app.client.why(left.id)
