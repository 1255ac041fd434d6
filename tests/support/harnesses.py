"""Harnesses for tests of what tasks may do: as usual, and replayed at every operation on either database."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest

from agentflow.store import open_store
from agentflow.testing import Harness
from tests.support.postgres import postgres_database

OpenHarness = Callable[..., Harness]


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database without runs, to be copied: making one takes longer than most tests."""
    import asyncio

    path = tmp_path_factory.mktemp("empty") / "runs.db"

    async def make() -> None:
        store = await open_store(f"sqlite:///{path}")
        await store.close()

    asyncio.run(make())
    return path


@pytest.fixture
def on_sqlite(tmp_path: Path, empty_database: Path) -> str:
    """The URL of a fresh database in a file."""
    path = tmp_path / "runs.db"
    shutil.copyfile(empty_database, path)
    path.chmod(0o600)
    return f"sqlite:///{path}"


@pytest.fixture(params=["live", "replayed", "replayed on PostgreSQL"])
async def harness(request: pytest.FixtureRequest, on_sqlite: str) -> AsyncIterator[OpenHarness]:
    """`async with harness(my_task) as h:` opens a harness on a fresh database, in one of these ways."""
    if request.param != "replayed on PostgreSQL":
        yield partial(Harness, database=on_sqlite, replay_always=request.param == "replayed")
        return
    async with postgres_database() as url:
        yield partial(Harness, database=url, replay_always=True)


@pytest.fixture
def live(on_sqlite: str) -> OpenHarness:
    """The same, in the usual way only: for what replaying at every operation would change by itself."""
    return partial(Harness, database=on_sqlite)
