"""Statements: written with SQLAlchemy on our tables, compiled to text once, run on a plain driver connection.

Running text costs a tenth of the ORM. Values are given by name; what a statement compares with as a constant is put in
with `const`, because SQLite matches a partial index only against constants it can see. A statement knows which of its
columns hold payloads, so that large ones can be kept apart (`blobs.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, literal_column
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import ColumnElement, Table
    from sqlalchemy.sql.expression import Executable, FromClause


class _Compiler(SQLiteCompiler):
    """Writes the hints of `by_index`, which SQLAlchemy leaves out for SQLite."""

    def get_from_hint_text(self, table: FromClause, text: str | None) -> str | None:  # noqa: ARG002  its signature
        return text


SQLITE = sqlite.dialect(paramstyle="named")
SQLITE.statement_compiler = _Compiler


OWNERS = ("run_id", "id", "key")


class Statement:
    """One statement of a verb, as text for each dialect that runs it.

    `stores` are the parameters that go into payload columns, `gives` the payload columns of its rows by position, and
    `owner` those that say whose they are. With `brief` it gives a stand-in for each large input and output, so that a
    listing does not read megabytes.
    """

    __slots__ = ("gives", "is_brief", "owner", "sqlite", "stores")

    def __init__(self, clause: Executable, *, brief: bool = False) -> None:
        compiled = clause.compile(dialect=SQLITE)  # type: ignore[attr-defined]
        bound = {name: value for name, value in compiled.params.items() if value is not None}
        if bound:
            raise AssertionError(f"use const() for {bound} in: {compiled}")
        self.sqlite = str(compiled)
        self.is_brief = brief
        table = getattr(clause, "table", None)
        held = () if table is None else (column for column in table.columns if column.info.get("is_payload"))
        self.stores = tuple(column.name for column in held if column.name in compiled.params)
        given = list(enumerate(clause.exported_columns))  # type: ignore[attr-defined]
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


def columns(table: Table) -> list[str]:
    """The table's column names in order."""
    return [column.name for column in table.columns]
