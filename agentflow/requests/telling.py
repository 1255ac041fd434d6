"""Subscriptions to be made and changed, and the events that are told to them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from agentflow.requests.patterns import fits

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime, timedelta

    from agentflow.states import DispatchStatus

VERSION: Final = 1
"""Of the bodies that are sent: it changes when a member of one is taken away or means something else."""


class EventType(StrEnum):
    """What subscribers are told of."""

    RUN_STARTED = "run.started"
    RUN_WAITING = "run.waiting"
    RUN_NEEDS_ATTENTION = "run.needs_attention"
    RUN_COMPLETED = "run.completed"
    RUN_FAILED = "run.failed"
    RUN_CANCELLED = "run.cancelled"
    RUN_EXPIRED = "run.expired"
    APPROVAL_REQUESTED = "approval.requested"
    APPROVAL_DECIDED = "approval.decided"
    APPROVAL_TIMED_OUT = "approval.timed_out"
    APPROVAL_CANCELLED = "approval.cancelled"
    PING = "ping"


def is_among(patterns: Iterable[str], name: str) -> bool:
    """Whether one of the patterns stands for the name."""
    return any(fits(one, name) for one in patterns)


def event_body(type: EventType, at: datetime, sequence: int, told: dict[str, Any]) -> str:
    """The JSON text that is sent. `sequence` grows with what happened: it puts events in order."""
    body = {"type": type, "version": VERSION, "timestamp": at.isoformat(), "sequence": sequence, "data": told}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSubscription:
    """A URL to be told of what happens from now on. `events` and `tasks` are JSON lists of patterns."""

    id: str
    url: str
    events: str
    tasks: str
    description: str
    secret: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSubscription:
    """A change of a subscription; what is None stays."""

    id: str
    url: str | None = None
    events: str | None = None
    tasks: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RotateSecret:
    """A new secret; for `keep_for` what is sent is signed with the one before, too."""

    id: str
    secret: str
    keep_for: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDispatch:
    """An event to be sent to one subscriber. `key` says what happened: a second one of it is not stored."""

    id: str
    event: str
    key: str
    run_id: str
    entry_id: int
    payload: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell:
    """A subscription's cursor moved from one place to another, with the events in between that it wants."""

    subscription_id: str
    cursor: int
    until: int
    dispatches: Sequence[NewDispatch] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimDispatches:
    """Up to `limit` due dispatches of a subscription, nobody else's for `hold_for`."""

    subscription_id: str
    limit: int
    hold_for: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleDispatch:
    """How an attempt went that was claimed until `held_until`.

    Tried again after `again_in`, else it is over. `is_gone` says that the subscriber wants no more: its subscription is
    disabled. `status` is the answer's, None where there was none; `error` what to show.
    """

    id: str
    held_until: datetime
    outcome: DispatchStatus
    took: timedelta
    status: int | None = None
    error: str = ""
    again_in: timedelta | None = None
    is_gone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """An event that says nothing, to see whether a subscriber hears."""

    id: str
    subscription_id: str
    payload: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchFilter:
    """Which dispatches to list, newest first: those of a subscription, in a status, or all."""

    subscription_id: str | None = None
    status: DispatchStatus | None = None
    cursor: str | None = None
    limit: int = 50
