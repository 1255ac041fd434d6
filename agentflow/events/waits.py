"""What a run waited for, and what it got."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentflow.events.base import Event, payload

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from agentflow.failures import Failure
    from agentflow.states import WaitKind


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitEvent(Event):
    """Something about the wait `key`; `subject` is the approval, child run, event or callback it is for."""

    key: str
    kind: WaitKind
    subject: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitOpened(WaitEvent):
    """A run began to wait. Unless it is answered it ends at `due_at`, `timeout` after this event; None is for ever."""

    due_at: datetime | None = None
    timeout: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitSatisfied(WaitEvent):
    """A wait has its answer: a decision, a child's end, a timer that is due.

    `outcome` says which (`approved`, `completed`, `fired`, …), `by` who gave it, `answer` what the task gets.
    """

    outcome: str
    by: str | None = None
    answer: str | None = payload()
    error: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitTimedOut(WaitEvent):
    """Nobody answered in time. `answer` is what the task goes on with, where it said so beforehand."""

    answer: str | None = payload()
