"""Hints between processes: a coalesced NOTIFY after commits, and a LISTEN that shortens the wait for the next look.

A hint may be lost, and then costs a look's interval: looking is the truth. It is sent from a connection and thread of
its own, after the commit and at most once in a while, because a notifying commit holds a lock on the whole server. It
is waited for by a selector of our own: the driver's wait comes up for air ten times a second, which is more than all
else an idle worker does.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from contextlib import suppress
from selectors import EVENT_READ, DefaultSelector
from typing import TYPE_CHECKING, Any, Final

from agentflow.errors import InvalidSetting, StoreUnusable
from agentflow.store.postgres.server import connect, driver, is_pooled

if TYPE_CHECKING:
    from collections.abc import Callable

    from psycopg import Connection
    from psycopg.pq.abc import PGconn

CHANNEL: Final = "agentflow"
SOON, LATER = 0.003, 0.25
"""Seconds between two hints: of runs that moved on, for which somebody may wait; and of further recorded operations."""
AGAIN_AFTER: Final = 1.0
LISTEN_FOR: Final = 10.0


class Ears:
    """Listens on one connection, and hints on another; both come back by themselves when the server does.

    `heard` is called on the event loop for each hint of another process.
    """

    def __init__(self, url: str, heard: Callable[[], None]) -> None:
        self._url = url
        self._heard = heard
        self._error: Any = driver().Error
        self._loop = asyncio.get_running_loop()
        self._me = secrets.token_hex(8)
        self._to_send = threading.Event()
        self._is_urgent = threading.Event()
        self._is_closed = threading.Event()
        self.are_open = False
        """Whether hints of other processes can be heard."""
        self._threads = [
            threading.Thread(target=self._keep, args=(work,), name=f"agentflow-{name}", daemon=True)
            for name, work in (("listener", self._listen), ("notifier", self._notify))
        ]
        for thread in self._threads:
            thread.start()

    def hint(self, *, soon: bool) -> None:
        """Tell the other processes that something was committed; once for many."""
        if soon:
            self._is_urgent.set()
        self._to_send.set()

    async def close(self) -> None:
        """Stop hinting and listening: the last hint wakes the listener."""
        self._is_closed.set()
        self._is_urgent.set()
        self._to_send.set()
        for thread in self._threads:
            await asyncio.to_thread(thread.join, AGAIN_AFTER)

    def _keep(self, work: Callable[[Connection[Any]], None]) -> None:
        while not self._is_closed.is_set():
            try:
                with connect(self._url) as connection:
                    work(connection)
            except (self._error, StoreUnusable, InvalidSetting):
                self._is_closed.wait(AGAIN_AFTER)

    def _listen(self, connection: Connection[Any]) -> None:
        if is_pooled(connection):  # the session that would listen is another's by now
            self._is_closed.wait()
            return
        connection.execute(f"LISTEN {CHANNEL}")
        self.are_open = True
        try:
            with DefaultSelector() as waiting:
                waiting.register(connection, EVENT_READ)
                while not self._is_closed.is_set():
                    if self._is_hint(connection.pgconn):
                        with suppress(RuntimeError):
                            self._loop.call_soon_threadsafe(self._heard)
                    waiting.select(LISTEN_FOR)
                    connection.pgconn.consume_input()
        finally:
            self.are_open = False

    def _is_hint(self, received: PGconn) -> bool:
        """Whether what has been received is of another process; one is as good as many."""
        senders = {notice.extra for notice in iter(received.notifies, None)}
        return bool(senders - {self._me.encode()})

    def _notify(self, connection: Connection[Any]) -> None:
        while True:
            self._to_send.wait()
            if not self._is_urgent.wait(LATER):
                pass  # nothing moved on: once in a while is enough
            self._to_send.clear()
            self._is_urgent.clear()
            connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, self._me))
            if self._is_closed.is_set():
                return
            self._is_closed.wait(SOON)
