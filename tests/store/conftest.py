"""A SQLite store of its own for each test, and a look at the file past the store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agentflow.store.sqlite.file import driver
from agentflow.store.sqlite.store import SqliteStore
from tests.support.stores import Database, database_of

if TYPE_CHECKING:
    from sqlite3 import Connection


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agentflow.db"


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with database_of("sqlite", tmp_path) as database:
        yield database


@pytest.fixture
async def store(database: Database) -> SqliteStore:
    opened = await database.open()
    assert isinstance(opened, SqliteStore)
    return opened


@pytest.fixture
def outside(store: SqliteStore) -> Iterator[Connection]:
    """Another connection to the store's file, which sees what is committed and nothing else."""
    connection: Connection = driver.connect(str(store.path), isolation_level=None)
    yield connection
    connection.close()
