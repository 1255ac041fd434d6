"""How a turn ended, recorded: the run's move, its journal entry, and the parent it wakes, in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never

from sqlalchemy import bindparam, null, update

from agentflow.clock import MICROSECOND
from agentflow.errors import LeaseLost
from agentflow.requests import Completed, Failed, HandedBack, NeedsAttention, NewEntry, TryAgain, Undone
from agentflow.states import TERMINAL, EntryKind, Transition
from agentflow.store import journal, tables, waits
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement, const

if TYPE_CHECKING:
    from agentflow.requests import Lease, Outcome
    from agentflow.store.transaction import Transaction

run = table_of(tables.RunRow)
FINISH = Statement(
    update(run)
    .where(run.c.id == bindparam("run_id"), run.c.epoch == bindparam("epoch"), run.c.status == const("running"))
    .values(
        status=bindparam("status"),
        worker_id=null(),
        output=bindparam("output"),
        error=bindparam("error"),
        attempt=run.c.attempt + bindparam("more_attempts"),
        available_at=bindparam("available_at"),
        finished_at=bindparam("finished_at"),
    )
)


def finish(tx: Transaction, lease: Lease, outcome: Outcome) -> None:
    """Record the outcome. Raises `LeaseLost`, having recorded nothing."""
    match outcome:
        case Completed(output):
            entry = NewEntry(kind=EntryKind.RUN_COMPLETED, output=output)
            _move(tx, lease, Transition.COMPLETE, entry, output=output)
        case Failed(error):
            _move(tx, lease, Transition.FAIL, NewEntry(kind=EntryKind.RUN_FAILED, error=error), error=error)
        case Undone():
            _move(tx, lease, Transition.ABORT, NewEntry(kind=EntryKind.RUN_CANCELLED))
        case TryAgain(error, delay, retry_key):
            entry = NewEntry(kind=EntryKind.RUN_ATTEMPT_FAILED, error=error, detail=retry_key)
            again_at = tx.now + delay // MICROSECOND
            _move(tx, lease, Transition.REQUEUE, entry, available_at=again_at, more_attempts=1)
        case NeedsAttention(kind, error, detail):
            how = Transition.DIVERGE
            _move(tx, lease, how, NewEntry(kind=kind, error=error, detail=detail), error=error)
        case HandedBack():
            entry = NewEntry(kind=EntryKind.REQUEUED, detail="the worker stopped")
            _move(tx, lease, Transition.REQUEUE, entry, available_at=tx.now)
        case _:
            assert_never(outcome)


def _move(tx: Transaction, lease: Lease, how: Transition, entry: NewEntry, **changes: Any) -> None:
    values: dict[str, Any] = {
        "run_id": lease.run_id,
        "epoch": lease.epoch,
        "status": how.target,
        "output": None,
        "error": None,
        "more_attempts": 0,
        "available_at": None,
        "finished_at": tx.now if how.target in TERMINAL else None,
    }
    if tx.run(FINISH, values | changes) == 0:
        raise LeaseLost(run_id=lease.run_id, epoch=lease.epoch)
    journal.enter(tx, lease.run_id, entry, epoch=lease.epoch)
    if how.target in TERMINAL:
        waits.withdraw(tx, lease.run_id)
        waits.tell_parents(tx, lease.run_id, how.target, changes.get("output"), changes.get("error"))
