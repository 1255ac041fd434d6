"""Leases, recovery and deadlines.

A worker has one lease for every run it holds: renewing costs one update however many runs there are. A worker whose
lease ran out is forgotten first; from that moment its renewals change nothing, and its runs, held by nobody, are
queued again in bounded batches.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, case, delete, exists, func, insert, null, select, update

from agentflow.clock import MICROSECOND, from_micros
from agentflow.errors import RunTimedOut
from agentflow.failures import Failure
from agentflow.ids import WORKER, new_id
from agentflow.requests import NewEntry
from agentflow.states import ApprovalStatus, EntryKind, RunStatus, Transition
from agentflow.store import decisions, journal, locks, rows, tables
from agentflow.store.queueing import governing, lines
from agentflow.store.rows import table_of
from agentflow.store.spending import chunks
from agentflow.store.statements import Statement, by_index, const, consts
from agentflow.store.steering import control
from agentflow.store.steering.ending import Ending, undo_first
from agentflow.store.waiting import callbacks, events, expiring, waits

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
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
DRAIN = Statement(
    update(worker)
    .where(worker.c.id == bindparam("worker_id"), worker.c.draining_at.is_(None))
    .values(draining_at=bindparam("now"))
)
HELD = Statement(
    select(run.c.id, run.c.epoch, run.c.pause)
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
    .with_for_update(skip_locked=True),
    brief=True,
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
        # Somebody may have asked, while the turn went on, that the run be paused after it.
        status=case(
            (
                and_(run.c.pause.is_not(None), bindparam("status") == const(RunStatus.QUEUED.value)),
                const(RunStatus.PAUSED.value),
            ),
            else_=bindparam("status"),
        ),
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
        run.c.ending.is_(None),  # one that is ending is undone in its own time
    )
    .with_hint(*by_index(run, "ix_agentflow_run_deadline"))
    .order_by(run.c.deadline_at)
    .limit(bindparam("limit"))
    .offset(const(0)),
    brief=True,
)
OVERRUN = Statement(
    update(run)
    .where(
        run.c.id == bindparam("run_id"),
        run.c.status.in_(consts(Transition.OVERRUN.sources)),
        run.c.ending.is_(None),
    )
    .values(
        status=const(Transition.OVERRUN.target.value),
        worker_id=null(),
        pause=null(),
        error=bindparam("error"),
        finished_at=bindparam("now"),
    )
)
NEXT_DEADLINE = Statement(
    select(func.min(run.c.deadline_at))
    .where(
        run.c.deadline_at.is_not(None),
        run.c.finished_at.is_(None),
        run.c.status.in_(consts(Transition.OVERRUN.sources)),
        run.c.ending.is_(None),
    )
    .with_hint(*by_index(run, "ix_agentflow_run_deadline"))
)
NEXT_APPROVAL = Statement(
    select(func.min(approval.c.deadline_at))
    .where(approval.c.status == const(ApprovalStatus.PENDING.value), approval.c.deadline_at.is_not(None))
    .with_hint(*by_index(approval, "ix_agentflow_approval_deadline"))
)
NEXT = (lines.NEXT_DEFAULT_TIME, NEXT_DEADLINE, NEXT_APPROVAL, expiring.NEXT, events.NEXT_DUE, callbacks.NEXT_DUE)
# After the names of queues, if any, whose runs are to be looked at beside those of the default one.
NEXT_DUE = Statement(select(*lines.first_names(), *(one.value() for one in NEXT)))


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
        "labels": json.dumps(sorted(new.labels)),
        "lacks": json.dumps(dict(new.lacks), sort_keys=True),
        "queues": json.dumps(sorted(new.queues)),
        "draining_at": None,
    }
    tx.run(REGISTER, values)
    return rows.worker(tuple(values[c.name] for c in worker.columns))


def renew(tx: Transaction, worker_id: str, lease_for: timedelta) -> dict[str, int] | None:
    """Extend the lease and tell which runs it covers; None if the worker has been forgotten."""
    until = tx.now + lease_for // MICROSECOND
    if tx.run(RENEW, {"worker_id": worker_id, "lease_until": until}) == 0:
        return None
    return {run_id: epoch for run_id, epoch, _ in tx.rows(HELD, {"worker_id": worker_id})}


def held(tx: Transaction, worker_id: str) -> dict[str, tuple[int, bool]]:
    """The runs that the worker holds: the epoch of each, and whether somebody has asked that it be paused."""
    return {run_id: (epoch, pause is not None) for run_id, epoch, pause in tx.rows(HELD, {"worker_id": worker_id})}


def drain_worker(tx: Transaction, worker_id: str) -> None:
    """Note that the worker takes no more runs."""
    tx.run(DRAIN, {"worker_id": worker_id, "now": tx.now})


def retire_worker(tx: Transaction, worker_id: str) -> None:
    """Forget a worker that stops in order; what it still holds is queued again at no cost to the run."""
    tx.run(FORGET, {"worker_id": worker_id})
    for run_id, epoch, _ in tx.rows(HELD, {"worker_id": worker_id}):
        entry = NewEntry(kind=EntryKind.REQUEUED, detail=f"worker {worker_id} stopped")
        _requeue(tx, run_id, epoch, entry, more=0)


def _requeue(tx: Transaction, run_id: str, epoch: int, entry: NewEntry, *, more: int) -> None:
    values = {"run_id": run_id, "epoch": epoch, "status": Transition.RECOVER.target, "more": more, "error": None}
    if tx.run(RECOVER, values | {"now": tx.now}):
        journal.enter(tx, run_id, entry, epoch=epoch)


def sweep(tx: Transaction, limit: int, max_recoveries: int) -> int:
    """Recover the runs of workers whose lease ran out, up to `limit`; let go of what others said while they ran."""
    tx.run(FORGET_LAPSED, {"now": tx.now})
    abandoned = [rows.run(row) for row in tx.rows(ABANDONED, {"limit": limit})]
    for one in abandoned:
        _recover(tx, one, max_recoveries)
    chunks.clear(tx)
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
    """Time out overdue approvals, waits and callbacks, fail overdue runs, expire those that never started."""
    timed_out = decisions.expire(tx, limit) + events.expire(tx, limit) + callbacks.expire(tx, limit)
    overdue = [rows.run(row) for row in tx.rows(OVERDUE, {"now": tx.now, "limit": limit})]
    overran = sum(_overrun(tx, one) for one in _parents_first(overdue))
    return timed_out + overran + expiring.expire_unstarted(tx, limit)


def _parents_first(overdue: Sequence[Run]) -> list[Run]:
    """By deadline; a child is often due with its parent, whose end is what ends it."""
    by_id = {one.id: one for one in overdue}

    def depth(one: Run) -> int:
        parent = by_id.get(one.parent_id or "")
        return 0 if parent is None else depth(parent) + 1

    return sorted(overdue, key=lambda one: (one.deadline_at, one.created_at, depth(one)))


def _overrun(tx: Transaction, one: Run) -> bool:
    """Fail an overdue run, or have it undo its steps first; False if its parent's end has ended it a moment ago."""
    error = Failure.of(RunTimedOut(f"run {one.id} did not end before {one.deadline_at} (max_duration)")).to_json()
    ending = Ending(status=RunStatus.FAILED, said="its deadline passed", error=error)
    locks.before_end(tx, one.id)
    if undo_first(tx, one.id, one.epoch, ending):
        control.close_children(tx, one.id)
        return True
    if tx.run(OVERRUN, {"run_id": one.id, "error": error, "now": tx.now}) == 0:
        return False
    journal.enter(tx, one.id, NewEntry(kind=EntryKind.RUN_FAILED, error=error), epoch=one.epoch)
    waits.withdraw(tx, one.id)
    control.close_children(tx, one.id)
    waits.tell_parents(tx, one.id, Transition.OVERRUN.target, None, error)
    return True


def next_due_at(tx: Transaction) -> datetime | None:
    """The first instant at which something falls due by itself."""
    row = tx.row(NEXT_DUE, {"now": tx.now, "after": ""})
    assert row is not None
    instants = [at for at in row[2:] if at is not None]
    if row[:2] != (None, None):
        instants += governing.next_starts(tx)
    return from_micros(min(instants)) if instants else None
