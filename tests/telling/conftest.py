"""A store with a fake clock, its client, a subscriber, and a teller that is moved by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agentflow.client import Client
from agentflow.clock import SystemClock
from agentflow.records import Subscription
from agentflow.store import Store
from agentflow.telling import Teller, TellerSettings
from agentflow.testing import FakeClock
from tests.support.stores import Database, database_of
from tests.telling.receiver import Receiver, receiving

QUICK = TellerSettings(poll_every=timedelta(milliseconds=30), idle_every=timedelta(milliseconds=30))


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with database_of("sqlite", tmp_path) as database:
        database.clock = FakeClock(SystemClock().now())  # subscribers check when a message was signed
        yield database


@pytest.fixture
async def store(database: Database) -> Store:
    return await database.open()


@pytest.fixture
def clock(database: Database) -> FakeClock:
    return database.clock


@pytest.fixture
def client(store: Store) -> Client:
    return Client(store)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
def teller(store: Store) -> Teller:
    return Teller(store, dev=True, settings=QUICK)


async def subscribed(client: Client, receiver: Receiver, *events: str, **given: Any) -> Subscription:
    return await client.subscriptions.add(receiver.url, events=events or ("*",), by="mia", **given)


async def told(teller: Teller) -> None:
    """Everything that is due has been sent, once."""
    for _ in range(50):
        await teller.look()
        if not teller._sending:
            return
        await teller.settled()
    raise AssertionError("there is always more to send")
