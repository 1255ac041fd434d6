"""Queues with limits, what is going on in them, and who changed them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from agentflow.limits import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueState:
    """A queue: the limits that hold, those declared in code, and how many of its runs are due, delayed and running.

    `paused_at` is None while it is served; `changed_by` and `reason` are of the last change.
    """

    name: str
    limits: Limits
    declared: Limits
    paused_at: datetime | None
    changed_by: str
    reason: str
    changed_at: datetime | None
    due: int
    delayed: int
    running: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePlace:
    """What keeps a queued run from starting: its queue, how many run there and of its key, and its rates.

    `starts_at` is when a rate or budget, named by `scarce`, next allows its start; None where neither holds it back.
    """

    queue: str
    queue_key: str | None
    limits: Limits
    is_paused: bool
    paused_by: str
    pause_reason: str
    running: int
    running_of_key: int
    starts_at: datetime | None
    scarce: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueChange:
    """One change of a queue by a person: what it was, by whom and why. `change` is JSON."""

    id: int
    queue: str
    change: str
    changed_by: str
    reason: str
    at: datetime
