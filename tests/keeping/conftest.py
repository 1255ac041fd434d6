"""A database of either kind in which an application ran: what looks after it finds something of everything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from agentflow import Rejected, step, task, wait_for_approval, wait_for_event
from agentflow.testing import FakeClock, Harness
from tests.support.stores import Database, database_of

STORES = ("sqlite", "postgres")


@step
async def look_up(name: str) -> str:
    return name.title()


@task
async def greet(name: str) -> str:
    return f"hello {await look_up(name)}"


@task
async def pay(number: str) -> dict[str, str]:
    """Asks a person, and is large enough to need a blob."""
    decision = await wait_for_approval({"number": number, "body": "x" * 200_000}, title=f"Invoice {number}")
    if not decision.approved:
        raise Rejected(decision.comment)
    return {"paid": decision.data["number"]}


@task
async def parent(name: str) -> str:
    return await greet(name)


@task
async def listens(key: str) -> str:
    return await wait_for_event("paid", type=str, key=key)


TASKS = (greet, pay, parent, listens)


@asynccontextmanager
async def lived_in(kind: str, folder: Path) -> AsyncIterator[Database]:
    """A database where runs have ended, wait for a person and for an event, and line up."""
    await asyncio.to_thread(folder.mkdir, exist_ok=True)
    async with database_of(kind, folder) as database:
        async with Harness(*TASKS, database=database.url, clock=database.clock) as harness:
            await harness.trigger(parent, "mia")
            for number in ("17", "18"):
                await harness.trigger(pay, number)
            await harness.trigger(listens, "k")
            await harness.until_idle()
            first = (await harness.client.approvals()).items[0]
            await harness.client.decide(first.id, "approve", by="mia")
            await harness.until_idle()
            await harness.advance(timedelta(minutes=1))
        store = await database.open()
        await store.trigger(greet.request(greet.encode_call(("zoe",), {}), origin="test"))
        await store.close()
        database.opened.remove(store)
        yield database


@pytest.fixture(params=STORES)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    async with lived_in(request.param, tmp_path) as database:
        yield database


@pytest.fixture
def clock(database: Database) -> FakeClock:
    return database.clock
