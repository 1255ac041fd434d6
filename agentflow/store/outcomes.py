"""How a turn ended, recorded: the run's move, its journal entry, and the parent it wakes, in one transaction."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, assert_never

from sqlalchemy import and_, bindparam, case, null, update

from agentflow.clock import MICROSECOND
from agentflow.errors import LeaseLost
from agentflow.requests import Completed, Failed, HandedBack, NeedsAttention, NewEntry, TryAgain, Undone
from agentflow.states import TERMINAL, EntryKind, RunStatus, Transition
from agentflow.store import journal, locks, tables
from agentflow.store.rows import table_of
from agentflow.store.runs import get, held
from agentflow.store.statements import Statement, const
from agentflow.store.steering import control
from agentflow.store.steering.ending import Ending, undo_first
from agentflow.store.waiting import waits

if TYPE_CHECKING:
    from agentflow.requests import Lease, Outcome
    from agentflow.store.transaction import Transaction

run = table_of(tables.RunRow)
PAUSED = const(RunStatus.PAUSED.value)
FINISH = Statement(
    update(run)
    .where(run.c.id == bindparam("run_id"), run.c.epoch == bindparam("epoch"), run.c.status == const("running"))
    .values(
        # Somebody may have asked, while the turn went on, that the run be paused after it.
        status=case(
            (and_(run.c.pause.is_not(None), bindparam("status") == const("queued")), PAUSED),
            else_=bindparam("status"),
        ),
        worker_id=null(),
        output=bindparam("output"),
        error=bindparam("error"),
        attempt=run.c.attempt + bindparam("more_attempts"),
        available_at=bindparam("available_at"),
        finished_at=bindparam("finished_at"),
        pause=case((bindparam("status") == const("queued"), run.c.pause), else_=null()),
    )
)


def finish(tx: Transaction, lease: Lease, outcome: Outcome) -> None:
    """Record the outcome. Raises `LeaseLost`, having recorded nothing."""
    match outcome:
        case Completed(output):
            entry = NewEntry(kind=EntryKind.RUN_COMPLETED, output=output)
            _move(tx, lease, Transition.COMPLETE, entry, output=output)
        case Failed(error, retry_key):
            _fail(tx, lease, error, retry_key)
        case Undone(said):
            _end_undone(tx, lease, said)
        case TryAgain(error, delay, retry_key):
            entry = NewEntry(kind=EntryKind.RUN_ATTEMPT_FAILED, error=error, detail=retry_key)
            again_at = tx.now + delay // MICROSECOND
            _move(tx, lease, Transition.REQUEUE, entry, available_at=again_at, more_attempts=1)
        case NeedsAttention(kind, error, detail):
            how = Transition.DIVERGE
            _move(tx, lease, how, NewEntry(kind=kind, error=error, detail=detail), error=error)
        case HandedBack():
            held(tx, lease)
            is_to_pause = get(tx, lease.run_id).pause is not None
            why = "it is to be paused" if is_to_pause else "the worker stopped"
            entry = NewEntry(kind=EntryKind.REQUEUED, detail=why)
            _move(tx, lease, Transition.REQUEUE, entry, available_at=tx.now)
        case _:
            assert_never(outcome)


def _fail(tx: Transaction, lease: Lease, error: str, retry_key: str | None) -> None:
    """The run has failed for good; where it has steps to undo, it fails once they are undone."""
    locks.parents_of(tx, lease.run_id)
    held(tx, lease)
    ending = Ending(status=RunStatus.FAILED, said="it failed", error=error)
    if not undo_first(tx, lease.run_id, lease.epoch, ending):
        detail = None if retry_key is None else json.dumps({"retry": retry_key}, ensure_ascii=False)
        entry = NewEntry(kind=EntryKind.RUN_FAILED, error=error, detail=detail)
        _move(tx, lease, Transition.FAIL, entry, error=error)
    control.close_children(tx, lease.run_id)


def _end_undone(tx: Transaction, lease: Lease, said: str) -> None:
    """The run's steps have been undone: let it end as it was to."""
    locks.parents_of(tx, lease.run_id)
    held(tx, lease)
    ending = Ending.of(get(tx, lease.run_id))
    is_failed = ending.status is RunStatus.FAILED
    kind = EntryKind.RUN_FAILED if is_failed else EntryKind.RUN_CANCELLED
    entry = NewEntry(kind=kind, error=ending.error, detail="; ".join(filter(None, (ending.said, said))))
    _move(tx, lease, Transition.FAIL if is_failed else Transition.ABORT, entry, error=ending.error)


def _move(tx: Transaction, lease: Lease, how: Transition, entry: NewEntry, **changes: Any) -> None:
    values: dict[str, Any] = {
        "run_id": lease.run_id,
        "epoch": lease.epoch,
        "status": how.target.value,
        "output": None,
        "error": None,
        "more_attempts": 0,
        "available_at": None,
        "finished_at": tx.now if how.target in TERMINAL else None,
    }
    if how.target in TERMINAL:
        locks.parents_of(tx, lease.run_id)
    if tx.run(FINISH, values | changes) == 0:
        raise LeaseLost(run_id=lease.run_id, epoch=lease.epoch)
    journal.enter(tx, lease.run_id, entry, epoch=lease.epoch)
    if how.target in TERMINAL:
        waits.end(tx, lease.run_id, how.target, changes.get("output"), changes.get("error"))
