"""Every test of what tasks may do runs twice: as usual, and replayed from the journal at every operation."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentflow.store import open_store
from agentflow.testing import Harness
from tests.support.tasks import Ledger

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


@pytest.fixture(params=["live", "replayed"])
def harness(request: pytest.FixtureRequest, tmp_path: Path, empty_database: Path) -> OpenHarness:
    """`async with harness(my_task) as h:` opens a harness on a fresh database, in one of the two ways."""
    return _opening(tmp_path, empty_database, replay_always=request.param == "replayed")


@pytest.fixture
def live(tmp_path: Path, empty_database: Path) -> OpenHarness:
    """The same, in the usual way only: for what replaying at every operation would change by itself."""
    return _opening(tmp_path, empty_database, replay_always=False)


def _opening(tmp_path: Path, empty: Path, *, replay_always: bool) -> OpenHarness:
    def opened(*definitions: Any, **options: Any) -> Harness:
        path = tmp_path / "runs.db"
        if not path.exists():
            shutil.copyfile(empty, path)
            path.chmod(0o600)
        return Harness(*definitions, path=path, replay_always=replay_always, **options)

    return opened


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()
