"""Leases, recovery and deadlines.

A worker has one lease for every run it holds: renewing costs one update however many runs there are. A worker whose
lease ran out is forgotten first; from that moment its renewals change nothing, and its runs, held by nobody, are
queued again in bounded batches.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, exists, func, insert, null, select, update

from agentflow.clock import MICROSECOND, from_micros
from agentflow.errors import RunTimedOut
from agentflow.failures import Failure
from agentflow.ids import WORKER, new_id
from agentflow.requests import NewEntry
from agentflow.states import ApprovalStatus, EntryKind, RunStatus, Transition
from agentflow.store import control, decisions, journal, rows, tables, waits
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement, by_index, const, consts

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime, timedelta

    from agentflow.records import Run, Worker
    from agentflow.requests import NewWorker
    from agentflow.store.transaction import Transaction

run = table_of(tables.RunRow)
worker = table_of(tables.WorkerRow)
approval = table_of(tables.ApprovalRow)

REGISTER = Statement(insert(worker).values({c.name: bindparam(c.name) for c in worker.columns}))
RENEW = Statement(
    update(worker).where(worker.c.id == bindparam("worker_id")).values(lease_until=bindparam("lease_until"))
)
HELD = Statement(
    select(run.c.id, run.c.epoch)
    .where(run.c.worker_id == bindparam("worker_id"), run.c.status == const("running"))
    .with_hint(*by_index(run, "ix_agentflow_run_held"))
)
FORGET = Statement(delete(worker).where(worker.c.id == bindparam("worker_id")))
FORGET_LAPSED = Statement(delete(worker).where(worker.c.lease_until < bindparam("now")))
ABANDONED = Statement(
    select(run)
    .where(run.c.status == const("running"), run.c.worker_id.not_in(select(worker.c.id)))
    .with_hint(*by_index(run, "ix_agentflow_run_held"))
    .limit(bindparam("limit"))
    .offset(const(0))
)
PROGRESSED = Statement(
    select(const(1)).where(
        exists(
            select(const(1)).where(
                journal.journal.c.run_id == bindparam("run_id"),
                journal.journal.c.epoch == bindparam("epoch"),
                journal.journal.c.kind == const(EntryKind.SUCCEEDED.value),
            )
        )
    )
)
RECOVER = Statement(
    update(run)
    .where(run.c.id == bindparam("run_id"), run.c.epoch == bindparam("epoch"), run.c.status == const("running"))
    .values(
        status=bindparam("status"),
        worker_id=null(),
        recoveries=run.c.recoveries + bindparam("more"),
        error=bindparam("error"),
        available_at=bindparam("now"),
    )
)
OVERDUE = Statement(
    select(run)
    .where(
        run.c.deadline_at.is_not(None),
        run.c.finished_at.is_(None),
        run.c.deadline_at <= bindparam("now"),
        run.c.status.in_(consts(Transition.OVERRUN.sources)),
    )
    .with_hint(*by_index(run, "ix_agentflow_run_deadline"))
    .order_by(run.c.deadline_at)
    .limit(bindparam("limit"))
    .offset(const(0))
)
OVERRUN = Statement(
    update(run)
    .where(run.c.id == bindparam("run_id"), run.c.status.in_(consts(Transition.OVERRUN.sources)))
    .values(
        status=const(Transition.OVERRUN.target.value),
        worker_id=null(),
        error=bindparam("error"),
        finished_at=bindparam("now"),
    )
)
NEXT_RUN = Statement(
    select(func.min(run.c.available_at))
    .where(run.c.status.in_(consts({RunStatus.QUEUED, RunStatus.WAITING})), run.c.available_at > bindparam("now"))
    .with_hint(*by_index(run, "ix_agentflow_run_due"))
)
NEXT_DEADLINE = Statement(
    select(func.min(run.c.deadline_at))
    .where(
        run.c.deadline_at.is_not(None),
        run.c.finished_at.is_(None),
        run.c.status.in_(consts(Transition.OVERRUN.sources)),
    )
    .with_hint(*by_index(run, "ix_agentflow_run_deadline"))
)
NEXT_APPROVAL = Statement(
    select(func.min(approval.c.deadline_at))
    .where(approval.c.status == const(ApprovalStatus.PENDING.value))
    .with_hint(*by_index(approval, "ix_agentflow_approval_deadline"))
)


def register_worker(tx: Transaction, new: NewWorker) -> Worker:
    """A worker with a fresh lease."""
    values: dict[str, Any] = {
        "id": new_id(WORKER, from_micros(tx.now)),
        "host": new.host,
        "pid": new.pid,
        "started": new.started,
        "started_at": tx.now,
        "lease_until": tx.now + new.lease_for // MICROSECOND,
        "tasks": json.dumps(sorted(new.tasks)),
    }
    tx.run(REGISTER, values)
    return rows.worker(tuple(values[c.name] for c in worker.columns))


def renew(tx: Transaction, worker_id: str, lease_for: timedelta) -> dict[str, int] | None:
    """Extend the lease and tell which runs it covers; None if the worker has been forgotten."""
    until = tx.now + lease_for // MICROSECOND
    if tx.run(RENEW, {"worker_id": worker_id, "lease_until": until}) == 0:
        return None
    return dict(tx.rows(HELD, {"worker_id": worker_id}))


def retire_worker(tx: Transaction, worker_id: str) -> None:
    """Forget a worker that stops in order; what it still holds is queued again at no cost to the run."""
    tx.run(FORGET, {"worker_id": worker_id})
    for run_id, epoch in tx.rows(HELD, {"worker_id": worker_id}):
        entry = NewEntry(kind=EntryKind.REQUEUED, detail=f"worker {worker_id} stopped")
        _requeue(tx, run_id, epoch, entry, more=0)


def _requeue(tx: Transaction, run_id: str, epoch: int, entry: NewEntry, *, more: int) -> None:
    values = {"run_id": run_id, "epoch": epoch, "status": Transition.RECOVER.target, "more": more, "error": None}
    if tx.run(RECOVER, values | {"now": tx.now}):
        journal.enter(tx, run_id, entry, epoch=epoch)


def sweep(tx: Transaction, limit: int, max_recoveries: int) -> int:
    """Recover the runs of workers whose lease ran out, up to `limit`."""
    tx.run(FORGET_LAPSED, {"now": tx.now})
    abandoned = [rows.run(row) for row in tx.rows(ABANDONED, {"limit": limit})]
    for one in abandoned:
        _recover(tx, one, max_recoveries)
    return len(abandoned)


def _recover(tx: Transaction, one: Run, max_recoveries: int) -> None:
    progressed = tx.row(PROGRESSED, {"run_id": one.id, "epoch": one.epoch}) is not None
    if progressed or one.recoveries < max_recoveries:
        entry = NewEntry(kind=EntryKind.RECOVERED, detail=f"worker {one.worker_id} was lost")
        _requeue(tx, one.id, one.epoch, entry, more=1 - one.recoveries if progressed else 1)
        return
    said = (
        f"{one.recoveries + 1} workers in a row were lost while they held this run, which got no further; it may be "
        "what kills them. "
        "Resume it once the cause is known, or cancel it."
    )
    error = Failure.of(RuntimeError(said)).to_json()
    how = Transition.QUARANTINE
    values = {"run_id": one.id, "epoch": one.epoch, "status": how.target, "more": 1, "error": error, "now": tx.now}
    tx.run(RECOVER, values)
    journal.enter(tx, one.id, NewEntry(kind=EntryKind.QUARANTINED, error=error, detail=said), epoch=one.epoch)


def bury(tx: Transaction, worker_ids: Collection[str]) -> None:
    """Forget workers known to be dead; the next sweep recovers their runs."""
    for worker_id in worker_ids:
        tx.run(FORGET, {"worker_id": worker_id})


def expire(tx: Transaction, limit: int) -> int:
    """Time out overdue approvals and fail overdue runs."""
    timed_out = decisions.expire(tx, limit)
    overdue = [rows.run(row) for row in tx.rows(OVERDUE, {"now": tx.now, "limit": limit})]
    for one in overdue:
        _overrun(tx, one)
    return timed_out + len(overdue)


def _overrun(tx: Transaction, one: Run) -> None:
    error = Failure.of(RunTimedOut(f"run {one.id} did not end before {one.deadline_at} (max_duration)")).to_json()
    if tx.run(OVERRUN, {"run_id": one.id, "error": error, "now": tx.now}) == 0:
        return  # cancelled a moment ago together with its parent, which was overdue too
    journal.enter(tx, one.id, NewEntry(kind=EntryKind.RUN_FAILED, error=error), epoch=one.epoch)
    waits.withdraw(tx, one.id)
    control.cancel_children(tx, one.id, by=f"parent {one.id}")
    waits.tell_parents(tx, one.id, Transition.OVERRUN.target, None, error)


def next_due_at(tx: Transaction) -> datetime | None:
    """The first instant at which something falls due by itself."""
    instants = []
    for statement in (NEXT_RUN, NEXT_DEADLINE, NEXT_APPROVAL):
        params = {"now": tx.now} if statement is NEXT_RUN else {}
        row = tx.row(statement, params)
        if row is not None and row[0] is not None:
            instants.append(row[0])
    return from_micros(min(instants)) if instants else None
