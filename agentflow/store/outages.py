"""What a program says of a database that is away: a line when it goes, one when it is back, however often it asks."""

from __future__ import annotations

import logging
import threading
from time import monotonic
from typing import Final

logger = logging.getLogger("agentflow.store")
QUIET_FOR: Final = 30.0
"""Seconds before the next outage is spoken of: what comes and goes with every write is one trouble, not a thousand."""


class Outages:
    """Hears from each connection of a store how it fares; any thread may tell."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._away: dict[str, str] = {}
        self._since = 0.0
        self._spoke_at = -QUIET_FOR
        self._has_spoken = False

    def began(self, connection: str, why: str) -> None:
        """This connection fails; said if no other does."""
        with self._lock:
            is_new = not self._away
            self._away[connection] = why
            now = monotonic()
            if not is_new or now - self._spoke_at < QUIET_FOR:
                return
            self._since = self._spoke_at = now
            self._has_spoken = True
        logger.warning("%s; what needs it waits, and it is tried again until it is back", why)

    def ended(self, connection: str) -> None:
        """This connection works; said if it was the last that did not."""
        if not self._away:  # as nearly always: not even the lock is taken
            return
        with self._lock:
            self._away.pop(connection, None)
            if self._away or not self._has_spoken:
                return
            self._has_spoken = False
            lasted = monotonic() - self._since
        logger.warning("the database is back after %.1f s", lasted)
