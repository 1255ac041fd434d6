"""Transactions of the writer's thread: a batch of verbs, tried until the server takes it.

Of the most frequent verbs all that are there are done together (`together`). Others follow each other unguarded; should
one fail, all are run again behind savepoints, so that it takes nothing of its neighbours with it. What the server
refuses for the sake of order (a deadlock, a lock not had in time, a value that another transaction took first) is tried
again, at last one by one.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from agentflow import failpoints
from agentflow.clock import to_micros
from agentflow.errors import StoreUnavailable, StoreUnusable
from agentflow.store.postgres.losses import Lost
from agentflow.store.postgres.patience import ANYTHING
from agentflow.store.postgres.server import driver, explain
from agentflow.store.postgres.together import APPENDS, KINDS
from agentflow.store.postgres.transaction import PostgresTransaction

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agentflow.clock import Clock
    from agentflow.store.calls import Call
    from agentflow.store.outages import Outages
    from agentflow.store.postgres.link import Link
    from agentflow.store.postgres.patience import Patience
    from agentflow.store.postgres.prepared import Prepared

logger = logging.getLogger("agentflow.store")
TRIES: Final = 12


class _Failed(Exception):
    """One of several verbs failed, whose transaction is therefore not to be committed."""


class Transactions:
    """Runs batches on a link, on whichever thread calls; one batch at a time."""

    def __init__(self, link: Link, clock: Clock, patience: Patience, outages: Outages) -> None:
        self._link = link
        self._clock = clock
        self._patience = patience
        self._outages = outages
        self._error: Any = driver().Error

    def run(self, batch: Sequence[Call], lost: Lost | None = None) -> Sequence[PostgresTransaction]:
        """What was committed of the batch, whose first try may be lost already. Raises nothing, ever."""
        done: list[PostgresTransaction] = []
        try:
            done.extend(self._attempt(batch, lost))
        except BaseException as error:
            logger.exception("%d writes failed in a way that nobody foresaw", len(batch))
            self._link.drop()
            said = f"writing failed in a defect of agentflow ({error!r}); whether it is stored is not known"
            for call in batch:
                call.result, call.error = None, StoreUnavailable(said, may_be_stored=True)
        return done

    def _attempt(self, batch: Sequence[Call], lost: Lost | None = None) -> Iterator[PostgresTransaction]:
        """Run the batch until the server takes it, one by one if need be; a call it does not take has its error."""
        guarded = False
        for count in range(TRIES):
            try:
                if count > 0 or lost is None:
                    with self._patience.over(self._link, ANYTHING):
                        done = self._transact(batch, guarded=guarded)
                    yield done
                    return
            except _Failed:
                if len(batch) == 1:  # nothing of it is to be kept
                    return
                guarded = True
                continue
            except Lost as error:
                lost = error
            assert lost is not None
            if not self._may_try_again(lost, batch, count):
                break
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
        said = str(lost.cause) if isinstance(lost.cause, StoreUnusable) else explain(self._link.url, lost.cause)
        self._outages.began("writer", said)
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
            ready = self._link.ready()
            tx = PostgresTransaction(ready, to_micros(self._clock.now()))
            at_commit = not guarded and self._is_one_statement(batch)  # which commits before it answers
            if not at_commit:
                self._link.begin(many=len(batch) > 1)
            left = batch if guarded else self._perform_together(tx, batch)
            self._perform_all(tx, left, guarded=ready if guarded else None)
            if not at_commit:
                at_commit = True
                ready.say(b"COMMIT")
        except (self._error, StoreUnusable) as error:
            broken = self._link.is_broken
            self._link.roll_back()
            raise Lost(error, at_commit=at_commit, broken=broken) from error
        except _Failed:
            self._link.roll_back()
            raise
        self._outages.ended("writer")
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

    def _perform_all(self, tx: PostgresTransaction, calls: Sequence[Call], *, guarded: Prepared | None) -> None:
        for call in calls:
            if guarded is not None:
                guarded.say(b"SAVEPOINT verb")
            self._perform(tx, call)
            if guarded is not None:
                guarded.say(b"RELEASE SAVEPOINT verb" if call.error is None else b"ROLLBACK TO SAVEPOINT verb")
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
