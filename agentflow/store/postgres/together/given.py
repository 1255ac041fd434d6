"""Many rows as one statement's parameters: an array for each column, put side by side again by the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow.store.statements import POSTGRES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Column


def given(columns: Sequence[Column[Any]]) -> str:
    """What to select from: `given`, with these columns and `place`, which counts the rows from 1."""
    arrays = ", ".join(f"%({one.name})s::{one.type.compile(dialect=POSTGRES)}[]" for one in columns)
    return f"unnest({arrays}) WITH ORDINALITY AS given ({names(columns)}, place)"


def one(columns: Sequence[Column[Any]]) -> str:
    """The same of one row, by plain parameters: the server need not plan it anew for every length of an array."""
    values = ", ".join(f"%({one.name})s::{one.type.compile(dialect=POSTGRES)}" for one in columns)
    return f"(SELECT {values}, 1) AS given ({names(columns)}, place)"


def names(columns: Iterable[Column[Any]], of: str = "") -> str:
    """Their names, with commas between them."""
    return ", ".join(f'{of}"{one.name}"' for one in columns)


def arrays(columns: Iterable[Column[Any]], rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The rows' values by column."""
    return {one.name: [row[one.name] for row in rows] for one in columns}
