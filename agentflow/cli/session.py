"""The database a command works on, opened and closed around it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agentflow.cli.exits import ExitCode, Refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from agentflow.cli.terminal import Terminal
    from agentflow.client import Client
    from agentflow.records import Entry, Run
    from agentflow.store.base import Store
    from agentflow.tasks.catalog import Catalog
    from agentflow.tasks.task import Task

SQLITE: Final = "sqlite:///"


@asynccontextmanager
async def opened_store(terminal: Terminal, url: str = "") -> AsyncIterator[Store]:
    """The store of the command's database, or of another. Raises `Refused` where there is none."""
    if sentence := missing_database(url or terminal.database):
        raise Refused(sentence, ExitCode.UNUSABLE)
    from agentflow.store import open_store

    store = await open_store(url or terminal.database)
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def opened(
    terminal: Terminal, *, catalog: Catalog | None = None, may_create: bool = False
) -> AsyncIterator[Client]:
    """A client of the command's database. Raises `Refused` where there is none yet, unless the command may make one."""
    if not may_create and (sentence := missing_database(terminal.database)):
        raise Refused(sentence, ExitCode.UNUSABLE)
    from agentflow.client import Client
    from agentflow.store import open_store

    store = await open_store(terminal.database)
    try:
        client = Client(store, catalog, None if catalog is None else _misfit)
        await client.declare_queues()
        yield client
    finally:
        await store.close()


async def _misfit(run: Run, entries: Sequence[Entry], task: Task[..., Any]) -> str | None:
    """What keeps the task from going on from this journal; its machinery is loaded when a fork needs it."""
    from agentflow.runtime.dry.replaying import misfit

    return await misfit(run, entries, task)


def missing_database(url: str) -> str:
    """For a database file that does not exist: where it would be, and how to get one. Else empty.

    A command that only reads must not leave an empty database behind in whatever folder it was started in.
    """
    path = Path(url.removeprefix(SQLITE).partition("?")[0])
    if not url.startswith(SQLITE) or path.exists():
        return ""
    return f"there is no database at {path} yet; `agentflow serve app.py` makes one, --database names another"
