"""What every table of ours is made with."""

from __future__ import annotations

from enum import StrEnum  # noqa: TC003  SQLModel reads the module's names
from typing import Any, ClassVar

from sqlalchemy import DOUBLE_PRECISION, REAL, BigInteger, Column, Index, Integer, MetaData, Text
from sqlalchemy import text as sql
from sqlmodel import SQLModel

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}
STRICT = {"sqlite_strict": True}
WITHOUT_ROWID = {"sqlite_with_rowid": False}
"""The key's index is the table: half the pages and writes of a table of small rows that are looked up by their key."""
LONG = BigInteger().with_variant(Integer(), "sqlite")  # STRICT tables know INTEGER only; it holds 64 bits there
DOUBLE: Any = DOUBLE_PRECISION().with_variant(REAL(), "sqlite")


class Base(SQLModel):
    """Every table of ours. No row is validated by its class, so what would do it is not built."""

    model_config = {"defer_build": True}
    metadata: ClassVar[MetaData] = MetaData(naming_convention=NAMING)


def one_of(column: str, values: type[StrEnum]) -> str:
    """The condition that a column holds one of these values."""
    return f"{column} IN ({', '.join(repr(value.value) for value in values)})"


def instant(*, nullable: bool = True) -> Any:
    """A column of whole microseconds since 1970, UTC."""
    return Column(LONG, nullable=nullable)


def text(*, nullable: bool = False, default: str | None = None) -> Any:
    """A column of text."""
    return Column(Text, nullable=nullable, server_default=default)


def large_text(*, name: str = "", nullable: bool = False) -> Any:
    """A column for a payload; that of a large one holds the name of a blob, see `agentflow.store.blobs`."""
    return Column(name or None, Text, nullable=nullable, info={"is_payload": True})


def whole(*, nullable: bool = False, default: int | None = None) -> Any:
    """A column of whole numbers."""
    return Column(Integer, nullable=nullable, server_default=None if default is None else str(default))


def partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """An index of the rows that meet a condition."""
    condition = sql(where)
    return Index(name, *columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


def blob_names(table: str, *names: str) -> tuple[Index, ...]:
    """For each payload column an index of the rows that name a blob in it, so that an unused blob is found by look-ups.

    It is empty where payloads are small, and then costs an insert nothing that can be measured.
    """
    return tuple(
        partial(f"ix_{table}_blob_{name}", name, where=f"substr(\"{name}\", 1, 5) = 'blob:'") for name in names
    )
