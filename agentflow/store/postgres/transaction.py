"""A transaction on a PostgreSQL connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow.store import blobs

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from psycopg import Connection, Cursor

    from agentflow.store.statements import Statement
    from agentflow.store.transaction import Row


class PostgresTransaction:
    """An open transaction on a connection."""

    __slots__ = ("_cursor", "_execute", "connection", "moved", "now", "touched")

    is_alone = False

    def __init__(self, connection: Connection[Any], now: int) -> None:
        self.connection = connection
        self._cursor: Cursor[Any] = connection.cursor()
        self._execute = self._cursor.execute
        self.now = now
        self.touched: set[str] = set()
        self.moved: set[str] = set()

    def rows(self, statement: Statement, params: Mapping[str, Any]) -> Sequence[Row]:
        if statement.stores and (large := blobs.large(statement, params)):
            found, _ = self._with_blobs(statement, params, large)
        else:
            cursor = self._execute(statement.postgres, params)
            found = cursor.fetchall() if cursor.description is not None else []
        return blobs.whole(self, statement, found) if statement.gives else found

    def row(self, statement: Statement, params: Mapping[str, Any]) -> Row | None:
        found = self.rows(statement, params)
        return found[0] if found else None

    def run(self, statement: Statement, params: Mapping[str, Any]) -> int:
        if statement.stores and (large := blobs.large(statement, params)):
            return self._with_blobs(statement, params, large)[1]
        return self._execute(statement.postgres, params).rowcount

    def fetch(self, text: str, params: Mapping[str, Any]) -> Sequence[Row]:
        """The rows that a text of this database's own gives."""
        return self._execute(text.encode(), params).fetchall()

    def execute(self, text: str, params: Mapping[str, Any]) -> None:
        """Run a text of this database's own."""
        self._execute(text.encode(), params)

    def _with_blobs(
        self, statement: Statement, params: Mapping[str, Any], large: Collection[str]
    ) -> tuple[Sequence[Row], int]:
        """The statement's rows and how many it changed. If it changes none, no blob is kept for it either."""
        self._execute("SAVEPOINT large")
        cursor = self._execute(statement.postgres, blobs.keep(self, params, large))
        changed, found = cursor.rowcount, cursor.fetchall() if cursor.description is not None else []
        if not changed:
            self._execute("ROLLBACK TO SAVEPOINT large")
        self._execute("RELEASE SAVEPOINT large")
        return found, changed
