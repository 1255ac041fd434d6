"""The one writing connection of a process: verbs that wait while a transaction is under way share the next one.

It runs on a thread of its own, since every statement is a journey to the server. Of the most frequent verbs all that
wait are done together (`together`). Others follow each other unguarded; should one fail, all are run again behind
savepoints, so that it takes nothing of its neighbours with it. What the server refuses for the sake of order (a
deadlock, a lock not had in time, a value that another transaction took first) is tried again, at last one by one.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from agentflow import failpoints
from agentflow.clock import to_micros
from agentflow.errors import StoreUnavailable, StoreUnusable
from agentflow.store.calls import Call
from agentflow.store.outages import Outages
from agentflow.store.postgres.link import Link
from agentflow.store.postgres.losses import Lost
from agentflow.store.postgres.patience import ANYTHING, Patience
from agentflow.store.postgres.server import driver, explain
from agentflow.store.postgres.together import APPENDS, KINDS
from agentflow.store.postgres.transaction import PostgresTransaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from agentflow.clock import Clock

logger = logging.getLogger("agentflow.store")
BATCH_LIMIT: Final = 500
TRIES: Final = 12


class _Failed(Exception):
    """One of several verbs failed, whose transaction is therefore not to be committed."""


class PostgresWriter:
    """Group-commits verbs on one connection. `committed` hears, on the event loop, which runs were touched."""

    def __init__(self, url: str, clock: Clock, committed: Callable[[set[str], set[str]], None]) -> None:
        self._url = url
        self._clock = clock
        self._committed = committed
        self._error: Any = driver().Error
        self._link = Link(url)
        self._waiting: SimpleQueue[Call | None] = SimpleQueue()
        self._is_closed = False
        self._loop = asyncio.get_running_loop()
        self.commits = 0
        self.outages = Outages()
        self.patience = Patience()
        self._thread = threading.Thread(target=self._run, name="agentflow-writer", daemon=True)
        self._thread.start()

    def submit(self, verb: Callable[..., Any], args: tuple[Any, ...]) -> asyncio.Future[Any]:
        """The verb's result, once it is committed."""
        future: asyncio.Future[Any] = self._loop.create_future()
        if self._is_closed:
            future.set_exception(StoreUnavailable("the store is closed; nothing was stored"))
        else:
            self._waiting.put(Call(verb, args, future))
        return future

    async def close(self) -> None:
        """Flush what waits and let go of the connection."""
        self._is_closed = True
        self._waiting.put(None)
        await asyncio.to_thread(self._thread.join)

    # -- the thread

    def _run(self) -> None:
        while batch := self._next_batch():
            done = self._attempted(batch)
            with suppress(RuntimeError):  # the event loop has ended, and nobody waits any more
                self._loop.call_soon_threadsafe(self._give_out, batch, done)
        self._link.drop()

    def _next_batch(self) -> list[Call]:
        """What waits, as soon as anything does; nothing once the store is closed and all is flushed."""
        batch: list[Call] = []
        call = self._waiting.get()
        with suppress(Empty):
            while call is not None:
                batch.append(call)
                if len(batch) == BATCH_LIMIT:
                    return batch
                call = self._waiting.get_nowait()
            self._waiting.put(None)  # the last word, for the next time too
        return batch

    def _give_out(self, batch: Sequence[Call], done: Sequence[PostgresTransaction]) -> None:
        for call in batch:
            call.answer()
        for tx in done:
            if tx.touched:
                self._committed(tx.touched, tx.moved)

    def _attempted(self, batch: Sequence[Call]) -> Sequence[PostgresTransaction]:
        """What was committed of the batch. Nothing ends the thread: a worker without it holds its runs for ever."""
        done: list[PostgresTransaction] = []
        try:
            done.extend(self._attempt(batch))
        except BaseException as error:
            logger.exception("%d writes failed in a way that nobody foresaw", len(batch))
            self._link.drop()
            said = f"writing failed in a defect of agentflow ({error!r}); whether it is stored is not known"
            for call in batch:
                call.result, call.error = None, StoreUnavailable(said, may_be_stored=True)
        return done

    def _attempt(self, batch: Sequence[Call]) -> Iterator[PostgresTransaction]:
        """Run the batch until the server takes it, one by one if need be; a call it does not take has its error."""
        lost: Lost | None = None
        guarded = False
        for count in range(TRIES):
            try:
                with self.patience.over(self._link, ANYTHING):
                    done = self._transact(batch, guarded=guarded)
                yield done
            except _Failed:
                if len(batch) == 1:  # nothing of it is to be kept
                    return
                guarded = True
            except Lost as error:
                lost = error
                if not self._may_try_again(lost, batch, count):
                    break
            else:
                return
        assert lost is not None
        if len(batch) > 1 and (lost.is_refusal or lost.is_ordering):
            for call in batch:
                yield from self._attempt([call])
        else:
            self._fail(batch, lost)

    def _may_try_again(self, lost: Lost, batch: Sequence[Call], count: int) -> bool:
        if lost.is_stale:
            self._link.stop_preparing()
            return True
        if lost.is_cut:
            return count < 1
        if not lost.is_ordering or (len(batch) > 1 and count >= 1):
            return False
        self._link.rest(count)
        return True

    def _fail(self, batch: Sequence[Call], lost: Lost) -> None:
        said = str(lost.cause) if isinstance(lost.cause, StoreUnusable) else explain(self._url, lost.cause)
        self.outages.began("writer", said)
        what = "nothing was stored" if lost.is_known else "whether the last writes were stored is not known"
        for call in batch:
            call.result, call.error = None, StoreUnavailable(f"{said}; {what}", may_be_stored=not lost.is_known)

    # -- one transaction

    def _transact(self, batch: Sequence[Call], *, guarded: bool) -> PostgresTransaction:
        """Run the batch in one transaction. Raises `Lost`, or `_Failed` if a verb of an unguarded batch did."""
        for call in batch:
            call.result = call.error = None
        at_commit = False
        try:
            connection = self._link.connection()
            tx = PostgresTransaction(connection, to_micros(self._clock.now()))
            at_commit = not guarded and self._is_one_statement(batch)  # which commits before it answers
            if not at_commit:
                self._link.begin(many=len(batch) > 1)
            left = batch if guarded else self._perform_together(tx, batch)
            self._perform_all(tx, left, guarded=guarded)
            if not at_commit:
                at_commit = True
                connection.execute("COMMIT")
        except (self._error, StoreUnusable) as error:
            broken = self._link.is_broken
            self._link.roll_back()
            raise Lost(error, at_commit=at_commit, broken=broken) from error
        except _Failed:
            self._link.roll_back()
            raise
        self.commits += 1
        self.outages.ended("writer")
        _reach(batch, "after")
        return tx

    def _is_one_statement(self, batch: Sequence[Call]) -> bool:
        """Whether the server may take it as a transaction of its own; a fail-point "inside" lies before a commit."""
        return not (self._link.is_pooled or failpoints.ACTIVE) and all(APPENDS.takes(call) for call in batch)

    def _perform_together(self, tx: PostgresTransaction, batch: Sequence[Call]) -> Sequence[Call]:
        """Do what can be done together; the calls that are left. Raises the driver's errors."""
        left = list(batch)
        for kind in KINDS:
            calls = [call for call in left if kind.takes(call)]
            if calls and len(calls) >= kind.fewest:
                _reach(calls, "before")
                undone = {id(call) for call in kind.run(tx, calls)}
                done = {id(call) for call in calls} - undone
                _reach([call for call in calls if id(call) in done], "inside")
                left = [call for call in left if id(call) not in done]
        return left

    def _perform_all(self, tx: PostgresTransaction, calls: Sequence[Call], *, guarded: bool) -> None:
        for call in calls:
            if guarded:
                tx.connection.execute("SAVEPOINT verb")
            self._perform(tx, call)
            if guarded:
                tx.connection.execute("RELEASE SAVEPOINT verb" if call.error is None else "ROLLBACK TO SAVEPOINT verb")
            elif call.error is not None:
                raise _Failed

    def _perform(self, tx: PostgresTransaction, call: Call) -> None:
        """Run one verb; its refusal is its caller's alone. Raises the driver's errors: the server's are everybody's."""
        try:
            _reach([call], "before")
            call.result = call.verb(tx, *call.args)
            _reach([call], "inside")
        except self._error:
            raise
        except Exception as error:  # noqa: BLE001  given to whoever waits for it
            call.error = error


def _reach(calls: Sequence[Call], where: str) -> None:
    if failpoints.ACTIVE:
        for call in calls:
            failpoints.reach(f"{call.verb.__name__}.{where}")
