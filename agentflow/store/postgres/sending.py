"""Appends sent and heard by the event loop itself: a journey that no thread has to be woken for, twice.

Only what is one statement and its own transaction goes this way, prepared, on a connection that is there. Whatever goes
wrong is the writer's thread's to put right, as if it had sent it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from agentflow import failpoints
from agentflow.clock import to_micros
from agentflow.store.postgres.losses import Lost
from agentflow.store.postgres.patience import ANYTHING
from agentflow.store.postgres.server import driver
from agentflow.store.postgres.together import APPENDS
from agentflow.store.postgres.transaction import PostgresTransaction

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from psycopg.pq.abc import PGresult

    from agentflow.clock import Clock
    from agentflow.store.calls import Call
    from agentflow.store.postgres.link import Link
    from agentflow.store.postgres.patience import Patience
    from agentflow.store.postgres.prepared import Prepared

    Heard: TypeAlias = Callable[[Sequence[Call], PostgresTransaction | Lost], None]

MOST_AT_ONCE: Final = 64
"""Beyond this many, what they say may be more than a socket takes at once, and building it keeps the loop."""


class Sending:
    """Sends batches on a link while nobody else uses it; `heard` is told what became of each."""

    def __init__(self, link: Link, clock: Clock, patience: Patience, loop: asyncio.AbstractEventLoop) -> None:
        self.link = link
        self._clock = clock
        self.patience = patience
        self.loop = loop
        self._error: Any = driver().Error
        self._is_able = _hears(loop, link.fileno())

    def send(self, batch: Sequence[Call], heard: Heard) -> bool:
        """Whether the batch is on its way; if not, nothing of it has been sent."""
        if len(batch) > MOST_AT_ONCE or failpoints.ACTIVE or not self._is_able:
            return False
        statements = self.link.at_hand()
        if statements is None:
            return False
        try:
            tx = PostgresTransaction(statements, to_micros(self._clock.now()))
            is_sent = all(APPENDS.takes(call) for call in batch) and statements.send(*APPENDS.asked(tx, batch))
        except self._error as error:
            heard(batch, Lost(error, at_commit=True, broken=self.link.is_broken))
            return True
        except Exception:  # noqa: BLE001  the thread meets it too, and says so
            return False
        if is_sent:
            _Reply(self, statements, tx, batch, heard).begin()
        return is_sent


class _Reply:
    """What the server says to one batch."""

    def __init__(
        self, sending: Sending, statements: Prepared, tx: PostgresTransaction, batch: Sequence[Call], heard: Heard
    ) -> None:
        self.loop, self.patience, self.link = sending.loop, sending.patience, sending.link
        self._statements = statements
        self._tx = tx
        self._batch = batch
        self._heard = heard
        self._number = statements.connection.fileno()
        self._results: list[PGresult] = []
        self._is_writing = False

    def begin(self) -> None:
        self.patience.begin(self.link, ANYTHING)
        self.loop.add_reader(self._number, self._listen)
        self._write()

    def _write(self) -> None:
        """Send the rest of what the socket did not take at once."""
        try:
            is_left = self._statements.flush()
        except Exception as error:  # noqa: BLE001  whatever it is, the batch is answered
            self._end(error)
            return
        if is_left != self._is_writing:
            self._is_writing = is_left
            if is_left:
                self.loop.add_writer(self._number, self._write)
            else:
                self.loop.remove_writer(self._number)

    def _listen(self) -> None:
        try:
            is_all = self._statements.hear(self._results)
        except Exception as error:  # noqa: BLE001  whatever it is, the batch is answered
            self._end(error)
            return
        if is_all:
            self._end(None)

    def _end(self, error: Exception | None) -> None:
        self.loop.remove_reader(self._number)
        if self._is_writing:
            self.loop.remove_writer(self._number)
        self.patience.end(self.link)
        found = error or self._told()
        if found is None:
            self._heard(self._batch, self._tx)
        else:
            self._heard(self._batch, Lost(found, at_commit=True, broken=self.link.is_broken))

    def _told(self) -> Exception | None:
        """Tell the calls what the server said; what it or anything else had against that."""
        try:
            for result in self._results:
                self._statements.check(result)
            APPENDS.told(self._tx, self._batch, self._statements.rows(self._results[-1]))
        except Exception as error:  # noqa: BLE001  whatever it is, the batch is answered
            return error
        return None


def _hears(loop: asyncio.AbstractEventLoop, number: int) -> bool:
    """Whether the loop can wait for a socket of somebody else's; one of Windows cannot."""
    with suppress(NotImplementedError):
        loop.remove_reader(number)
        return True
    return False
