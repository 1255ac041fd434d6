"""Statements: written with SQLAlchemy on our tables, compiled to text once, run on a plain driver connection.

Running text costs a tenth of the ORM. Values are given by name; what a statement compares with as a constant is put in
with `const`, because SQLite matches a partial index only against constants it can see. A statement knows which of its
columns hold payloads, so that large ones can be kept apart (`blobs.py`). It is compiled when it is first run: a program
that starts runs and leaves does not pay for what only a worker needs.
"""

from __future__ import annotations

import re
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, literal_column, true
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Table
    from sqlalchemy.sql.expression import Executable, FromClause


class _Compiler(SQLiteCompiler):
    """Writes the hints of `by_index`, which SQLAlchemy leaves out for SQLite."""

    def get_from_hint_text(self, table: FromClause, text: str | None) -> str | None:  # noqa: ARG002  its signature
        return text


SQLITE = sqlite.dialect(paramstyle="named")
SQLITE.statement_compiler = _Compiler
POSTGRES: Any = postgresql.psycopg.dialect()  # type: ignore[no-untyped-call]


NAME = re.compile(r"(?<![\w:]):(\w+)")
OWNERS = ("run_id", "id", "key")


class Statement:
    """One statement of a verb, as text for each dialect that runs it.

    `sqlite` and `postgres` are its texts; `postgres=` gives another clause for that one where it needs one. `placed` is
    the first with a place for each value, which `values` puts in order: cheaper than names by half the cost. `stores`
    are the parameters that go into payload columns, `gives` the payload columns of its rows by position, and `owner`
    those that say whose they are. With `brief` it gives a stand-in for each large input and output, so that a listing
    does not read megabytes.
    """

    __slots__ = (
        "_clause", "_for_postgres", "gives", "is_brief", "owner", "placed", "postgres", "sqlite", "stores", "values",
    )  # fmt: skip

    gives: tuple[tuple[int, str], ...]
    owner: tuple[tuple[int, str], ...]
    placed: str
    postgres: str
    sqlite: str
    stores: tuple[str, ...]
    values: Callable[[Mapping[str, Any]], Sequence[Any]]

    def __init__(self, clause: Executable, *, brief: bool = False, postgres: Executable | None = None) -> None:
        self._clause: Any = clause
        self._for_postgres: Any = clause if postgres is None else postgres
        self.is_brief = brief

    @property
    def for_postgres(self) -> Executable:
        """The clause itself, for a connection of SQLAlchemy's to a server."""
        clause: Executable = self._for_postgres
        return clause

    def value(self) -> ColumnElement[Any]:
        """The one value that it selects, as a column of another statement."""
        column: ColumnElement[Any] = self._clause.scalar_subquery()
        return column

    def __getattr__(self, name: str) -> Any:
        """Called for a slot that is still empty: fill it, and those that come with it."""
        if name == "postgres":
            self.postgres = str(self._for_postgres.compile(dialect=POSTGRES))
        elif name in Statement.__slots__:
            self._compile()
        else:
            raise AttributeError(name)
        return getattr(self, name)

    def _compile(self) -> None:
        compiled = self._clause.compile(dialect=SQLITE)
        bound = {name: value for name, value in compiled.params.items() if value is not None}
        if bound:
            raise AssertionError(f"use const() for {bound} in: {compiled}")
        self.sqlite = str(compiled)
        names = NAME.findall(self.sqlite)
        assert set(names) == set(compiled.params), f"{names} are not the parameters of: {compiled}"
        self.placed = NAME.sub("?", self.sqlite)
        self.values = itemgetter(*names) if len(names) > 1 else lambda params: [params[name] for name in names]
        table = getattr(self._clause, "table", None)
        held = () if table is None else (column for column in table.columns if column.info.get("is_payload"))
        self.stores = tuple(column.name for column in held if column.name in compiled.params)
        given = list(enumerate(self._clause.exported_columns))
        self.gives = tuple((at, one.name) for at, one in given if _is_payload(one))
        self.owner = tuple((at, one.name) for at, one in given if getattr(one, "name", "") in OWNERS)


def _is_payload(column: ColumnElement[Any]) -> bool:
    return any(isinstance(base, Column) and base.info.get("is_payload") for base in column.base_columns)


def const(value: str | int) -> ColumnElement[Any]:
    """A constant written into the statement's text. Only for values that stand in our own source."""
    return literal_column(str(value) if isinstance(value, int) else f"'{value}'")


def consts(values: Iterable[str]) -> list[ColumnElement[Any]]:
    """`const` for each, in a stable order."""
    return [const(value) for value in sorted(values)]


def by_index(table: Table, index: str) -> tuple[Table, str, str]:
    """Arguments for `with_hint`: have SQLite use this partial index.

    Without statistics it prefers an equality on any ordinary index, and would read every parked run at each claim. A
    statement whose condition the index no longer covers fails when it is first run, so the hint is its own test.
    """
    return table, f"INDEXED BY {index}", "sqlite"


def besides(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """A condition on rows that are found by another one, so that a server looks along no index for it.

    Its figures lag behind: where it believes that hardly a run waits, it would sooner read all that do than find one
    by its id.
    """
    return condition.is_(true())


def columns(table: Table) -> list[str]:
    """The table's column names in order."""
    return [column.name for column in table.columns]
