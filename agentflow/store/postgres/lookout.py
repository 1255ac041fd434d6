"""Noticing what other processes commit: their hints make it soon, looking makes it sure.

Looks are a thread's own: the event loop is called where there is something to say, and not twice a second for nothing.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Final

from agentflow.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

EVERY, OFTEN = 0.5, 0.05
"""Seconds between looks: where others can be heard, and where they cannot or for a while after one had not been."""
OFTEN_FOR: Final = 200
DOUBTED_FOR: Final = 5.0
"""Seconds until what may have been our own commits only is announced all the same."""


class Lookout:
    """Tells `announce`, on the event loop, when there may be something new. `commits` counts this process's own.

    `newest` gives the entry up to which nothing can be missing any more, and the newest that can be seen; it is called
    in a thread. `are_heard` says whether other processes' hints come at present.
    """

    def __init__(
        self,
        newest: Callable[[], tuple[int, int]],
        *,
        are_heard: Callable[[], bool],
        commits: Callable[[], int],
        announce: Callable[[], None],
    ) -> None:
        self._newest = newest
        self._are_heard = are_heard
        self._commits = commits
        self._announce = announce
        self._loop = asyncio.get_running_loop()
        self._is_closed = threading.Event()
        self._seen: int | None = None
        self._told = 0
        self._own = 0
        self._often = 0
        self._doubt_since: float | None = None
        self._thread = threading.Thread(target=self._keep, name="agentflow-lookout", daemon=True)
        self._thread.start()

    def heard(self) -> None:
        """Another process hints."""
        # A look now would take for told what is committed after the telling, whose own hint may be lost.
        self._say()

    async def close(self) -> None:
        """Look no more, once a look that has begun is done."""
        self._is_closed.set()
        await asyncio.to_thread(self._thread.join)

    def _keep(self) -> None:
        """In the thread: look, and give to the event loop what is not as it was."""
        while not self._is_closed.wait(OFTEN if self._often or not self._are_heard() else EVERY):
            with suppress(StoreUnavailable, RuntimeError):  # the second of an event loop that has ended
                settled, newest = self._newest()
                if not (settled == newest == self._seen == self._told and self._is_quiet):
                    self._loop.call_soon_threadsafe(self._look, settled, newest)

    @property
    def _is_quiet(self) -> bool:
        """Whether a look that finds nothing new changes nothing here."""
        return self._own == self._commits() and not self._often and self._doubt_since is None

    def _look(self, settled: int, newest: int) -> None:
        self._often = max(0, self._often - 1)
        own, is_first = self._commits(), self._seen is None
        # Above what is settled, a transaction still under way may commit an entry with a lower number than the newest.
        is_new, is_told, is_quiet = newest != self._seen, newest == self._told, own == self._own
        self._seen, self._told, self._own = settled, newest, own
        if is_new and (is_quiet or not self._are_heard()):
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
