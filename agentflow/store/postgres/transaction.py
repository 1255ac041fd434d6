"""A transaction on a PostgreSQL connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow.store import blobs

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from agentflow.store.postgres.prepared import Prepared
    from agentflow.store.statements import Statement
    from agentflow.store.transaction import Row


class PostgresTransaction:
    """An open transaction on a connection."""

    __slots__ = ("_read", "_run", "moved", "now", "touched")

    is_alone = False

    def __init__(self, statements: Prepared, now: int) -> None:
        self._run, self._read = statements.run, statements.rows
        self.now = now
        self.touched: set[str] = set()
        self.moved: set[str] = set()

    def rows(self, statement: Statement, params: Mapping[str, Any]) -> Sequence[Row]:
        if statement.stores and (large := blobs.large(statement, params)):
            found, _ = self._with_blobs(statement, params, large)
        else:
            found = self._read(self._run(statement.postgres, params))
        return blobs.whole(self, statement, found) if statement.gives else found

    def row(self, statement: Statement, params: Mapping[str, Any]) -> Row | None:
        found = self.rows(statement, params)
        return found[0] if found else None

    def run(self, statement: Statement, params: Mapping[str, Any]) -> int:
        if statement.stores and (large := blobs.large(statement, params)):
            return self._with_blobs(statement, params, large)[1]
        return self._run(statement.postgres, params).command_tuples or 0

    def fetch(self, text: str, params: Mapping[str, Any]) -> Sequence[Row]:
        """The rows that a text of this database's own gives."""
        return self._read(self._run(text, params))

    def execute(self, text: str, params: Mapping[str, Any]) -> None:
        """Run a text of this database's own."""
        self._run(text, params)

    def _with_blobs(
        self, statement: Statement, params: Mapping[str, Any], large: Collection[str]
    ) -> tuple[Sequence[Row], int]:
        """The statement's rows and how many it changed. If it changes none, no blob is kept for it either."""
        self._run("SAVEPOINT large", {})
        result = self._run(statement.postgres, blobs.keep(self, params, large))
        changed, found = result.command_tuples or 0, self._read(result)
        if not changed:
            self._run("ROLLBACK TO SAVEPOINT large", {})
        self._run("RELEASE SAVEPOINT large", {})
        return found, changed
