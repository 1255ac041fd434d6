"""The store on one SQLite file: one writer that group-commits, readers on threads of their own."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from agentflow.clock import to_micros
from agentflow.errors import StoreUnavailable, StoreUnusable
from agentflow.store import journal, maintenance
from agentflow.store.spending import entries
from agentflow.store.sql import SqlStore
from agentflow.store.sqlite.file import connect, driver, explain, is_busy
from agentflow.store.sqlite.looking import Looking
from agentflow.store.sqlite.transaction import SqliteTransaction
from agentflow.store.sqlite.writer import SqliteWriter
from agentflow.store.watching import Watchers, bursts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from datetime import datetime, timedelta
    from pathlib import Path
    from sqlite3 import Connection

    from agentflow.clock import Clock
    from agentflow.requests import Lease, NewEntry

READERS = 4


class SqliteStore(SqlStore):
    """Everything durable in one file. Use it on one event loop; other processes may have the file open too."""

    def __init__(self, path: Path, clock: Clock, lock: Any = None) -> None:
        self.path = path
        self.clock = clock
        self._lock = lock
        self._watchers = Watchers()
        self._writer = SqliteWriter(path, clock, self._watchers.announce)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="agentflow-reader")
        self._local = threading.local()
        self._connections: list[Connection] = []
        self._looking: asyncio.Task[None] | None = None
        self._is_closed = False
        self._renewals = 0

    @property
    def commits(self) -> int:
        """How many transactions this process has committed."""
        return self._writer.commits

    def now(self) -> datetime:
        return self.clock.now()

    def write(self, verb: Any, *args: Any, **kwargs: Any) -> Any:
        assert not kwargs, "verbs take their arguments by position"
        return self._writer.submit(verb, args)

    async def append(self, lease: Lease, entry: NewEntry) -> None:
        """What a task waits for at every step: where no other task writes, the loop is not gone through for it."""
        if not entries.is_plain(entry):
            await self._writer.submit(entries.append, (lease, entry))
        elif not self._writer.at_once(journal.append, (lease, entry)):
            await self._writer.submit(journal.append, (lease, entry))

    async def read(self, verb: Any, *args: Any, **kwargs: Any) -> Any:
        assert not kwargs, "verbs take their arguments by position"
        if self._is_closed:
            raise StoreUnavailable(f"the store on {self.path} is closed")
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, verb, args)

    async def glance(self, verb: Any, *args: Any, **kwargs: Any) -> Any:
        looking = self._writer.looking()
        if looking is None:
            return await self.read(verb, *args, **kwargs)
        try:
            return verb(looking, *args)
        except driver.Error as error:
            if is_busy(error):  # others put the file in order; a reader waits for them
                return await self.read(verb, *args, **kwargs)
            raise StoreUnavailable(explain(self.path, error)) from error

    def _read(self, verb: Any, args: tuple[Any, ...]) -> Any:
        """Run in a reader thread: one short snapshot, so that no reader keeps the log from being folded in."""
        with self._connected("reader", read_only=True) as connection:
            connection.execute("BEGIN")
            try:
                return verb(SqliteTransaction(connection, to_micros(self.clock.now())), *args)
            finally:
                connection.execute("COMMIT")

    def renew(self, worker_id: str, lease_for: timedelta) -> dict[str, int] | None:
        """On the calling thread's own connection; it flushes nothing, since a lease need not outlive the host."""
        with self._connected("heartbeat", full=False) as connection:
            connection.execute("BEGIN IMMEDIATE")
            tx = SqliteTransaction(connection, to_micros(self.clock.now()))
            held = maintenance.renew(tx, worker_id, lease_for)
            connection.execute("COMMIT")
            self._renewals += 1
            return held

    @contextmanager
    def _connected(self, name: str, **options: Any) -> Iterator[Connection]:
        """This thread's connection of that name; a new one after any failure. Raises `StoreUnavailable`."""
        connection: Connection | None = getattr(self._local, name, None)
        try:
            if connection is None:
                connection = connect(self.path, **options)
                setattr(self._local, name, connection)
                self._connections.append(connection)
            yield connection
            self._writer.outages.ended(name)
        except (driver.Error, UnicodeDecodeError, StoreUnusable) as error:
            if isinstance(error, StoreUnusable) and connection is not None:
                raise  # the verb found something damaged; the connection is as good as before
            if connection is not None:
                setattr(self._local, name, None)
                self._connections.remove(connection)
                with suppress(driver.Error):
                    connection.close()
            said = str(error) if isinstance(error, StoreUnusable) else explain(self.path, error)
            self._writer.outages.began(name, said)
            raise StoreUnavailable(said) from error

    # -- following along

    def watch(self, callback: Callable[[str, bool], None], *, run_id: str = "") -> Callable[[], None]:
        if self._looking is None:
            looking = Looking(self.path, self._writer, lambda: self._renewals, self._found)
            self._looking = asyncio.get_running_loop().create_task(looking.go_on())
        return self._watchers.add(callback, run_id)

    def _found(self) -> None:
        """Another program has committed something; there is no telling what."""
        self._watchers.announce({""}, {""})

    def changes(self) -> AsyncIterator[None]:
        return bursts(self.watch)

    async def close(self) -> None:
        self._is_closed = True
        if self._looking is not None:
            self._looking.cancel()
            with suppress(asyncio.CancelledError):
                await self._looking
        self._readers.shutdown(wait=True)
        for connection in self._connections:
            with suppress(driver.Error):
                connection.close()
        await self._writer.close()
        if self._lock is not None:
            self._lock.close()
