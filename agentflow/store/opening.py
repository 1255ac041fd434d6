"""Open a database: check it, bring its schema up to date, and hand out the store."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from agentflow.clock import SystemClock
from agentflow.errors import StoreUnusable
from agentflow.store.postgres.server import is_postgres
from agentflow.store.revision import SCHEMA, known, warn_of_move
from agentflow.store.sqlite.file import LOOK_ONLY, connect, driver, explain, path_of, prepare
from agentflow.store.sqlite.store import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path

    from agentflow.clock import Clock
    from agentflow.store.base import Store

CHECKED_WHOLE: Final = 32 * 2**20
"""Bytes of a file that is looked through whenever it is opened, in a tenth of a second; a larger one by `agentflow db
check`. What is damaged in it shows when it is read."""
MOVED: Final = "SELECT 1 FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'agentflow~_moved~_%' ESCAPE '~'"


async def open_store(url: str, *, clock: Clock | None = None) -> Store:
    """The store at this URL (`sqlite:///name.db`, `postgresql://…`), its schema made or brought up to date.

    Without a clock it goes by the host's on a file, and by the server's on a server.

    Raises `InvalidSetting` or `StoreUnusable` with one sentence that says what to do; nothing was changed then.
    """
    if is_postgres(url):
        return await _open_postgres(url, clock)
    path = path_of(url)
    lock = await asyncio.to_thread(_make_ready, path)
    return SqliteStore(path, clock or SystemClock(), lock)


async def _open_postgres(url: str, clock: Clock | None) -> Store:
    opened: Store = await import_module("agentflow.store.postgres.opening").open_postgres(url, clock)
    return opened


def _make_ready(path: Path) -> Any:
    lock = prepare(path)
    try:
        revision = _revision(path)
        if revision != SCHEMA:
            # Alembic takes longer to import than all else together, and is needed once in a database's life.
            import_module("agentflow.store.migrate").upgrade_sqlite(path)
    except BaseException:
        if lock is not None:
            lock.close()
        raise
    return lock


def _revision(path: Path) -> str | None:
    """The schema's revision, None for a new file. Raises `StoreUnusable` for a damaged or foreign one."""
    connection = connect(path, pragmas=LOOK_ONLY)
    try:
        is_small = path.stat().st_size <= CHECKED_WHOLE
        sound = connection.execute(f"PRAGMA quick_check({1 if is_small else 'sqlite_schema'})").fetchone()[0]
        if sound != "ok":
            raise StoreUnusable(f"database {path} is damaged ({sound.splitlines()[-1]}); restore it from a backup")
        ours = "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'agentflow~_%' ESCAPE '~'"
        names = {row[0] for row in connection.execute(ours)}
        if "agentflow_schema" not in names:
            if names:
                raise StoreUnusable(
                    f"database {path} has tables named {', '.join(sorted(names))} that agentflow did not make; "
                    "name another database"
                )
            return None
        row = connection.execute("SELECT version_num FROM agentflow_schema").fetchone()
        if connection.execute(MOVED).fetchone() is not None:
            warn_of_move(str(path))
        return known(str(path), None if row is None else str(row[0]), names)
    except (driver.Error, UnicodeDecodeError) as error:  # the second of a damaged name in the first's text
        raise StoreUnusable(explain(path, error)) from error
    finally:
        connection.close()
