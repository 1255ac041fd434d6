"""Promises about heartbeats and circuit breakers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from agentflow.requests import BreakerRule, Lease


class Liveness(Protocol):
    """What steps say of their progress, and the circuit breakers that all workers share."""

    async def beat(self, lease: Lease, key: str, details: str) -> None:
        """Keep what a step says of its progress, in place of what it said before."""
        ...

    async def last_beat(self, run_id: str, key: str) -> str | None:
        """What the step last said of its progress; None if nothing."""
        ...

    async def admit(self, rule: BreakerRule) -> datetime | None:
        """None if a call may be made; else until when the breaker is open.

        Once that has passed a single caller is let through to try; the others wait for what it reports.
        """
        ...

    async def report(self, rule: BreakerRule, *, ok: bool) -> None:
        """Count how a call went: enough failures in a row open the breaker, a success closes it."""
        ...
