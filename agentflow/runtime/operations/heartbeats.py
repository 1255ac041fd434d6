"""Signs of life: a step says that it goes on, and how far it is; its next attempt learns what was said last."""

from __future__ import annotations

from contextlib import suppress
from contextvars import ContextVar
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from agentflow.errors import LeaseLost, NotRecordable, StoreUnavailable
from agentflow.payloads import decode, record

if TYPE_CHECKING:
    import asyncio
    from datetime import datetime

    from agentflow.requests.spending import Kept
    from agentflow.runtime.operations.speaking import Speech
    from agentflow.runtime.turn import Turn
    from agentflow.usage import Usage

EVERY: Final = 1.0
"""Seconds between two writes of one step's details."""
LARGEST: Final = 131_072
_REMEDY: Final = "say how far the step is with plain data, such as a dict or `model_dump()`"


class Pulse:
    """What one attempt of a step says of itself: signs of life, words on their way, and what is kept with its end.

    That is what it used of language models, in `usage`, and, of a success only, what is `kept` beside the journal.

    `before` is what the attempt before it said last, encoded.
    """

    # Every step has one and few say anything, so that most of it is what the class says until then.
    signs = 0
    is_over = False
    usage: tuple[Usage, ...] = ()
    kept: tuple[Kept, ...] = ()
    speech: Speech | None = None
    _said: str | None = None
    _kept: str | None = None
    _is_scheduled = False
    _written_at = -EVERY
    _timer: asyncio.TimerHandle | None = None
    _writing: asyncio.Task[None] | None = None

    def __init__(self, turn: Turn, key: str, before: str | None) -> None:
        self.turn = turn
        self.key = key
        self.before = before

    @cached_property
    def last_at(self) -> datetime:
        """When it last gave a sign of life; first, when this was first asked."""
        return self.turn.clock.now()

    def beat(self, details: Any) -> None:
        """Take a sign of life, on any thread. One that comes after the attempt is over is dropped."""
        if self.is_over:
            return
        if details is not None:
            self._said = _text(details)
        self.signs += 1
        self.last_at = self.turn.clock.now()
        if details is not None and not self._is_scheduled:
            self._is_scheduled = True
            with suppress(RuntimeError):  # the loop has ended, and the process with it
                self.turn.loop.call_soon_threadsafe(self._write_soon)

    def _write_soon(self) -> None:
        if not self.is_over:
            left = max(0.0, self._written_at + EVERY - self.turn.loop.time())
            self._timer = self.turn.loop.call_later(left, self._begin)

    def _begin(self) -> None:
        self._writing = self.turn.loop.create_task(self._write())

    async def _write(self) -> None:
        self._is_scheduled = False  # what is said from here on is for another write
        self._written_at = self.turn.loop.time()
        said = self._said
        if said is None or said == self._kept:
            return
        try:
            await self.turn.store.beat(self.turn.lease, self.key, said)
        except LeaseLost:
            self.is_over = True  # the run is another's; the turn learns it at its next write
        except StoreUnavailable:
            return  # a sign of life is no reason to fail; the next one tries again
        self._kept = said

    def stop(self) -> None:
        """The attempt is over: nothing more is heard of it."""
        self.is_over = True
        if self._timer is not None:
            self._timer.cancel()
        if self.speech is not None:
            self.speech.stop()

    async def keep(self) -> None:
        """Keep what a failed attempt said last, for the next one."""
        self.stop()
        if self._writing is not None:
            await self._writing
        if self._said is not None and self._said != self._kept:
            await self.turn.write(self.turn.store.beat, self.key, self._said)


current_pulse: ContextVar[Pulse | None] = ContextVar("agentflow_pulse", default=None)


def heartbeat(details: Any = None) -> None:
    """Say, from within a step, that it goes on; `details` say how far, for `last_heartbeat()` in the next attempt.

    Without details those said before stand. They are kept at most once a second, and when the attempt fails. Outside a
    step of a run it does nothing. Raises `NotRecordable` or `PayloadTooLarge` for details that cannot be kept.
    """
    pulse = current_pulse.get()
    if pulse is not None:
        pulse.beat(details)


def last_heartbeat() -> Any:
    """What the previous attempt of this step said last, also if a crash ended it; None in the first, or if nothing."""
    pulse = current_pulse.get()
    return None if pulse is None or pulse.before is None else decode(pulse.before, Any)


def _text(details: Any) -> str:
    try:
        return record(details, limit=LARGEST, of="heartbeat")[0]
    except NotRecordable as error:
        raise NotRecordable(path=error.path, type_name=error.type_name, remedy=_REMEDY) from error
