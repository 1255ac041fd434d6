"""A database as a whole, whichever it is: read from end to end in bounded memory, or held alone and filled.

For what looks after a database and is no verb: here no time is stamped, and nothing is announced.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Self

from agentflow.clock import SystemClock, to_micros
from agentflow.errors import StoreUnusable
from agentflow.settings import shown_url
from agentflow.store.postgres.checks import revision_of
from agentflow.store.postgres.server import LIMITS, begin, driver, explain, is_postgres
from agentflow.store.postgres.server import connect as connect_server
from agentflow.store.sqlite import file
from agentflow.store.statements import columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from sqlite3 import Connection as File

    from psycopg import Connection as Server
    from sqlalchemy import Table

    from agentflow.store.statements import Statement
    from agentflow.store.transaction import Row

AT_ONCE: Final = 500


class Place(ABC):
    """A database that is there, on a connection of its own. Use it in a `with` block."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.shown = shown_url(url)

    @abstractmethod
    def rows(self, query: str) -> Iterator[Row]:
        """The rows of a query, never all of them in memory."""

    @abstractmethod
    def stated(self, statement: Statement, params: Mapping[str, Any]) -> Iterator[Row]:
        """The rows of a verb's statement, payloads as they are stored."""

    @abstractmethod
    def run(self, command: str) -> None:
        """Do it."""

    @abstractmethod
    def insert(self, table: Table, rows: Iterable[Row]) -> None:
        """Put these rows into the table, as they come."""

    @abstractmethod
    def now(self) -> int:
        """What time it is for leases, in microseconds."""

    @abstractmethod
    def revision(self) -> str | None:
        """The schema's revision; None if there is none. Raises `StoreUnusable` for tables that are not ours."""

    @abstractmethod
    def reading(self) -> Any:
        """A block in which all that is read is of one moment. Others go on writing."""

    @abstractmethod
    def alone(self, tables: Iterable[Table]) -> Any:
        """A block in which nobody else writes to these tables; what is done in it is kept unless it raises."""

    @abstractmethod
    def close(self) -> None:
        """Let go of it."""

    def value(self, query: str) -> Any:
        """The first column of the first row, None without one."""
        return next((row[0] for row in self.rows(query)), None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def place_of(url: str) -> Place:
    """The database at this URL, which must be there. Raises `StoreUnusable` or `InvalidSetting` with what to do."""
    return ServerPlace(url) if is_postgres(url) else FilePlace(url)


class FilePlace(Place):
    """A SQLite file."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.path = file.path_of(url)
        if not self.path.exists():
            raise StoreUnusable(f"there is no database at {self.path}; name another with --database")
        self._connection: File = file.connect(self.path, pragmas=file.LOOK_ONLY)

    def rows(self, query: str) -> Iterator[Row]:
        with self._explained():
            yield from self._connection.execute(query)

    def stated(self, statement: Statement, params: Mapping[str, Any]) -> Iterator[Row]:
        with self._explained():
            yield from self._connection.execute(statement.sqlite, params)

    def run(self, command: str) -> None:
        with self._explained():
            self._connection.execute(command)

    def insert(self, table: Table, rows: Iterable[Row]) -> None:
        names = columns(table)
        marks = ", ".join("?" * len(names))
        with self._explained():
            self._connection.executemany(f"INSERT INTO {table.name} ({_quoted(names)}) VALUES ({marks})", rows)

    def now(self) -> int:
        return to_micros(SystemClock().now())

    def revision(self) -> str | None:
        found = self.value("SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'agentflow_schema'")
        return None if found is None else self.value("SELECT version_num FROM agentflow_schema")

    @contextmanager
    def reading(self) -> Iterator[None]:
        with self._within("BEGIN", keep=False):
            self.value("SELECT count(*) FROM sqlite_master")  # from here on, what is read is of this moment
            yield

    @contextmanager
    def alone(self, tables: Iterable[Table]) -> Iterator[None]:  # noqa: ARG002  a file is held as a whole
        self._connection.close()
        self._connection = file.connect(self.path)
        with self._within("BEGIN IMMEDIATE", keep=True):
            yield

    @contextmanager
    def _within(self, beginning: str, *, keep: bool) -> Iterator[None]:
        self.run(beginning)
        try:
            yield
        except BaseException:
            self._connection.rollback()
            raise
        self.run("COMMIT" if keep else "ROLLBACK")

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (file.driver.Error, UnicodeDecodeError) as error:
            raise StoreUnusable(file.explain(self.path, error)) from error


class ServerPlace(Place):
    """A database on a PostgreSQL server."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._error: Any = driver().Error
        self._connection: Server[Any] = connect_server(url)

    def rows(self, query: str) -> Iterator[Row]:
        with self._explained():
            if self._connection.info.transaction_status == driver().pq.TransactionStatus.IDLE:
                yield from self._connection.execute(query.encode())
                return
            with self._connection.cursor(name="agentflow_rows") as cursor:
                cursor.itersize = AT_ONCE
                cursor.execute(query.encode())
                yield from cursor

    def stated(self, statement: Statement, params: Mapping[str, Any]) -> Iterator[Row]:
        with self._explained():
            yield from self._connection.execute(statement.postgres.encode(), params)

    def run(self, command: str) -> None:
        with self._explained():
            self._connection.execute(command.encode())

    def insert(self, table: Table, rows: Iterable[Row]) -> None:
        into = f"COPY {table.name} ({_quoted(columns(table))}) FROM STDIN"
        with self._explained(), self._connection.cursor() as cursor, cursor.copy(into.encode()) as copy:
            for row in rows:
                copy.write_row(row)

    def now(self) -> int:
        return int(self.value("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"))

    def revision(self) -> str | None:
        with self._explained():
            return revision_of(self.url, self._connection)

    @contextmanager
    def reading(self) -> Iterator[None]:
        with self._within("ISOLATION LEVEL REPEATABLE READ READ ONLY", keep=False):
            yield

    @contextmanager
    def alone(self, tables: Iterable[Table]) -> Iterator[None]:
        with self._within("", keep=True):
            self.run(f"LOCK TABLE {', '.join(table.name for table in tables)} IN EXCLUSIVE MODE")
            yield

    @contextmanager
    def _within(self, mode: str, *, keep: bool) -> Iterator[None]:
        with self._explained():
            begin(self._connection, mode)
        for name in LIMITS:  # a large table takes its time
            self.run(f"SET LOCAL {name} = 0")
        try:
            yield
        except BaseException:
            if not self._connection.closed:
                self._connection.rollback()
            raise
        self.run("COMMIT" if keep else "ROLLBACK")

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except self._error as error:
            raise StoreUnusable(explain(self.url, error)) from error


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def require_present(place: Place, wanted: str) -> None:
    """Raise `StoreUnusable` unless the database has the schema of this release."""
    found = place.revision()
    if found is None:
        raise StoreUnusable(f"database {place.shown} has none of agentflow's tables; name another")
    if found != wanted:
        remedy = "run `agentflow db upgrade` first" if found < wanted else "upgrade this program"
        raise StoreUnusable(f"database {place.shown} has schema {found}, this program {wanted}; {remedy}")
