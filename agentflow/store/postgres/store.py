"""The store on a PostgreSQL server: one writer that group-commits, readers on threads of their own."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from agentflow.clock import to_micros
from agentflow.errors import StoreUnavailable, StoreUnusable
from agentflow.store import maintenance, reads
from agentflow.store.postgres.clock import ASK, ServerClock
from agentflow.store.postgres.ears import Ears
from agentflow.store.postgres.lookout import Lookout
from agentflow.store.postgres.losses import is_cut
from agentflow.store.postgres.patience import ANYTHING, LEASE
from agentflow.store.postgres.prepared import Prepared
from agentflow.store.postgres.server import begin, connect, driver, explain, shown
from agentflow.store.postgres.transaction import PostgresTransaction
from agentflow.store.postgres.writer import PostgresWriter
from agentflow.store.sql import SqlStore
from agentflow.store.transaction import is_single_statement
from agentflow.store.watching import Watchers, bursts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from datetime import datetime, timedelta

    from psycopg import Connection

    from agentflow.clock import Clock

READERS = 4
SNAPSHOT = "ISOLATION LEVEL REPEATABLE READ READ ONLY"
LAZILY = "SET LOCAL synchronous_commit = off"
"""A lease need not outlive the server."""


@cache
def _look() -> str:
    """All that a look asks for, in one journey."""
    return f"SELECT ({ASK}), ({reads.HEAD.postgres}), ({reads.NEWEST.postgres})"


class PostgresStore(SqlStore):
    """Everything durable on one server, shared by any number of processes. Use it on one event loop."""

    def __init__(self, url: str, clock: Clock) -> None:
        self.url = url
        self.clock = clock
        self._error: Any = driver().Error
        self._watchers = Watchers()
        self._writer = PostgresWriter(url, clock, self._committed)
        self._ears = Ears(url, self._hinted)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="agentflow-reader")
        self._local = threading.local()
        self._connections: list[Connection[Any]] = []
        self._lookout: Lookout | None = None
        self._is_closed = False

    @property
    def commits(self) -> int:
        """How many transactions this process has committed."""
        return self._writer.commits

    def now(self) -> datetime:
        return self.clock.now()

    def write(self, verb: Any, *args: Any, **kwargs: Any) -> Any:
        assert not kwargs, "verbs take their arguments by position"
        return self._writer.submit(verb, args)

    async def read(self, verb: Any, *args: Any, **kwargs: Any) -> Any:
        return await self._on_a_reader(self._read, verb, args, kwargs)

    async def glance(self, verb: Any, *args: Any, **kwargs: Any) -> Any:
        return await self._on_a_reader(self._glance, verb, args, kwargs)

    async def _on_a_reader(self, how: Any, verb: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        assert not kwargs, "verbs take their arguments by position"
        if self._is_closed:
            raise StoreUnavailable(f"the store on {shown(self.url)} is closed")
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read_through, how, verb, args)

    def _read_through(self, how: Any, verb: Any, args: tuple[Any, ...]) -> Any:
        """Read; once more where all that failed is a connection of before, say, a restart of the server."""
        was_connected = getattr(self._local, "reader", None) is not None
        try:
            return how(verb, args)
        except StoreUnavailable as error:
            if not was_connected or not is_cut(error.__cause__):
                raise
            return how(verb, args)

    def _read(self, verb: Any, args: tuple[Any, ...]) -> Any:
        """In a reader thread, on one snapshot, which a single statement has by itself."""
        if is_single_statement(verb):
            with suppress(StoreUnusable):  # a large payload is read by a second, and may have been pruned before it
                return self._glance(verb, args)
        with self._connected("reader") as reader:
            begin(reader.connection, SNAPSHOT)
            try:
                return verb(PostgresTransaction(reader, to_micros(self.clock.now())), *args)
            finally:
                reader.connection.rollback()

    def _glance(self, verb: Any, args: tuple[Any, ...]) -> Any:
        with self._connected("reader") as reader:
            return verb(PostgresTransaction(reader, to_micros(self.clock.now())), *args)

    def renew(self, worker_id: str, lease_for: timedelta) -> dict[str, int] | None:
        """On the calling thread's own connection, kept for it: what else the process does never delays a lease."""
        with self._connected("heartbeat") as heart:
            connection = heart.connection
            self._ask_the_time(connection)
            begin(connection)
            try:
                connection.execute(LAZILY)
                tx = PostgresTransaction(heart, to_micros(self.clock.now()))
                held = maintenance.renew(tx, worker_id, lease_for)
                connection.commit()
            finally:
                connection.rollback()
            return held

    @contextmanager
    def _connected(self, name: str) -> Iterator[Prepared]:
        """This thread's connection of that name; a new one after any failure. Raises `StoreUnavailable`."""
        known: Prepared | None = getattr(self._local, name, None)
        try:
            if known is None:
                known = Prepared(connect(self.url))
                setattr(self._local, name, known)
                self._connections.append(known.connection)
            with self._writer.patience.over(known.connection, LEASE if name == "heartbeat" else ANYTHING):
                yield known
            self._writer.outages.ended(name)
        except (self._error, StoreUnusable) as error:
            if isinstance(error, StoreUnusable) and known is not None:
                raise  # the verb found something damaged; the connection is as good as before
            if known is not None:
                setattr(self._local, name, None)
                self._connections.remove(known.connection)
                with suppress(self._error):
                    known.connection.close()
            said = str(error) if isinstance(error, StoreUnusable) else explain(self.url, error)
            self._writer.outages.began(name, said)
            raise StoreUnavailable(said) from error

    # -- following along

    def watch(self, callback: Callable[[str, bool], None], *, run_id: str = "") -> Callable[[], None]:
        if self._lookout is None:
            self._lookout = Lookout(
                lambda: self._read_through(self._glance, self._newest, ()),
                are_heard=lambda: self._ears.are_open,
                commits=lambda: self.commits,
                announce=self._announce_any,
            )
        return self._watchers.add(callback, run_id)

    def _committed(self, touched: set[str], moved: set[str]) -> None:
        self._watchers.announce(touched, moved)
        self._ears.hint(soon=bool(moved))

    def _hinted(self) -> None:
        if self._lookout is not None:
            self._lookout.heard()

    def _announce_any(self) -> None:
        self._watchers.announce({""}, {""})

    def _newest(self, tx: PostgresTransaction) -> tuple[int, int]:
        """The newest settled entry of the journal, and then the newest; and while there, what time it is."""
        sent = monotonic_ns() // 1000
        told, *ends = tx.fetch(_look(), reads.long_ago(tx))[0]
        if isinstance(self.clock, ServerClock):
            self.clock.hear(told, sent=sent)
        settled, newest = (entry or 0 for entry in ends)
        return settled, newest

    def _ask_the_time(self, connection: Connection[Any]) -> None:
        if isinstance(self.clock, ServerClock):
            self.clock.ask(connection)

    def changes(self) -> AsyncIterator[None]:
        return bursts(self.watch)

    async def close(self) -> None:
        self._is_closed = True
        if self._lookout is not None:
            await self._lookout.close()
        self._readers.shutdown(wait=True)
        await self._writer.close()
        self._writer.patience.close()
        await self._ears.close()
        for connection in self._connections:
            with suppress(self._error):
                connection.close()
