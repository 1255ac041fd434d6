"""A transaction on a SQLite connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from sqlite3 import Connection

    from agentflow.store.statements import Statement
    from agentflow.store.transaction import Row


class SqliteTransaction:
    """An open transaction on a connection."""

    __slots__ = ("_execute", "moved", "now", "touched")

    def __init__(self, connection: Connection, now: int) -> None:
        self._execute = connection.execute
        self.now = now
        self.touched: set[str] = set()
        self.moved: set[str] = set()

    def rows(self, statement: Statement, params: Mapping[str, Any]) -> Sequence[Row]:
        return self._execute(statement.sqlite, params).fetchall()

    def row(self, statement: Statement, params: Mapping[str, Any]) -> Row | None:
        found = self._execute(statement.sqlite, params).fetchall()
        return found[0] if found else None

    def run(self, statement: Statement, params: Mapping[str, Any]) -> int:
        return self._execute(statement.sqlite, params).rowcount
