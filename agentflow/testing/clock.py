"""A clock that moves only when a test says so."""

from __future__ import annotations

import asyncio
import heapq
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

from agentflow.durations import duration
from agentflow.errors import InvalidDuration

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator


@dataclass(frozen=True, slots=True, eq=False)
class Runtime:
    """Something that time passes for, and how to learn that it has come to rest."""

    until_idle: Callable[[], Awaitable[None]]
    head: Callable[[], Awaitable[int]]
    due_at: Callable[[], Awaitable[datetime | None]] | None


class Moved:
    """The clock has moved; await this to have all that fell due by it done too."""

    def __init__(self, runtimes: tuple[Runtime, ...]) -> None:
        self._runtimes = runtimes

    def __await__(self) -> Generator[Any, None, None]:
        return self._rest().__await__()

    async def _rest(self) -> None:
        """Return when every runtime rests; what one of them commits may be what another waits for."""
        known: list[int] | None = None
        while True:
            for runtime in self._runtimes:
                await runtime.until_idle()
            heads = [await runtime.head() for runtime in self._runtimes]
            if heads == known:
                return
            known = heads


class FakeClock:
    """Stands still until `advance`; sleepers wake in the order in which they are due.

    A `Harness` attaches itself: `await clock.advance("3d")` returns when its runs have done what the days brought.
    """

    def __init__(self, start: datetime = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)) -> None:
        self._now = start
        self._count = count()
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._runtimes: list[Runtime] = []

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

    def advance(self, by: str | float | timedelta) -> Moved:
        """Move on, waking whoever has slept long enough. The time has moved when this returns.

        Awaiting what it returns waits until every attached runtime has come to rest again.
        """
        return self._move(self._now + duration(by))

    def advance_to(self, instant: datetime) -> Moved:
        """Move on to this instant, as `advance` does. Raises `InvalidDuration` if it is past or has no time zone."""
        if instant.tzinfo is None:
            raise InvalidDuration(f"{instant} has no time zone; the clock did not move. Give an aware datetime")
        if instant < self._now:
            raise InvalidDuration(f"{instant} is before {self._now}: a clock does not go back; it did not move")
        return self._move(instant)

    async def travel(self, by: str | float | timedelta) -> None:
        """Move on as time does: from one instant at which something falls due to the next, resting at each of them.

        What begins on the way begins at its own time: a run that sleeps a day and then another has ended after two.
        """
        target = self._now + duration(by)
        while True:
            await Moved(tuple(self._runtimes))
            dues = [await runtime.due_at() for runtime in self._runtimes if runtime.due_at is not None]
            due_at = min((due for due in dues if due is not None and self._now < due), default=target)
            self._move(min(due_at, target))
            if due_at >= target:
                await Moved(tuple(self._runtimes))
                return

    def attach(
        self,
        until_idle: Callable[[], Awaitable[None]],
        head: Callable[[], Awaitable[int]],
        due_at: Callable[[], Awaitable[datetime | None]] | None = None,
    ) -> Callable[[], None]:
        """Have `await clock.advance(…)` wait for a runtime; the function that ends this.

        `until_idle` returns when it rests (`worker.until_idle`), `head` what it last committed (`client.head`), and
        `due_at` when something next falls due by itself (`store.next_due_at`), for `travel`.
        """
        runtime = Runtime(until_idle, head, due_at)
        self._runtimes.append(runtime)
        return lambda: self._runtimes.remove(runtime)

    def _move(self, to: datetime) -> Moved:
        self._now = to
        while self._sleepers and self._sleepers[0][0] <= self._now:
            _, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)
        return Moved(tuple(self._runtimes))
