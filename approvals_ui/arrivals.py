"""What this program remembers of the requests that came to its webhooks: how many, and how many proved nothing.

Nothing of it is stored: whoever sends what is not authentic cannot fill a disk, nor the log.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from agentflow.limits import Rate
    from agentflow.tasks.webhook import Webhook

log = logging.getLogger("approvals_ui.hooks")
ONCE_IN: Final = timedelta(seconds=1)


class Arrivals:
    """What came to each of these webhooks."""

    def __init__(self, webhooks: Mapping[str, Webhook]) -> None:
        self._rates = {path: Throttle(one.rate) for path, one in webhooks.items() if one.rate is not None}
        self._unproven = {path: Unproven(path) for path in webhooks}

    def wait(self, path: str, now: datetime) -> timedelta | None:
        """How long this request has to wait for its webhook's rate; None if it is counted and may go on."""
        throttle = self._rates.get(path)
        return None if throttle is None else throttle.wait(now)

    def proved_nothing(self, path: str, reason: str) -> None:
        """Count a request that is not authentic, and log it: what comes within a second as one line."""
        self._unproven[path].add(reason)

    def unproven(self, path: str) -> int:
        """How many requests to this webhook were not authentic since the program started."""
        return self._unproven[path].count


class Throttle:
    """Lets so many through within any span of the rate's length, and says of the others when to come again."""

    def __init__(self, rate: Rate) -> None:
        self._per = rate.per
        self._passed: deque[datetime] = deque(maxlen=rate.amount)

    def wait(self, now: datetime) -> timedelta | None:
        """How long one that comes now has to wait; None if it is counted and may go on."""
        passed = self._passed
        if passed and passed[-1] > now:  # the clock was set back
            passed.clear()
        if len(passed) == passed.maxlen and now - passed[0] < self._per:
            return self._per - (now - passed[0])
        passed.append(now)
        return None


class Unproven:
    """The requests to one webhook that were not authentic: the first is logged at once, the next within a second."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._said = 0
        self._reason = ""
        self._waits: asyncio.TimerHandle | None = None
        self.count = 0

    def add(self, reason: str) -> None:
        """Count one."""
        self.count += 1
        self._reason = reason
        if self._waits is None:
            self._say()

    def _say(self) -> None:
        """Log what is new, and wait for more; once nothing came, the next is logged at once again."""
        new, self._said = self.count - self._said, self.count
        if new:
            log.warning(
                "webhook %s: %d request(s) not authentic, nothing was stored; the last: %s",
                self._path,
                new,
                self._reason,
            )
        loop = asyncio.get_running_loop()
        self._waits = loop.call_later(ONCE_IN.total_seconds(), self._say) if new else None
