"""Every store meets the same contract: a further database is one more word in `STORES`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agentflow.store import Store
from agentflow.testing import FakeClock
from tests.support.stores import Database, database_of

STORES = ("sqlite", "postgres")


@pytest.fixture(params=STORES)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    async with database_of(request.param, tmp_path) as database:
        yield database


@pytest.fixture
async def store(database: Database) -> Store:
    return await database.open()


@pytest.fixture
def clock(database: Database) -> FakeClock:
    return database.clock
