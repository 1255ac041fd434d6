"""The command in processes of its own, on each of the databases."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from agentflow.settings import DATABASE_VARIABLE
from tests.cli.shell import Shell
from tests.support.postgres import postgres_database


@pytest.fixture(params=["sqlite", "postgres"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """The URL of a database of the test's own."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'runs.db'}"
        return
    async with postgres_database() as url:
        yield url


@pytest.fixture
def agentflow(database: str, tmp_path: Path) -> Iterator[Shell]:
    """`agentflow("runs")` runs the command on the database; `agentflow.start("worker", …)` another that goes on."""
    shell = Shell(tmp_path)
    shell.environment |= {DATABASE_VARIABLE: database}
    yield shell
    for started in shell.started:
        started.stop(signal.SIGKILL)
