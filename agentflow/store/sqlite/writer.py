"""The one writer connection of a process: verbs queued in one tick of the event loop share a transaction and a flush.

The batch runs inline on the loop, where a commit costs less than a hop to a thread would; each verb sits behind a
savepoint, so one that fails takes nothing of its neighbours with it. Only when another process holds the file's lock
is the batch handed to a thread, which waits for it. Results are given out after the commit, never before.
"""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentflow import failpoints
from agentflow.clock import to_micros
from agentflow.errors import AgentflowError, StoreUnavailable, StoreUnusable
from agentflow.store.sqlite.file import BUSY_MS, connect, driver, explain
from agentflow.store.sqlite.transaction import SqliteTransaction

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from sqlite3 import Connection

    from agentflow.clock import Clock

BATCH_LIMIT = 500
INLINE_BUSY_MS = 20


@dataclass(slots=True)
class Call:
    """A verb that waits for its turn, and then its result: what it gave, or the error to raise."""

    verb: Callable[..., Any]
    args: tuple[Any, ...]
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None

    def answer(self) -> None:
        """Give the result to whoever waits for it."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        elif isinstance(self.result, AgentflowError):
            self.future.set_exception(self.result)
        else:
            self.future.set_result(self.result)


class _Busy(Exception):
    """Another process holds the write lock."""


class SqliteWriter:
    """Group-commits verbs on one connection. `committed` hears which runs each transaction touched."""

    def __init__(self, path: Path, clock: Clock, committed: Callable[[set[str], set[str]], None]) -> None:
        self._path = path
        self._clock = clock
        self._committed = committed
        self._connection: Connection | None = connect(path)
        self._busy_ms = 0
        self._waiting: deque[Call] = deque()
        self._scheduled = False
        self._thread: ThreadPoolExecutor | None = None
        self._handed_over: asyncio.Task[None] | None = None
        self._is_closed = False
        self.commits = 0

    def submit(self, verb: Callable[..., Any], args: tuple[Any, ...]) -> asyncio.Future[Any]:
        """The verb's result, once it is committed."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        if self._is_closed:
            future.set_exception(StoreUnavailable(f"the store on {self._path} is closed; nothing was stored"))
            return future
        self._waiting.append(Call(verb, args, future))
        if not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._flush)
        return future

    def _flush(self) -> None:
        self._scheduled = False
        if self._handed_over is not None or not self._waiting:
            return  # the thread's end flushes what has gathered meanwhile
        batch = self._next_batch()
        try:
            done = self._transact(batch, INLINE_BUSY_MS)
        except _Busy:
            self._handed_over = asyncio.get_running_loop().create_task(self._hand_over(batch))
            return
        self._give_out(batch, done)

    def _next_batch(self) -> list[Call]:
        if len(self._waiting) <= BATCH_LIMIT:
            batch = list(self._waiting)
            self._waiting.clear()
            return batch
        self._schedule_again()
        return [self._waiting.popleft() for _ in range(BATCH_LIMIT)]

    def _schedule_again(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._flush)

    async def _hand_over(self, batch: list[Call]) -> None:
        """Wait for the lock in a thread; the event loop goes on meanwhile."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="agentflow-writer")
        loop = asyncio.get_running_loop()
        done: SqliteTransaction | None = None
        try:
            done = await loop.run_in_executor(self._thread, self._transact, batch, BUSY_MS)
        except _Busy:
            locked = explain(self._path, driver.OperationalError("database is locked"))
            self._fail(batch, StoreUnavailable(f"{locked}; nothing was stored"))
        finally:
            self._handed_over = None
        self._give_out(batch, done)
        if self._waiting:
            self._schedule_again()

    def _give_out(self, batch: list[Call], done: SqliteTransaction | None) -> None:
        for call in batch:
            call.answer()
        if done is not None and done.touched:
            self._committed(done.touched, done.moved)

    # -- one transaction

    def _transact(self, batch: list[Call], busy_ms: int) -> SqliteTransaction | None:
        """Run the batch in one transaction; None if it was not committed, and each call has its error.

        Raises `_Busy`, having run nothing, if the lock is not to be had in this time.
        """
        try:
            connection = self._ready(busy_ms)
            connection.execute("BEGIN IMMEDIATE")
        except (driver.Error, StoreUnusable) as error:
            if isinstance(error, driver.Error) and ("locked" in str(error) or "busy" in str(error)):
                raise _Busy from error
            self._fail(batch, self._unavailable(error))
            return None
        tx = SqliteTransaction(connection, to_micros(self._clock.now()))
        try:
            for call in batch:
                self._run(connection, tx, call)
        except driver.Error as error:
            self._fail(batch, self._unavailable(error))
            self._close()
            return None
        try:
            connection.execute("COMMIT")
        except driver.Error as error:
            said = f"{explain(self._path, error)}; whether the last writes were stored is not known"
            self._fail(batch, StoreUnavailable(said, may_be_stored=True))
            self._close()
            return None
        self.commits += 1
        if failpoints.ACTIVE:
            for call in batch:
                failpoints.reach(f"{call.verb.__name__}.after")
        return tx

    def _ready(self, busy_ms: int) -> Connection:
        """The connection, a new one if the last was given up, waiting this long for another process's lock."""
        connection = self._connection
        if connection is None:
            connection = self._connection = connect(self._path)
            self._busy_ms = 0
        if busy_ms != self._busy_ms:
            connection.execute(f"PRAGMA busy_timeout={busy_ms}")
            self._busy_ms = busy_ms
        return connection

    def _run(self, connection: Connection, tx: SqliteTransaction, call: Call) -> None:
        """Run one verb, behind a savepoint if it has several statements.

        Raises the driver's error only when the whole transaction is lost.
        """
        guarded = not getattr(call.verb, "is_single_statement", False)
        if guarded:
            connection.execute("SAVEPOINT verb")
        try:
            if failpoints.ACTIVE:
                failpoints.reach(f"{call.verb.__name__}.before")
            call.result = call.verb(tx, *call.args)
            if failpoints.ACTIVE:
                failpoints.reach(f"{call.verb.__name__}.inside")
        except driver.Error as error:
            if not connection.in_transaction:
                raise
            call.error = self._unavailable(error)
        except BaseException as error:  # noqa: BLE001  it is given to whoever called the verb
            call.error = error
        if guarded:
            if call.error is not None:
                connection.execute("ROLLBACK TO verb")
            connection.execute("RELEASE verb")

    def _unavailable(self, error: Exception) -> StoreUnavailable:
        return StoreUnavailable(f"{explain(self._path, error)}; nothing was stored")

    @staticmethod
    def _fail(batch: list[Call], error: AgentflowError) -> None:
        for call in batch:
            call.result, call.error = None, error

    def _close(self) -> None:
        """After a failed transaction this connection's view of the file is not to be trusted; a new one is."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(driver.Error):
                connection.close()

    def looking(self) -> SqliteTransaction | None:
        """The connection to look something up with, outside a transaction; None while it is not to be had."""
        if self._handed_over is not None or self._connection is None:
            return None
        return SqliteTransaction(self._connection, to_micros(self._clock.now()))

    def foreign_version(self) -> int:
        """A number that changes when anything but this writer commits; 0 while a thread has the connection."""
        if self._handed_over is not None or self._connection is None:
            return 0
        try:
            return int(self._connection.execute("PRAGMA data_version").fetchone()[0])
        except driver.Error:
            return 0

    async def close(self) -> None:
        """Commit what is queued, fold the log into the file and let go of it."""
        while self._waiting or self._handed_over is not None:
            self._flush()
            if self._handed_over is not None:
                await self._handed_over
        if self._thread is not None:
            self._thread.shutdown(wait=True)
        self._is_closed = True
        self._close()
