"""Noticing what other processes commit: their hints make it soon, looking makes it sure."""

from __future__ import annotations

from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Final

from agentflow.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agentflow.store.postgres.ears import Ears

EVERY, OFTEN = 0.5, 0.05
"""Seconds between looks: where others can be heard, and where they cannot or for a while after one had not been."""
OFTEN_FOR: Final = 200
DOUBTED_FOR: Final = 5.0
"""Seconds until what may have been our own commits only is announced all the same."""


class Lookout:
    """Tells `announce` when there may be something new. `commits` counts this process's own.

    `newest` gives the entry up to which nothing can be missing any more, and the newest that can be seen.
    """

    def __init__(
        self,
        ears: Ears,
        newest: Callable[[], Awaitable[tuple[int, int]]],
        commits: Callable[[], int],
        announce: Callable[[], None],
    ) -> None:
        self._ears = ears
        self._newest = newest
        self._commits = commits
        self._announce = announce
        self._seen: int | None = None
        self._told = 0
        self._own = 0
        self._often = 0
        self._doubt_since: float | None = None

    async def keep(self) -> None:
        """Look and listen until cancelled."""
        looked = monotonic()
        while True:
            every = OFTEN if self._often or not self._ears.are_open else EVERY
            heard = await self._ears.next_hint(max(0.0, looked + every - monotonic()))
            if heard:  # a look now would take for told what is committed after the telling, whose own hint may be lost
                self._doubt_since = None
                self._announce()
                continue
            if monotonic() - looked < every:
                continue
            looked = monotonic()
            with suppress(StoreUnavailable):
                self._look(*await self._newest())

    def _look(self, settled: int, newest: int) -> None:
        self._often = max(0, self._often - 1)
        own, is_first = self._commits(), self._seen is None
        # Above what is settled, a transaction still under way may commit an entry with a lower number than the newest.
        is_new, is_told, is_quiet = newest != self._seen, newest == self._told, own == self._own
        self._seen, self._told, self._own = settled, newest, own
        if is_new and (is_quiet or not self._ears.are_open):
            if not is_first and not is_told:
                self._often = OFTEN_FOR  # somebody else's commit, and nobody said so
            self._say()
        elif is_new and self._doubt_since is None:
            self._doubt_since = monotonic()
        elif self._doubt_since is not None and monotonic() - self._doubt_since > DOUBTED_FOR:
            self._say()

    def _say(self) -> None:
        self._doubt_since = None
        self._announce()
