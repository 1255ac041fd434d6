"""The writer's connection: made when it is needed, given up when it fails, and not asked for too often meanwhile."""

from __future__ import annotations

import random
from contextlib import suppress
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from agentflow.errors import StoreUnusable
from agentflow.store.postgres.prepared import Prepared
from agentflow.store.postgres.server import begin, connect, driver, has_hung_up, is_pooled

if TYPE_CHECKING:
    from psycopg import Connection

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
"""Seconds between tries to reach a server that is away."""
MODE: Final = "ISOLATION LEVEL READ COMMITTED"
BEGIN: Final = f"BEGIN {MODE}".encode()
LOCKS_BRIEFLY: Final = b"SET LOCAL lock_timeout = '100ms'"
"""A batch holds the locks of all its verbs, so it does not wait long for one more; a verb alone may."""


class Link:
    """One connection to write on, for one thread."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._error: Any = driver().Error
        self._prepared: Prepared | None = None
        self._prepares = True
        self._away: StoreUnusable | None = None
        self._pause = FIRST_PAUSE
        self._next_try = 0.0
        self._adopt(connect(url))

    def ready(self) -> Prepared:
        """The connection, a new one if the last was lost. Raises `StoreUnusable`, soon after a failed try at once."""
        if (known := self.at_hand()) is not None:
            return known
        self.drop()
        if self._away is not None and monotonic() < self._next_try:
            raise self._away
        try:
            connection = connect(self.url)
        except StoreUnusable as error:
            self._away = error
            self._next_try = monotonic() + self._pause
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
            raise
        self._away, self._pause = None, FIRST_PAUSE
        return self._adopt(connection)

    def at_hand(self) -> Prepared | None:
        """The connection, if it is there."""
        known = self._prepared
        if known is None or known.connection.closed or has_hung_up(known.connection):
            return None
        return known

    def _adopt(self, connection: Connection[Any]) -> Prepared:
        if not self._prepares:
            connection.prepare_threshold = None
        self._prepared = Prepared(connection)
        return self._prepared

    @property
    def _connection(self) -> Connection[Any] | None:
        return None if self._prepared is None else self._prepared.connection

    @property
    def is_pooled(self) -> bool:
        """Whether what is set for the session is not certain to be there for the next transaction."""
        return self._connection is not None and is_pooled(self._connection)

    @property
    def is_broken(self) -> bool:
        """Whether the connection is gone."""
        return self._connection is None or bool(self._connection.closed)

    def fileno(self) -> int:
        """The number of its socket, to hang up on a server that has fallen silent."""
        return -1 if self._connection is None else self._connection.fileno()

    def begin(self, *, many: bool) -> None:
        """Begin a transaction on the ready connection, of several verbs or of one."""
        assert self._prepared is not None
        if self.is_pooled:
            begin(self._prepared.connection, MODE)
        else:
            self._prepared.say_later(BEGIN)
        if many:
            self._prepared.say_later(LOCKS_BRIEFLY)

    def stop_preparing(self) -> None:
        """From now on prepare no statement: the server connections behind this one change."""
        self._prepares = False
        if self._connection is not None:
            self._connection.prepare_threshold = None

    def roll_back(self) -> None:
        """Leave a transaction that failed; a connection that cannot is given up."""
        if self._prepared is None:
            return
        self._prepared.forget()
        try:
            self._prepared.connection.rollback()
        except self._error:
            self.drop()

    def rest(self, count: int) -> None:
        """Let the other transaction, that was in the way, end: longer the more often it was."""
        # Not by `time.sleep`, which fails where a library sets this program's clock; a lock's wait does not.
        Event().wait(random.uniform(0, min(0.002 * 2**count, 0.2)))  # noqa: S311  a jitter

    def drop(self) -> None:
        """Give the connection up."""
        connection, self._prepared = self._connection, None
        if connection is not None:
            with suppress(self._error):
                connection.close()
