"""What bounds an attempt in time: its own limit, the limit of all attempts together, and its signs of life.

Time is that of the turn's clock. Spans too short to park a run are waited out in real time: a test's clock lets them
pass at once, and would end a step that has just begun.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from agentflow.clock import SystemClock
from agentflow.durations import describe
from agentflow.errors import HeartbeatTimedOut, StepTimedOut

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator
    from datetime import datetime

    from agentflow.clock import Clock
    from agentflow.runtime.operations.heartbeats import Pulse

SHORT: Final = timedelta(seconds=1)
"""Pauses up to this are waited out in memory."""

logger = logging.getLogger("agentflow.run")
_real = SystemClock()


class Limit(NamedTuple):
    """An instant at which an attempt is over unless it has ended, or given a sign of life, by then."""

    at: datetime
    signs: int
    error: StepTimedOut


@dataclass(slots=True)
class Bounds:
    """The limits of one attempt of the operation `key`."""

    key: str
    clock: Clock
    timeout: timedelta | None = None
    schedule_to_close: timedelta | None = None
    closes_at: datetime | None = None
    heartbeat_timeout: timedelta | None = None
    pulse: Pulse | None = None
    is_closed: bool = False
    """The limit of all attempts together was reached."""
    is_cut: bool = False
    """A limit was reached: what the attempt has done, or goes on doing, is not known."""

    @property
    def are_none(self) -> bool:
        """Whether the attempt may take as long as it likes."""
        return self.timeout is None and self.closes_at is None and self.heartbeat_timeout is None

    async def reached(self) -> StepTimedOut:
        """Return what to raise, once the first limit is reached."""
        began, before = self.clock.now(), None
        while True:
            limit = min(self._limits(began), key=lambda one: one.at)
            if before == limit[:2]:
                self.is_closed = limit.at == self.closes_at
                return limit.error
            before = limit[:2]
            left = limit.at - self.clock.now()
            await (self.clock if left > SHORT else _real).sleep(left)

    def _limits(self, began: datetime) -> Iterator[Limit]:
        if self.closes_at is not None:
            yield Limit(self.closes_at, 0, self.closed("was still at work at the end of"))
        if self.timeout is not None:
            error = StepTimedOut(f"{self.key} took longer than its timeout of {describe(self.timeout)}")
            yield Limit(began + self.timeout, 0, error)
        if self.heartbeat_timeout is not None and self.pulse is not None:
            silent = (
                f"{self.key} gave no sign of life within its heartbeat_timeout of {describe(self.heartbeat_timeout)}"
            )
            yield Limit(self.pulse.last_at + self.heartbeat_timeout, self.pulse.signs, HeartbeatTimedOut(silent))

    def closed(self, what: str) -> StepTimedOut:
        """The error of an operation whose attempts have taken too long together."""
        assert self.schedule_to_close is not None
        return StepTimedOut(f"{self.key} {what} its schedule_to_close of {describe(self.schedule_to_close)}")


async def bounded(work: Awaitable[Any], bounds: Bounds) -> Any:
    """The result, within the bounds. Work that does not stop when it is cancelled is left behind, its result dropped.

    Raises `StepTimedOut` naming the limit that was reached.
    """
    running = asyncio.ensure_future(work)
    alarm = asyncio.ensure_future(bounds.reached())
    try:
        await asyncio.wait({running, alarm}, return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        running.cancel()
        raise
    finally:
        alarm.cancel()
    if running.done():
        return running.result()
    bounds.is_cut = True
    running.cancel()
    running.add_done_callback(lambda done: _drop(done, bounds.key))
    raise alarm.result()


def _drop(done: asyncio.Future[Any], key: str) -> None:
    """Look at what came of work that was left behind, so that nobody is warned about it, and say that it is dropped."""
    if done.cancelled():
        return
    error = done.exception()
    logger.warning(
        "%s ended after its time was over; %s",
        key,
        "its result is dropped" if error is None else f"it raised {error!r}",
    )
