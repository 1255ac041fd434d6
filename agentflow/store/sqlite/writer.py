"""The one writer connection of a process: verbs queued in one tick of the event loop share a transaction and a flush.

The batch runs inline on the loop, where a commit costs less than a hop to a thread would. Should a verb of it fail, it
is run again with each behind a savepoint, so that the one that fails takes nothing of its neighbours with it. While
another process holds the file's lock, the batch takes in what is queued meanwhile and the lock is asked for again and
again (`patience.py`); only when that takes long is it handed to a thread. Results are given out after the commit, never
before.

A task that writes again and again while no other does has nobody to share a flush with: `at_once` commits for it where
it stands, for a millisecond at most before the loop has its turn.
"""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING, Any

from agentflow import failpoints
from agentflow.clock import to_micros
from agentflow.errors import StoreUnavailable, StoreUnusable
from agentflow.store.calls import Call
from agentflow.store.outages import Outages
from agentflow.store.sqlite.file import BUSY_MS, connect, driver, explain, is_busy
from agentflow.store.sqlite.patience import Busy, Patience
from agentflow.store.sqlite.running import run_all
from agentflow.store.sqlite.transaction import SqliteTransaction
from agentflow.store.transaction import is_single_statement

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from sqlite3 import Connection

    from agentflow.clock import Clock
    from agentflow.errors import AgentflowError

BATCH_LIMIT = 500
INLINE_BUSY_MS = 20
"""For how long the event loop itself asks for the lock, between what else it has to do."""
NOT_WAITING = "PRAGMA busy_timeout=0"
IN_A_ROW = 0.001
"""Seconds for which a task that writes alone may keep the event loop to itself."""


class SqliteWriter:
    """Group-commits verbs on one connection. `committed` hears which runs each transaction touched."""

    def __init__(self, path: Path, clock: Clock, committed: Callable[[set[str], set[str]], None]) -> None:
        self._path = path
        self._clock = clock
        self._committed = committed
        self._loop = asyncio.get_running_loop()
        self._connection: Connection | None = connect(path)
        self._connection.execute(NOT_WAITING)
        self._patience: Patience | None = None
        self._waiting: deque[Call] = deque()
        self._scheduled = False
        self._thread: ThreadPoolExecutor | None = None
        self._handed_over: asyncio.Task[None] | None = None
        self._is_closed = False
        self._alone: asyncio.Task[Any] | None = None
        self._alone_until = 0.0
        self._is_wary = False
        self.commits = 0
        self.outages = Outages()

    def submit(self, verb: Callable[..., Any], args: tuple[Any, ...]) -> asyncio.Future[Any]:
        """The verb's result, once it is committed."""
        future: asyncio.Future[Any] = self._loop.create_future()
        if self._is_closed:
            future.set_exception(StoreUnavailable(f"the store on {self._path} is closed; nothing was stored"))
            return future
        self._waiting.append(Call(verb, args, future))
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush)
        return future

    def at_once(self, verb: Callable[..., Any], args: tuple[Any, ...]) -> bool:
        """Whether the verb, of one statement, has been committed; if not, it is to be submitted, to wait for others.

        Raises what the verb raises, and `StoreUnavailable`.
        """
        task = asyncio.current_task(self._loop)
        if task is not self._alone or self._waiting or perf_counter() > self._alone_until or failpoints.ACTIVE:
            self._alone = task
            return False
        call = Call(verb, args, None)
        try:
            done = self._state(call)
        except Busy:
            return False
        if call.error is not None:
            raise call.error
        if done is not None:
            self._committed(done.touched, done.moved)
        return True

    def _flush(self) -> None:
        self._scheduled = False
        if self._handed_over is not None or not self._waiting:
            return  # the thread's end flushes what has gathered meanwhile
        batch = self._next_batch()
        try:
            done = self._transact(batch)
        except Busy:
            self._alone_until = 0.0
            self._wait(batch)
            return
        self._patience = None
        self._give_out(batch, done)
        self._alone_until = perf_counter() + IN_A_ROW

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
            self._loop.call_soon(self._flush)

    def _wait(self, batch: list[Call]) -> None:
        """Another process holds the lock: ask again in a moment, after what the loop has to do."""
        self._patience = self._patience or Patience()
        if self._patience.rest(INLINE_BUSY_MS):
            self._waiting.extendleft(reversed(batch))
            self._schedule_again()
        else:
            self._patience = None
            self._handed_over = self._loop.create_task(self._hand_over(batch))

    async def _hand_over(self, batch: list[Call]) -> None:
        """Wait for the lock in a thread; the event loop goes on meanwhile."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="agentflow-writer")
        done: SqliteTransaction | None = None
        try:
            done = await self._loop.run_in_executor(self._thread, self._transact_in_time, batch)
        except Busy:
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

    def _transact_in_time(self, batch: list[Call]) -> SqliteTransaction | None:
        """The same as `_transact`, once the lock is to be had; raises `Busy` if that takes too long."""
        patience = Patience()
        while True:
            try:
                return self._transact(batch)
            except Busy:
                if not patience.rest(BUSY_MS):
                    raise

    def _transact(self, batch: list[Call]) -> SqliteTransaction | None:
        """Run the batch in one transaction; None if it was not committed, and each call has its error.

        Raises `Busy`, having run nothing, if another process holds the lock.
        """
        only = batch[0] if len(batch) == 1 else None
        if only is not None and is_single_statement(only.verb) and not failpoints.ACTIVE:
            return self._state(only)
        try:
            connection = self._ready()
            connection.execute("BEGIN IMMEDIATE")
        except (driver.Error, StoreUnusable) as error:
            if is_busy(error):
                raise Busy from error
            self._fail(batch, self._unavailable(error))
            return None
        tx = SqliteTransaction(connection, to_micros(self._clock.now()))
        is_guarded = only is None and (self._is_wary or failpoints.ACTIVE)
        try:
            has_failed = run_all(connection, tx, batch, self._unavailable, is_guarded=is_guarded)
        except driver.Error as error:
            has_failed = True
            self._fail(batch, self._unavailable(error))
            if "full" not in str(error):
                self._close()
            if is_guarded:
                return None
        self._is_wary = only is None and has_failed
        if has_failed and not is_guarded:
            return None if only is not None else self._transact_again(batch)
        return tx if self._commit(connection, batch) else None

    def _transact_again(self, batch: list[Call]) -> SqliteTransaction | None:
        """Run a batch anew of which a verb has failed, each now behind a savepoint."""
        for call in batch:
            call.result = call.error = None
        return self._transact(batch)

    def _commit(self, connection: Connection, batch: list[Call]) -> bool:
        try:
            connection.execute("COMMIT")
        except driver.Error as error:
            self._unsure(batch, error)
            return False
        self.commits += 1
        self.outages.ended("writer")
        if failpoints.ACTIVE:
            for call in batch:
                failpoints.reach(f"{call.verb.__name__}.after")
        return True

    def _state(self, call: Call) -> SqliteTransaction | None:
        """Run a verb of a single statement with nothing around it: the statement is the transaction."""
        try:
            tx = SqliteTransaction(self._ready(), to_micros(self._clock.now()))
            call.result = call.verb(tx, *call.args)
        except (driver.IntegrityError, StoreUnusable) as error:
            call.error = self._unavailable(error)
            return None
        except driver.Error as error:
            if is_busy(error):
                raise Busy from error
            self._unsure([call], error)
            return None
        except BaseException as error:  # noqa: BLE001  it is given to whoever called the verb
            call.error = error
            return None
        self.commits += 1
        self.outages.ended("writer")
        return tx

    def _ready(self) -> Connection:
        """The connection, a new one if the last was given up; it waits for nobody's lock."""
        if self._connection is None:
            self._connection = connect(self._path)
            self._connection.execute(NOT_WAITING)
        return self._connection

    def _unsure(self, batch: list[Call], error: Exception) -> None:
        """A commit failed: what became of it shows when the file is read anew."""
        said = f"{explain(self._path, error)}; whether the last writes were stored is not known"
        self._fail(batch, StoreUnavailable(said, may_be_stored=True))
        self._close()

    def _unavailable(self, error: Exception) -> StoreUnavailable:
        return StoreUnavailable(f"{explain(self._path, error)}; nothing was stored")

    def _fail(self, batch: list[Call], error: AgentflowError) -> None:
        self.outages.began("writer", str(error))
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
        self._alone_until = 0.0
        self._close()
