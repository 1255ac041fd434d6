"""Listeners to be declared, and matches of events with them to be settled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from agentflow.requests.runs import TriggerRun
    from agentflow.states import MatchStatus

MATCHES: Final = "matches"
"""What watchers hear of, as if it were a run, when there are new matches to be settled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclareListener:
    """A listener as declared in code."""

    id: str
    task: str
    pattern: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleMatch:
    """What the listener's code says of an event: a run to be made, or why there is to be none (IGNORED, FAILED)."""

    event_id: str
    listener_id: str
    status: MatchStatus
    run: TriggerRun | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchFilter:
    """Which matches to list, newest first: those of a listener, in a status, or all."""

    listener_id: str | None = None
    status: MatchStatus | None = None
    limit: int = 50
