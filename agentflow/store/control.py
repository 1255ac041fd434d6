"""What people do to runs: cancel them, resume them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, null, select, update

from agentflow.errors import IllegalTransition
from agentflow.requests import NewEntry
from agentflow.states import OPEN, EntryKind, RunStatus, Transition
from agentflow.store import journal, tables, waits
from agentflow.store.rows import table_of
from agentflow.store.runs import get
from agentflow.store.statements import Statement, const, consts

if TYPE_CHECKING:
    from agentflow.records import Run
    from agentflow.store.transaction import Transaction

run = table_of(tables.RunRow)


CANCEL = Statement(
    update(run)
    .where(run.c.id == bindparam("run_id"), run.c.status.in_(consts(Transition.CANCEL.sources)))
    .values(
        status=const(Transition.CANCEL.target.value),
        worker_id=null(),
        error=bindparam("error"),
        finished_at=bindparam("now"),
    )
)
RESUME = Statement(
    update(run)
    .where(run.c.id == bindparam("run_id"), run.c.status.in_(consts(Transition.RESUME.sources)))
    .values(
        status=const(Transition.RESUME.target.value), error=null(), recoveries=const(0), available_at=bindparam("now")
    )
)
OPEN_CHILDREN = Statement(
    select(run.c.id).where(run.c.parent_id == bindparam("run_id"), run.c.status.in_(consts(OPEN)))
)


def cancel(tx: Transaction, run_id: str, by: str, reason: str) -> Run:
    """Cancel the run, withdraw its approvals, cancel its open children."""
    before = get(tx, run_id)
    said = f"cancelled by {by}" + (f": {reason}" if reason else "")
    if tx.run(CANCEL, {"run_id": run_id, "error": None, "now": tx.now}) == 0:
        raise IllegalTransition(run_id=run_id, verb="be cancelled", status=before.status)
    journal.enter(tx, run_id, NewEntry(kind=EntryKind.RUN_CANCELLED, detail=said), epoch=before.epoch)
    waits.withdraw(tx, run_id)
    cancel_children(tx, run_id, by=f"parent {run_id}")
    waits.tell_parents(tx, run_id, RunStatus.CANCELLED, None, None)
    return get(tx, run_id)


def cancel_children(tx: Transaction, run_id: str, *, by: str) -> None:
    """Cancel the run's open children, and theirs."""
    for (child,) in tx.rows(OPEN_CHILDREN, {"run_id": run_id}):
        cancel(tx, child, by, "")


def resume(tx: Transaction, run_id: str, by: str) -> Run:
    """Queue a run that needed attention."""
    before = get(tx, run_id)
    if tx.run(RESUME, {"run_id": run_id, "now": tx.now}) == 0:
        raise IllegalTransition(run_id=run_id, verb="be resumed", status=before.status)
    journal.enter(tx, run_id, NewEntry(kind=EntryKind.RESUMED, detail=f"resumed by {by}"), epoch=before.epoch)
    return get(tx, run_id)
