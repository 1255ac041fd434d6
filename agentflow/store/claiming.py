"""Claiming: due runs for a worker, never the same one for two."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, exists, func, select, update

from agentflow.requests import Lease
from agentflow.states import RunStatus, Transition
from agentflow.store import journal, rows, tables
from agentflow.store.promises.runs import Claimed
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement, by_index, const

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.requests import ClaimRuns
    from agentflow.store.transaction import Transaction

run = table_of(tables.RunRow)
worker = table_of(tables.WorkerRow)


@cache
def _claim(tasks: int, queues: int) -> Statement:
    """The claim for this many tasks and queues: the oldest due runs, taken in one statement."""
    due = select(run.c.id).where(
        run.c.status.in_([const(RunStatus.QUEUED.value), const(RunStatus.WAITING.value)]),
        run.c.available_at <= bindparam("now"),
        run.c.task.in_([bindparam(f"task{n}") for n in range(tasks)]),
        # One that has been given up for dead, and does not know it yet, gets none.
        exists(select(const(1)).where(worker.c.id == bindparam("worker_id"))),
    )
    if queues:
        due = due.where(run.c.queue.in_([bindparam(f"queue{n}") for n in range(queues)]))
    due = (
        due.with_hint(*by_index(run, "ix_agentflow_run_due"))
        .order_by(run.c.available_at)
        .limit(bindparam("limit"))
        .offset(const(0))
    )
    return Statement(
        update(run)
        .where(run.c.id.in_(due))
        .values(
            status=const(Transition.CLAIM.target.value),
            worker_id=bindparam("worker_id"),
            epoch=run.c.epoch + const(1),
            started_at=func.coalesce(run.c.started_at, bindparam("now")),
        )
        .returning(*run.columns)
    )


def claim(tx: Transaction, request: ClaimRuns) -> Sequence[Claimed]:
    """Take due runs for this worker. A parked run whose timer has come is woken and taken in one move."""
    if not request.tasks:
        return []
    params: dict[str, Any] = {"now": tx.now, "limit": request.limit, "worker_id": request.worker_id}
    params |= {f"task{n}": task for n, task in enumerate(request.tasks)}
    params |= {f"queue{n}": queue for n, queue in enumerate(request.queues)}
    taken = [rows.run(row) for row in tx.rows(_claim(len(request.tasks), len(request.queues)), params)]
    taken.sort(key=lambda one: (one.available_at, one.id))
    claimed = []
    for one in taken:
        tx.touched.add(one.id)
        # A first turn finds nothing to replay; only waking and retrying runs pay for the read.
        known = [] if one.epoch == 1 else [rows.entry(row) for row in journal.entries(tx, one.id)]
        claimed.append(Claimed(one, Lease(one.id, one.epoch, request.worker_id), known))
    return claimed
