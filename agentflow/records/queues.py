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
class QueueChange:
    """One change of a queue by a person: what it was, by whom and why. `change` is JSON."""

    id: int
    queue: str
    change: str
    changed_by: str
    reason: str
    at: datetime
