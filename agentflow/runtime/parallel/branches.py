"""Which parts of a run are at work and which wait: a run is parked when every branch of it waits.

A branch counts what is at work in it, so that asking ten thousand of them costs no more than asking one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from datetime import datetime

    from agentflow.requests import OpenWait


@dataclass(slots=True, eq=False)
class Waiting:
    """A branch's wait under `key`, until `due_at` or an answer; `to_open` while the store has not heard of it."""

    key: str
    future: asyncio.Future[Any]
    due_at: datetime | None = None
    to_open: OpenWait | None = None
    branch: Branch | None = field(default=None, repr=False)

    def answer(self, value: Any) -> None:
        """Let the branch go on with this; the first answer counts."""
        if not self.future.done():
            self.future.set_result(value)
            self._go_on()

    def fail(self, error: BaseException) -> None:
        """Let the branch go on by raising this."""
        if not self.future.done():
            self.future.set_exception(error)
            self.future.exception()  # the branch that ends the turn does not wait for its own
            self._go_on()

    def _go_on(self) -> None:
        if self.branch is not None:
            self.branch.go_on()


class Branch:
    """The task itself, or one arm of a `gather` or `map`."""

    __slots__ = ("_at_work", "_forks", "_is_own_at_work", "_is_stopped", "_is_waiting", "_outer")

    def __init__(self, outer: Branch | None = None) -> None:
        self._outer = outer
        self._is_stopped = False
        self._is_waiting = False
        self._forks = 0
        self._at_work = 0
        self._is_own_at_work = False
        self._update()

    def is_quiet(self) -> bool:
        """Whether nothing in this branch is at work: not its own code, and no branch within."""
        return self._at_work == 0

    @property
    def is_stopped(self) -> bool:
        """Whether its result is not wanted any more: nothing that it asks for is done."""
        return self._is_stopped or (self._outer is not None and self._outer.is_stopped)

    def rest(self) -> None:
        """Its code has come to a wait."""
        self._is_waiting = True
        self._update()

    def go_on(self) -> None:
        """What its code waited for is there, or not waited for any more."""
        self._is_waiting = False
        self._update()

    def fork(self) -> None:
        """Its code goes on by itself only after `join`; until then the branches within it do the work."""
        self._forks += 1
        self._update()

    def join(self) -> None:
        """Its code goes on, whatever its branches do."""
        self._forks -= 1
        self._update()

    def stop(self) -> None:
        """Want its result no more."""
        self._is_stopped = True

    def close(self) -> None:
        """It has ended, and is no part of the run any more."""
        self._is_stopped = True
        if self._outer is not None and self._at_work:
            self._outer.shift(-1)
        self._outer = None

    def _update(self) -> None:
        now = not self._is_waiting and not self._forks
        if now != self._is_own_at_work:
            self._is_own_at_work = now
            self.shift(1 if now else -1)

    def shift(self, change: int) -> None:
        """Count one more at work in it (1), its own code or a branch within, or one less (-1)."""
        was_quiet = self.is_quiet()
        self._at_work += change
        if self._outer is not None and self.is_quiet() != was_quiet:
            self._outer.shift(1 if was_quiet else -1)
