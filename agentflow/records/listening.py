"""Tasks that events start, and which event started what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from agentflow.records.waits import Event
    from agentflow.states import MatchStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A task that is started by events whose name fits `pattern`, those sent from `created_at` on.

    `declared_at` is when a worker last said that it has it in its code, which each does once a minute.
    """

    id: str
    task: str
    pattern: str
    created_at: datetime
    declared_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingMatch:
    """An event that a listener has to be asked about."""

    listener_id: str
    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """An event that fits a listener's pattern, and what became of it: the run it started, or why it did not."""

    event_id: str
    listener_id: str
    status: MatchStatus
    run_id: str | None
    reason: str | None
    created_at: datetime
    settled_at: datetime | None
