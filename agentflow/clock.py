"""Time as an argument: one clock per store, replaced by a fake one in tests.

Nothing else in agentflow reads the time of day or sleeps. Instants are aware and in UTC; spans are `timedelta`.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Protocol

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Clock(Protocol):
    """Tells the time, and waits for it to pass."""

    def now(self) -> datetime:
        """The present instant, aware and in UTC."""
        ...

    async def sleep(self, span: timedelta) -> None:
        """Return when `span` has passed on this clock; at once if it is not positive."""
        ...


class SystemClock:
    """The host's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, span: timedelta) -> None:
        await asyncio.sleep(max(0.0, span.total_seconds()))


def to_micros(instant: datetime) -> int:
    """Microseconds since 1970, as the store keeps instants."""
    return (instant - EPOCH) // MICROSECOND


def from_micros(micros: int) -> datetime:
    """The instant stored as `micros`."""
    return EPOCH + timedelta(microseconds=micros)
