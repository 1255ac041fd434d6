"""What happened to an operation: a step, an awaited call, a branch of parallel work, a trigger of child runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentflow.events.base import Event, payload

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from agentflow.failures import Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationEvent(Event):
    """Something about the operation `key` (`scope/name#n`) of this kind (`step`, `await`, `gather`, …)."""

    key: str
    operation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationStarted(OperationEvent):
    """An operation that is to run at most once was about to run; of others only the end is recorded."""

    input: str | None = payload()


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationSucceeded(OperationEvent):
    """An operation gave a result: every replay gives the same one and runs nothing."""

    took: timedelta | None = None
    input: str | None = payload()
    result: str | None = payload()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeSucceeded(OperationSucceeded):
    """An operation with operations inside came to its end. `operations` of them are recorded, at any depth."""

    operations: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildTriggered(OperationSucceeded):
    """Child runs were made, in the transaction that recorded it."""

    run_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationFailed(OperationEvent):
    """An attempt of an operation failed.

    `is_final` says that it was the last one and that the failure was raised in the task; otherwise the next attempt is
    due at `next_at`, `delay` after this event. `retry_key` is the operation inside this one that the failure came from.
    """

    error: Failure | None
    is_final: bool
    next_at: datetime | None = None
    delay: timedelta | None = None
    took: timedelta | None = None
    input: str | None = payload()
    retry_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeFailed(OperationFailed):
    """An attempt of an operation with operations inside failed. `operations` of them are recorded, at any depth."""

    operations: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InputChanged(OperationEvent):
    """A replay asked for a recorded operation with another `input`; it went on with what is recorded."""

    input: str | None = payload()


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationNoted(OperationEvent):
    """Something worth telling about an operation that changes nothing: why the earlier hops of a fallback failed."""

    note: Any
