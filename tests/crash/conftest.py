"""A fresh database for each test, copied from one whose schema was made once, and a ledger beside it."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agentflow.store import open_store
from tests.crash.scenes import Scene, made, made_on_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Signals, forks, /proc: what is killed here, and how, is of Linux.
collect_ignore_glob = [] if sys.platform == "linux" else ["test_*.py"]


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database with the present schema."""
    file = tmp_path_factory.mktemp("migrated") / "empty.db"

    async def make() -> None:
        await (await open_store(f"sqlite:///{file}")).close()

    asyncio.run(make())
    return file


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    """Which database scenes have: SQLite's, unless a module is `ON_BOTH`."""
    return getattr(request, "param", "sqlite")


@pytest.fixture
def new_scene(kind: str, migrated: Path, tmp_path: Path) -> Callable[[str], Scene]:
    """Makes scenes that know nothing of each other."""
    return _made_of(kind, migrated, tmp_path)


@pytest.fixture
def in_memory(kind: str, migrated: Path) -> Iterator[Callable[[str], Scene]]:
    """Makes scenes where a flush costs nothing, where there is such a place: for many commits that only processes end.

    What a process has written outlives it there as on a disk.
    """
    place = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=place if os.access(place, os.W_OK) else None) as folder:
        yield _made_of(kind, migrated, Path(folder))


def _made_of(kind: str, migrated: Path, folder: Path) -> Callable[[str], Scene]:
    if kind == "postgres":
        return lambda name: made_on_server(folder / name)
    return lambda name: made(migrated, folder / name)


@pytest.fixture
def scene(new_scene: Callable[[str], Scene]) -> Scene:
    """One scene."""
    return new_scene("scene")
