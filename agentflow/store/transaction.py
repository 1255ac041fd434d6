"""What a verb runs in: one open transaction, its time, and the runs it touched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agentflow.store.statements import Statement

Row = tuple[Any, ...]
V = TypeVar("V", bound="Callable[..., Any]")


def single_statement(verb: V) -> V:
    """Mark a verb that runs one statement only, but for large payloads: it is atomic without anything around it."""
    verb.is_single_statement = True  # type: ignore[attr-defined]
    return verb


def is_single_statement(verb: Callable[..., Any]) -> bool:
    """Whether the verb is so marked."""
    return getattr(verb, "is_single_statement", False)


class Transaction(Protocol):
    """An open transaction. Verbs are written once against it, for every database."""

    now: int
    """The store's time in microseconds, the same for the whole transaction."""
    touched: set[str]
    """Runs about which something was written; watchers hear of them after the commit."""
    moved: set[str]
    """Those of them for which more happened than a further recorded operation: another status, an answer, an end."""

    @property
    def is_alone(self) -> bool:
        """Whether no other transaction writes meanwhile, so that nothing need be locked (`locks.py`)."""
        ...

    def rows(self, statement: Statement, params: Mapping[str, Any]) -> Sequence[Row]:
        """Every row the statement gives."""
        ...

    def row(self, statement: Statement, params: Mapping[str, Any]) -> Row | None:
        """The first row, or None."""
        ...

    def run(self, statement: Statement, params: Mapping[str, Any]) -> int:
        """How many rows the statement changed."""
        ...
