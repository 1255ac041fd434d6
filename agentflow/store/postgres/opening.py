"""Open a database on a server: check it, bring its schema up to date under a lock, and hand out the store."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from agentflow.errors import StoreUnusable
from agentflow.store.postgres.checks import require_usable, revision_of
from agentflow.store.postgres.clock import ServerClock
from agentflow.store.postgres.server import MIGRATION_LOCK, begin, connect, driver, explain
from agentflow.store.postgres.store import PostgresStore
from agentflow.store.revision import SCHEMA

if TYPE_CHECKING:
    from psycopg import Connection

    from agentflow.clock import Clock

BEHIND: Final = (
    "SELECT (max(id) >> 20) - pg_snapshot_xmax(pg_current_snapshot())::text::bigint - agentflow_ahead() "
    "FROM agentflow_journal"
)
AHEAD: Final = "SELECT agentflow_ahead()"
MARGIN: Final = 1_000_000


async def open_postgres(url: str, clock: Clock | None) -> PostgresStore:
    """The store in this database. Raises `InvalidSetting` or `StoreUnusable`; nothing was changed then."""
    server_clock = await asyncio.to_thread(_make_ready, url)
    return PostgresStore(url, clock or server_clock)


def _make_ready(url: str) -> ServerClock:
    connection = connect(url)
    try:
        require_usable(url, connection)
        if revision_of(url, connection) != SCHEMA:
            import_module("agentflow.store.migrate").upgrade_postgres(url)
        _count_on(connection)
        clock = ServerClock()
        clock.ask(connection)
    except driver().Error as error:
        raise StoreUnusable(explain(url, error)) from error
    finally:
        connection.close()
    return clock


def _count_on(connection: Connection[Any]) -> None:
    """Keep entries in order in a database that was restored on a server which has counted fewer transactions."""
    if not _is_behind(connection):
        return
    begin(connection)
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
    behind, ahead = _is_behind(connection), connection.execute(AHEAD).fetchone()
    if behind and ahead is not None:
        connection.execute(
            "CREATE OR REPLACE FUNCTION agentflow_ahead() RETURNS bigint LANGUAGE sql IMMUTABLE "
            f"AS 'SELECT {int(ahead[0]) + behind + MARGIN}::bigint'"
        )
    connection.commit()


def _is_behind(connection: Connection[Any]) -> int:
    """By how many transactions the server is behind the newest entry; 0 if it is not."""
    row = connection.execute(BEHIND).fetchone()
    return 0 if row is None or row[0] is None else max(0, int(row[0]))
