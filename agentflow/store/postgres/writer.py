"""The one writing connection of a process: verbs that wait while a batch is under way share the next one.

Appends alone, which are most of what is written, are sent and heard by the event loop (`sending`); every other batch
runs on a thread of its own (`transactions`), since every statement of it is a journey to the server. One batch is under
way at a time, so what gathers meanwhile shares a transaction and a flush.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from agentflow.errors import StoreUnavailable
from agentflow.store.calls import Call
from agentflow.store.outages import Outages
from agentflow.store.postgres.link import Link
from agentflow.store.postgres.losses import Lost
from agentflow.store.postgres.patience import Patience
from agentflow.store.postgres.sending import Sending
from agentflow.store.postgres.transactions import Transactions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentflow.clock import Clock
    from agentflow.store.postgres.transaction import PostgresTransaction

BATCH_LIMIT: Final = 500


class PostgresWriter:
    """Group-commits verbs on one connection. `committed` hears, on the event loop, which runs were touched."""

    def __init__(self, url: str, clock: Clock, committed: Callable[[set[str], set[str]], None]) -> None:
        self._committed = committed
        self._loop = asyncio.get_running_loop()
        self._link = Link(url)
        self._waiting: deque[Call] = deque()
        self._is_scheduled = self._is_under_way = self._is_closed = False
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self.commits = 0
        self.outages = Outages()
        self.patience = Patience()
        self._transactions = Transactions(self._link, clock, self.patience, self.outages)
        self._sending = Sending(self._link, clock, self.patience, self._loop)
        self._to_thread: SimpleQueue[tuple[Sequence[Call], Lost | None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="agentflow-writer", daemon=True)
        self._thread.start()

    def submit(self, verb: Callable[..., Any], args: tuple[Any, ...]) -> asyncio.Future[Any]:
        """The verb's result, once it is committed."""
        future: asyncio.Future[Any] = self._loop.create_future()
        if self._is_closed:
            future.set_exception(StoreUnavailable("the store is closed; nothing was stored"))
            return future
        self._waiting.append(Call(verb, args, future))
        self._schedule()
        return future

    async def close(self) -> None:
        """Flush what waits and let go of the connection."""
        self._is_closed = True
        await self._is_idle.wait()
        self._to_thread.put(None)
        await asyncio.to_thread(self._thread.join)

    # -- on the event loop

    def _schedule(self) -> None:
        """Begin the next batch once all that is ready to run has run: what it writes is part of it."""
        if not self._is_scheduled and not self._is_under_way:
            self._is_scheduled = True
            self._is_idle.clear()
            self._loop.call_soon(self._begin)

    def _begin(self) -> None:
        self._is_scheduled = False
        self._is_under_way = True
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), BATCH_LIMIT))]
        if not self._sending.send(batch, self._heard):
            self._to_thread.put((batch, None))

    def _heard(self, batch: Sequence[Call], came: PostgresTransaction | Lost) -> None:
        """The server's answer to what the event loop had sent."""
        if isinstance(came, Lost):
            self._to_thread.put((batch, came))
            return
        self.outages.ended("writer")
        self._give_out(batch, [came])

    def _give_out(self, batch: Sequence[Call], done: Sequence[PostgresTransaction]) -> None:
        self.commits += len(done)
        self._is_under_way = False
        for call in batch:
            call.answer()
        for tx in done:
            if tx.touched:
                self._committed(tx.touched, tx.moved)
        if self._waiting:
            self._schedule()
        elif not self._is_scheduled:
            self._is_idle.set()

    # -- the thread

    def _run(self) -> None:
        while (given := self._to_thread.get()) is not None:
            batch, lost = given
            done = self._transactions.run(batch, lost)
            with suppress(RuntimeError):  # the event loop has ended, and nobody waits any more
                self._loop.call_soon_threadsafe(self._give_out, batch, done)
        self._link.drop()
