"""Runs that nobody started in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, func, select, update

from agentflow.requests import NewEntry
from agentflow.states import EntryKind, RunStatus, Transition
from agentflow.store import journal, locks, tables
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement, by_index, const
from agentflow.store.waiting import waits

if TYPE_CHECKING:
    from agentflow.store.transaction import Transaction

run = table_of(tables.RunRow)
_NEVER_STARTED = (
    run.c.expires_at.is_not(None),
    run.c.status == const(RunStatus.QUEUED.value),
    run.c.epoch == const(0),
)
OVERDUE = Statement(
    select(run.c.id)
    .where(*_NEVER_STARTED, run.c.expires_at <= bindparam("now"))
    .with_hint(*by_index(run, "ix_agentflow_run_expiry"))
    .order_by(run.c.expires_at)
    .limit(bindparam("limit"))
    .offset(const(0))
)
EXPIRE = Statement(
    update(run)
    .where(run.c.id == bindparam("run_id"), *_NEVER_STARTED)
    .values(status=const(Transition.EXPIRE.target.value), finished_at=bindparam("now"))
)
NEXT = Statement(
    select(func.min(run.c.expires_at)).where(*_NEVER_STARTED).with_hint(*by_index(run, "ix_agentflow_run_expiry"))
)


def expire_unstarted(tx: Transaction, limit: int) -> int:
    """Expire overdue runs that never started and tell their parents; how many."""
    overdue = tx.rows(OVERDUE, {"now": tx.now, "limit": limit})
    return sum(_expire(tx, run_id) for (run_id,) in overdue)


def _expire(tx: Transaction, run_id: str) -> bool:
    """Expire the run unless it was started or ended a moment ago."""
    locks.before_end(tx, run_id)
    if tx.run(EXPIRE, {"run_id": run_id, "now": tx.now}) == 0:
        return False
    journal.enter(tx, run_id, NewEntry(kind=EntryKind.RUN_EXPIRED))
    waits.tell_parents(tx, run_id, Transition.EXPIRE.target, None, None)
    return True
