"""The server's clock, told from here: no host's own time decides a deadline that several hosts share."""

from __future__ import annotations

import asyncio
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, Final

from agentflow.clock import from_micros

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from psycopg import Connection

ASK: Final = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"


class ServerClock:
    """Counts on from what the server last said its time was; a step of this host's clock changes nothing."""

    def __init__(self) -> None:
        self._ahead: int | None = None

    def ask(self, connection: Connection[Any]) -> None:
        """Compare with the server's clock."""
        sent = monotonic_ns() // 1000
        row = connection.execute(ASK).fetchone()
        assert row is not None
        self.hear(row[0], sent=sent)

    def hear(self, told: int, *, sent: int) -> None:
        """What the server has just answered to a question sent then; taken to be of the middle of the journey.

        What is known already stays while it lies within that journey, so that time does not shake.
        """
        least, most = told - monotonic_ns() // 1000, told - sent
        if self._ahead is None or not least <= self._ahead <= most:
            self._ahead = (least + most) // 2

    def now(self) -> datetime:
        """The server's time, as far as is known here."""
        assert self._ahead is not None, "nobody has asked the server yet"
        return from_micros(monotonic_ns() // 1000 + self._ahead)

    async def sleep(self, span: timedelta) -> None:
        """Return when `span` has passed."""
        await asyncio.sleep(max(0.0, span.total_seconds()))  # noqa: TID251  a clock is where waiting is done
