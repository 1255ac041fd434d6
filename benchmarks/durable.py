"""Everybody's commits are on the disk before they count: what is asserted of a database before it is measured."""

from __future__ import annotations

from typing import Any, Final

FULL: Final = 2
SERVER: Final = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
SHOWN: Final = (
    *SERVER,
    "wal_sync_method",
    "commit_delay",
    "shared_buffers",
    "max_wal_size",
    "max_connections",
    "autovacuum",
)
WAL_FLUSHES: Final = {
    True: "SELECT sum(fsyncs) FROM pg_stat_io WHERE object = 'wal'",
    False: "SELECT wal_sync FROM pg_stat_wal",
}
"""How often the server flushed its log, by whether it is of version 18 or newer."""
NEWEST: Final = 180_000
FEWEST: Final = 0.9


class NotDurable(Exception):
    """What was to be measured does not put its commits on the disk; nothing was measured."""


def require_durable_file(connection: Any) -> None:
    """Raises `NotDurable` unless the SQLite connection flushes every commit."""
    [mode] = connection.execute("PRAGMA journal_mode").fetchone()
    [synchronous] = connection.execute("PRAGMA synchronous").fetchone()
    if (mode, synchronous) != ("wal", FULL):
        raise NotDurable(f"the file has journal_mode={mode}, synchronous={synchronous}; wanted wal, {FULL} (FULL)")


def require_durable_server(connection: Any) -> None:
    """Raises `NotDurable` unless the server flushes every commit of this connection."""
    for name, wanted in SERVER.items():
        found = setting(connection, name)
        if found != wanted:
            raise NotDurable(f"the server has {name}={found}; wanted {wanted}")


def require_flushes(flushes: float | None, *, per: str) -> None:
    """Raises `NotDurable` where fewer flushes were counted than things that must each be on the disk by themselves."""
    if flushes is not None and flushes < FEWEST:
        raise NotDurable(f"{flushes:.2f} flushes were counted per {per}; wanted one")


def setting(connection: Any, name: str) -> str:
    """A setting of the server as it holds for this connection."""
    [value] = connection.execute(f"SHOW {name}").fetchone()
    return str(value)


def wal_flushes(connection: Any) -> int:
    """How often the server has flushed its log so far; a connection's own count is added when it ends."""
    [count] = connection.execute(WAL_FLUSHES[connection.info.server_version >= NEWEST]).fetchone()
    return int(count)
