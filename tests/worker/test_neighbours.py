"""Beside another program that writes to the same database: what it does to our runs is noticed, at little cost."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from agentflow import AgentFlow, WorkerSettings, step, task
from agentflow.requests import TriggerRun
from agentflow.states import RunStatus
from agentflow.store import maintenance, open_store
from tests.support.stores import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from agentflow.store import Store
    from agentflow.store.transaction import Transaction

begun: set[int] = set()
left: set[int] = set()


@step
async def hold(number: int) -> None:
    begun.add(number)
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        left.add(number)
        raise


@task
async def holds(number: int) -> None:
    await hold(number)


@pytest.fixture(autouse=True)
def _nothing_yet() -> None:
    begun.clear()
    left.clear()


@asynccontextmanager
async def a_neighbour(database: str) -> AsyncIterator[Store]:
    """A store on the same database, as another program has."""
    store = await open_store(database)
    try:
        yield store
    finally:
        await store.close()


async def test_a_run_cancelled_by_another_program_is_left_and_all_are_asked_about_together(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    held = maintenance.held

    def counted(tx: Transaction, worker_id: str) -> dict[str, tuple[int, bool]]:
        asked.append(worker_id)
        return held(tx, worker_id)

    monkeypatch.setattr(maintenance, "held", counted)
    settings = WorkerSettings(drain_for=timedelta(0))
    async with AgentFlow(holds, database=database, settings=settings) as app, a_neighbour(database) as other:
        runs = [await app.client.trigger(holds, number) for number in range(10)]
        await until(lambda: len(begun) == len(runs))
        asked.clear()
        await other.cancel(runs[3].id, by="mia", reason="")
        await until(lambda: bool(left))

        assert left == {3}
        assert 0 < len(asked) < len(runs)


async def test_a_worker_with_no_room_ends_what_another_program_has_made_and_is_overdue(database: str) -> None:
    settings = WorkerSettings(concurrency=1, drain_for=timedelta(0))
    async with AgentFlow(holds, database=database, settings=settings) as app, a_neighbour(database) as other:
        first = await app.client.trigger(holds, 0)
        await until(lambda: bool(begun))
        late = TriggerRun(task=first.task, version=first.version, input="[1]", max_duration=timedelta(milliseconds=200))
        made = await other.trigger(late)
        ended = await app.client.result(made.id, timeout=5)

    assert ended.status is RunStatus.FAILED
    assert begun == {0}
