"""How a turn ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta

    from agentflow.states import EntryKind


@dataclass(frozen=True, slots=True)
class Completed:
    """The task returned; `output` is the encoded result."""

    output: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The task failed for good; `retry_key` is the operation whose failure escaped.

    With `is_undone` its steps have been undone, so that it cannot be tried again.
    """

    error: str
    retry_key: str | None = None
    is_undone: bool = False


@dataclass(frozen=True, slots=True)
class Undone:
    """The run was to end (`Run.ending` says how) and its steps have been undone."""


@dataclass(frozen=True, slots=True)
class TryAgain:
    """The task failed and its policy allows another attempt; `retry_key` is the operation whose failure escaped."""

    error: str
    delay: timedelta
    retry_key: str | None


@dataclass(frozen=True, slots=True)
class NeedsAttention:
    """An operator has to choose; `kind` says why (diverged, or a step that may have run)."""

    kind: EntryKind
    error: str
    detail: str


@dataclass(frozen=True, slots=True)
class HandedBack:
    """The worker is stopping: the run goes back to the queue as it is."""


Outcome = Completed | Failed | Undone | TryAgain | NeedsAttention | HandedBack
