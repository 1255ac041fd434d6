"""The store on one SQLite file: one writer that group-commits, readers on threads of their own."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from agentflow.clock import to_micros
from agentflow.errors import StoreUnavailable, StoreUnusable
from agentflow.store import maintenance
from agentflow.store.sql import SqlStore
from agentflow.store.sqlite.file import connect, driver, explain
from agentflow.store.sqlite.transaction import SqliteTransaction
from agentflow.store.sqlite.writer import SqliteWriter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from datetime import datetime, timedelta
    from pathlib import Path
    from sqlite3 import Connection

    from agentflow.clock import Clock

READERS = 4
LOOK_EVERY, LOOK_OFTEN = 0.02, 0.002
"""Seconds between looks for another process's commits (one pragma, a few microseconds, no disk), and between them for a
while after one was seen: whoever decides from outside decides again."""
OFTEN_FOR = 500


class SqliteStore(SqlStore):
    """Everything durable in one file. Use it on one event loop; other processes may have the file open too."""

    def __init__(self, path: Path, clock: Clock, lock: Any = None) -> None:
        self.path = path
        self._clock = clock
        self._lock = lock
        self._writer = SqliteWriter(path, clock, self._announce)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="agentflow-reader")
        self._local = threading.local()
        self._connections: list[Connection] = []
        self._watchers: dict[str, list[Callable[[str, bool], None]]] = {}
        self._looking: asyncio.Task[None] | None = None
        self._is_closed = False
        self._renewals = 0

    @property
    def commits(self) -> int:
        """How many transactions this process has committed."""
        return self._writer.commits

    def now(self) -> datetime:
        return self._clock.now()

    def write(self, verb: Any, *args: Any, **kwargs: Any) -> Any:
        assert not kwargs, "verbs take their arguments by position"
        return self._writer.submit(verb, args)

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
            raise StoreUnavailable(explain(self.path, error)) from error

    def _read(self, verb: Any, args: tuple[Any, ...]) -> Any:
        """Run in a reader thread: one short snapshot, so that no reader keeps the log from being folded in."""
        with self._connected("reader", read_only=True) as connection:
            connection.execute("BEGIN")
            try:
                return verb(SqliteTransaction(connection, to_micros(self._clock.now())), *args)
            finally:
                connection.execute("COMMIT")

    def renew(self, worker_id: str, lease_for: timedelta) -> dict[str, int] | None:
        """On the calling thread's own connection; it flushes nothing, since a lease need not outlive the host."""
        with self._connected("heartbeat", full=False) as connection:
            connection.execute("BEGIN IMMEDIATE")
            tx = SqliteTransaction(connection, to_micros(self._clock.now()))
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
        except (driver.Error, UnicodeDecodeError, StoreUnusable) as error:
            if isinstance(error, StoreUnusable) and connection is not None:
                raise  # the verb found something damaged; the connection is as good as before
            if connection is not None:
                setattr(self._local, name, None)
                self._connections.remove(connection)
                with suppress(driver.Error):
                    connection.close()
            said = str(error) if isinstance(error, StoreUnusable) else explain(self.path, error)
            raise StoreUnavailable(said) from error

    # -- following along

    def watch(self, callback: Callable[[str, bool], None], *, run_id: str = "") -> Callable[[], None]:
        watchers = self._watchers.setdefault(run_id, [])
        watchers.append(callback)
        if self._looking is None:
            self._looking = asyncio.get_running_loop().create_task(self._look())

        def stop() -> None:
            with suppress(ValueError):
                watchers.remove(callback)
            if not watchers and self._watchers.get(run_id) is watchers:
                del self._watchers[run_id]

        return stop

    def _announce(self, touched: set[str], moved: set[str]) -> None:
        for run_id in touched:
            heard = self._watchers if not run_id else ("", run_id)
            for callback in [one for name in heard for one in self._watchers.get(name, ())]:
                callback(run_id, run_id in moved)

    async def _look(self) -> None:
        """Notice what other connections commit: the writer's `data_version` changes only then."""
        seen, renewals, often = self._writer.foreign_version(), self._renewals, 0
        while True:
            # Real time, since other programs do not share a test's clock.
            await asyncio.sleep(LOOK_OFTEN if often else LOOK_EVERY)  # noqa: TID251  real time, see above
            version, often = self._writer.foreign_version(), max(0, often - 1)
            if version != seen:
                often = often if renewals != self._renewals else OFTEN_FOR  # our own heartbeat is nobody's decision
                seen, renewals = version, self._renewals
                self._announce({""}, {""})

    async def changes(self) -> AsyncIterator[None]:
        changed = asyncio.Event()
        stop = self.watch(lambda _run_id, _moved: changed.set())
        try:
            while True:
                yield
                await changed.wait()
                changed.clear()
        finally:
            stop()

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
