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

    A run with steps to undo is queued to undo them first.
    """

    error: str
    retry_key: str | None = None


@dataclass(frozen=True, slots=True)
class Undone:
    """The run was to end (`Run.ending` says how) and its steps have been undone; `said` tells which."""

    said: str = ""


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
    """The worker stops, or the run is to be paused: it goes back to the queue as it is."""


Outcome = Completed | Failed | Undone | TryAgain | NeedsAttention | HandedBack
