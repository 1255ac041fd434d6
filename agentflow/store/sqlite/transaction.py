"""A transaction on a SQLite connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow.store import blobs

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from sqlite3 import Connection

    from agentflow.store.statements import Statement
    from agentflow.store.transaction import Row


class SqliteTransaction:
    """An open transaction on a connection."""

    __slots__ = ("_connection", "_execute", "moved", "now", "touched")

    is_alone = True

    def __init__(self, connection: Connection, now: int) -> None:
        self._connection = connection
        self._execute = connection.execute
        self.now = now
        self.touched: set[str] = set()
        self.moved: set[str] = set()

    def rows(self, statement: Statement, params: Mapping[str, Any]) -> Sequence[Row]:
        if statement.stores and (large := blobs.large(statement, params)):
            found, _ = self._with_blobs(statement, params, large)
        else:
            found = self._execute(statement.placed, statement.values(params)).fetchall()
        return blobs.whole(self, statement, found) if statement.gives else found

    def row(self, statement: Statement, params: Mapping[str, Any]) -> Row | None:
        found = self.rows(statement, params)
        return found[0] if found else None

    def run(self, statement: Statement, params: Mapping[str, Any]) -> int:
        if statement.stores and (large := blobs.large(statement, params)):
            return self._with_blobs(statement, params, large)[1]
        return self._execute(statement.placed, statement.values(params)).rowcount

    def _with_blobs(
        self, statement: Statement, params: Mapping[str, Any], large: Collection[str]
    ) -> tuple[Sequence[Row], int]:
        """The statement's rows and how many it changed. If it changes none, no blob is kept for it either."""
        self._execute("SAVEPOINT large")
        changed = 0
        try:
            cursor = self._execute(statement.placed, statement.values(blobs.keep(self, params, large)))
            found = cursor.fetchall()
            changed = max(cursor.rowcount, len(found))
        finally:
            if self._connection.in_transaction:  # some errors end it
                if not changed:
                    self._execute("ROLLBACK TO large")
                self._execute("RELEASE large")
        return found, changed
