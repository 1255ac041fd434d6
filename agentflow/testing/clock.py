"""A clock that moves only when a test says so."""

from __future__ import annotations

import asyncio
import heapq
from datetime import UTC, datetime, timedelta
from itertools import count

from agentflow.durations import duration


class FakeClock:
    """Stands still until `advance`; sleepers wake in the order in which they are due."""

    def __init__(self, start: datetime = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)) -> None:
        self._now = start
        self._count = count()
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        """The instant it stands at."""
        return self._now

    async def sleep(self, span: timedelta) -> None:
        """Return when the clock has been advanced by `span`."""
        if span <= timedelta(0):
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + span, next(self._count), future))
        await future

    def advance(self, by: str | float | timedelta) -> None:
        """Move on, waking whoever has slept long enough."""
        self._now += duration(by)
        while self._sleepers and self._sleepers[0][0] <= self._now:
            _, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)
