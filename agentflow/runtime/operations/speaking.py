"""Words on their way: what a step says while it runs, for those who follow along.

Nothing waits for them, and a step that fails or is cut off takes them back by being called again: what counts is its
recorded result.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from agentflow.errors import StoreError
from agentflow.requests import NewChunk
from agentflow.runtime.operations.heartbeats import current_pulse
from agentflow.runtime.operations.leaf import InStep
from agentflow.tasks.calling import current_caller

if TYPE_CHECKING:
    import asyncio

EVERY: Final = 0.1
"""Seconds between two writes of what one attempt says, and before the first: what is over sooner is not written."""
LONGEST: Final = 16_384
"""Characters that are kept for one write; what a step says faster than that is nothing anybody could read."""


class Speech:
    """What one attempt of a step says."""

    def __init__(self, caller: InStep) -> None:
        self._turn = caller.turn
        self._key = caller.key
        self._attempt = caller.attempt
        self._pieces: list[str] = []
        self._place = 0
        self._is_scheduled = False
        self._is_over = False
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None

    def add(self, text: str) -> None:
        """Take a piece of text, on any thread."""
        self._pieces.append(text)
        if not self._is_scheduled:
            self._is_scheduled = True
            with suppress(RuntimeError):  # the loop has ended, and the process with it
                self._turn.loop.call_soon_threadsafe(self._schedule)

    def stop(self) -> None:
        """The attempt is over: what it said and nobody has seen yet is in its result, or was said in vain."""
        self._is_over = True
        for under_way in (self._timer, self._writing):
            if under_way is not None:
                under_way.cancel()

    def _schedule(self) -> None:
        if not self._is_over:
            self._timer = self._turn.loop.call_later(EVERY, self._begin)

    def _begin(self) -> None:
        self._is_scheduled = False
        text, self._pieces = "".join(self._pieces), []
        if text:
            self._writing = self._turn.loop.create_task(self._write(text[:LONGEST]))

    async def _write(self, text: str) -> None:
        chunk = NewChunk(
            run_id=self._turn.run.id,
            epoch=self._turn.lease.epoch,
            key=self._key,
            attempt=self._attempt,
            place=self._place,
            text=text.encode(errors="replace").decode().replace("\0", "\ufffd"),
        )
        self._place += 1
        with suppress(StoreError):  # those who follow along miss a word; the result has all of them
            await self._turn.store.keep_chunks([chunk])


def say(text: str) -> None:
    """Let those who follow the run see this text now, from within a step: on its page, and over its stream.

    It is kept for as long as the run is open, and not as a result. Outside a step of a run it does nothing.
    """
    caller, pulse = current_caller.get(), current_pulse.get()
    if not text or pulse is None or not isinstance(caller, InStep):
        return
    if pulse.speech is None:
        pulse.speech = Speech(caller)
    pulse.speech.add(text)
