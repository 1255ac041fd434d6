"""A verb inside somebody else's transaction: on a SQLAlchemy connection whose commit is not ours to make.

The driver of that connection need not be the store's, so statements go through SQLAlchemy on PostgreSQL. On SQLite it
has to be: two copies of SQLite in one program do not see each other's locks on a file, and could damage it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from agentflow.clock import SystemClock, to_micros
from agentflow.errors import AgentflowError, InvalidSetting, StoreUnusable
from agentflow.store import blobs
from agentflow.store.postgres.ears import CHANNEL
from agentflow.store.revision import SCHEMA
from agentflow.store.sqlite.file import driver

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Concatenate, ParamSpec, TypeVar

    from sqlalchemy import Connection, CursorResult

    from agentflow.store.statements import Statement
    from agentflow.store.transaction import Row, Transaction

    T = TypeVar("T")
    P = ParamSpec("P")

TAKE_THE_LOCK = "UPDATE agentflow_run SET id = id WHERE 1 = 0"
NOW = text("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)")
HINT = text("SELECT pg_notify(:channel, '')")


def write_within(
    connection: Connection,
    verb: Callable[Concatenate[Transaction, P], T | AgentflowError],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """What the verb gives. It is durable, and anybody else hears of it, once the caller commits.

    Raises `StoreUnusable` for a database that is not one of this release's, and `InvalidSetting` for a connection that
    a verb cannot run on; nothing was written then. What the verb raises may come after it has written: roll back.
    """
    name = connection.dialect.name
    if name == "sqlite":
        tx: Transaction = _begun_on_sqlite(connection)
    elif name == "postgresql":
        _require_schema(connection)
        tx = EnlistedPostgres(connection)
        connection.execute(HINT, {"channel": CHANNEL})  # told at the commit, whoever makes it
    else:
        raise InvalidSetting(f"runs are started inside transactions of SQLite and PostgreSQL, not of {name}")
    given = verb(tx, *args, **kwargs)
    if isinstance(given, AgentflowError):
        raise given
    return given


def _begun_on_sqlite(connection: Connection) -> EnlistedSqlite:
    found = connection.connection.driver_connection
    if not isinstance(found, driver.Connection):
        raise InvalidSetting(
            f"the session's SQLite is that of {type(found).__module__}, the store's is {driver.__name__}, and two "
            f"copies of SQLite in one program can damage a file; use create_engine(url, module={driver.__name__})"
        )
    _require_schema(connection)
    connection.exec_driver_sql(TAKE_THE_LOCK)  # from here on nobody else writes, so what is looked at stays
    return EnlistedSqlite(connection)


def _require_schema(connection: Connection) -> None:
    """Raise `StoreUnusable` for a database that is not agentflow's, or not of this release."""
    place = connection.engine.url.render_as_string(hide_password=True)
    if not connection.dialect.has_table(connection, "agentflow_schema"):
        raise StoreUnusable(
            f"database {place} of this session has no tables of agentflow; runs are started in the caller's "
            "transaction only where both keep to one database. Give agentflow the same URL, or trigger without it"
        )
    found = connection.execute(text("SELECT version_num FROM agentflow_schema")).scalar()
    if found != SCHEMA:
        raise StoreUnusable(
            f"database {place} has agentflow's schema {found}, this program's is {SCHEMA}; run `agentflow db upgrade` "
            "with the newest release, and use that one here"
        )


class _Enlisted(ABC):
    """What both have in common."""

    is_alone = False

    def __init__(self, connection: Connection, now: int) -> None:
        self._connection = connection
        self.now = now
        self.touched: set[str] = set()
        self.moved: set[str] = set()

    def rows(self, statement: Statement, params: Mapping[str, Any]) -> Sequence[Row]:
        result = self._ran(statement, params)
        found = [tuple(row) for row in result] if result.returns_rows else []
        return blobs.whole(self, statement, found) if statement.gives else found

    def row(self, statement: Statement, params: Mapping[str, Any]) -> Row | None:
        found = self.rows(statement, params)
        return found[0] if found else None

    def run(self, statement: Statement, params: Mapping[str, Any]) -> int:
        return self._ran(statement, params).rowcount

    def _ran(self, statement: Statement, params: Mapping[str, Any]) -> CursorResult[Any]:
        if statement.stores and (large := blobs.large(statement, params)):
            params = blobs.keep(self, params, large)
        return self._execute(statement, params)

    @abstractmethod
    def _execute(self, statement: Statement, params: Mapping[str, Any]) -> CursorResult[Any]:
        """Run the statement as this database's drivers take it."""


class EnlistedSqlite(_Enlisted):
    """The caller's transaction on a file, which holds the file's only lock for writing."""

    is_alone = True

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, to_micros(SystemClock().now()))

    def _execute(self, statement: Statement, params: Mapping[str, Any]) -> CursorResult[Any]:
        return self._connection.exec_driver_sql(statement.placed, tuple(statement.values(params)))


class EnlistedPostgres(_Enlisted):
    """The caller's transaction on a server, beside others."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, connection.execute(NOW).scalar_one())

    def _execute(self, statement: Statement, params: Mapping[str, Any]) -> CursorResult[Any]:
        return self._connection.execute(statement.for_postgres, dict(params))
