"""Queues to be declared and changed, and what circuit breakers are told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta

    from agentflow.limits import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclareQueue:
    """A queue as declared in code; without `limits` it is only named there, and others may declare them."""

    name: str
    limits: Limits | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeQueue:
    """A person's change of a queue: other limits, a pause or its end.

    `limits` replaces all limits, `reset` goes back to the declared ones; `paused` None leaves that as it is.
    """

    name: str
    by: str
    reason: str
    limits: Limits | None = None
    reset: bool = False
    paused: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerRule:
    """When the breaker of `key` opens: after `failures` in a row within `within`, for `open_for`."""

    key: str
    failures: int
    within: timedelta
    open_for: timedelta
