"""Patience: asking again for a lock that another process holds, soon at first and then less and less often.

A writer holds the lock for a millisecond or two and wants it back as long after. Who sleeps longer than that, as SQLite
itself does by its second try, sleeps past the release and finds the lock taken again.
"""

from __future__ import annotations

from time import perf_counter, sleep
from typing import Final

FIRST: Final = 0.00005
LONGEST: Final = 0.005
"""Seconds from one try to the next, at least and at most; in between a quarter of the time that has passed."""


class Busy(Exception):
    """Another process holds the write lock."""


class Patience:
    """How long a lock has been asked for."""

    def __init__(self) -> None:
        self._since = perf_counter()

    def rest(self, most: float) -> bool:
        """Sleep, on the calling thread, until it is time to ask again; False, at once, after so many milliseconds."""
        waited = perf_counter() - self._since
        if waited * 1000 > most:
            return False
        sleep(min(LONGEST, FIRST + waited / 4))
        return True
