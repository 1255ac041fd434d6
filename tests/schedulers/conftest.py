"""A real store on a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agentflow.store import Store, open_store
from tests.schedulers.support import HandClock


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'agentflow.db'}"


@pytest.fixture
async def store(database: str, clock: HandClock) -> AsyncIterator[Store]:
    opened = await open_store(database, clock=clock)
    yield opened
    await opened.close()
