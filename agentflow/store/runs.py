"""Runs: triggered, claimed, parked, finished, cancelled."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, exists, func, insert, null, select, update

from agentflow.clock import MICROSECOND, from_micros
from agentflow.errors import IdempotencyMismatch, IllegalTransition, LeaseLost, RunNotFound
from agentflow.ids import RUN, new_id
from agentflow.requests import Lease, NewEntry
from agentflow.states import OPEN, EntryKind, RunStatus, Transition, WaitKind
from agentflow.store import journal, rows, tables, waits
from agentflow.store.base import Claimed
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement, by_index, const, consts

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from agentflow.records import Run
    from agentflow.requests import ClaimRuns, OpenWait, TriggerRun
    from agentflow.store.transaction import Transaction

run = table_of(tables.RunRow)
worker = table_of(tables.WorkerRow)

BY_ID = Statement(select(run).where(run.c.id == bindparam("id")))
BY_KEY = Statement(
    select(run).where(run.c.task == bindparam("task"), run.c.idempotency_key == bindparam("idempotency_key"))
)
INSERT = Statement(insert(run).values({c.name: bindparam(c.name) for c in run.columns}).returning(*run.columns))
HOLDER = Statement(
    select(run.c.task, run.c.root_id).where(
        run.c.id == bindparam("run_id"), run.c.epoch == bindparam("epoch"), run.c.status == const("running")
    )
)
RELEASE = Statement(
    update(run)
    .where(run.c.id == bindparam("run_id"), run.c.epoch == bindparam("epoch"), run.c.status == const("running"))
    .values(status=bindparam("status"), worker_id=null(), recoveries=const(0), available_at=bindparam("available_at"))
)
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


# -- triggering


def trigger(tx: Transaction, request: TriggerRun) -> Run:
    """The run for this request: new, or the one its key made before."""
    return _made_before(tx, request) or _insert(tx, request, parent=None)


def trigger_many(tx: Transaction, requests: Sequence[TriggerRun]) -> Sequence[Run]:
    """The runs for these requests, in their order."""
    return [trigger(tx, request) for request in requests]


def _made_before(tx: Transaction, request: TriggerRun) -> Run | None:
    """The run that the request's key made, None if there is none. Raises `IdempotencyMismatch`."""
    if request.idempotency_key is None:
        return None
    row = tx.row(BY_KEY, {"task": request.task, "idempotency_key": request.idempotency_key})
    if row is None:
        return None
    made = rows.run(row)
    if made.input != request.input:
        raise IdempotencyMismatch(
            f"idempotency key {request.idempotency_key!r} of task {request.task!r} made run {made.id} with other "
            "input; no run was made. Use another key, or the same input."
        )
    return made


def trigger_child(tx: Transaction, lease: Lease, requests: Sequence[TriggerRun], entry: NewEntry) -> Sequence[Run]:
    """Child runs and the entry that records their ids. A key that made a run before gives that run."""
    _, root_id = held(tx, lease)
    children = []
    for request in requests:
        made = _made_before(tx, request)
        children.append(made or _insert(tx, request, parent=(lease.run_id, root_id)))
    entry.output = json.dumps([child.id for child in children])
    journal.append(tx, lease, entry)
    return children


def _insert(tx: Transaction, request: TriggerRun, *, parent: tuple[str, str] | None) -> Run:
    run_id = request.id or new_id(RUN, from_micros(tx.now))
    delay = 0 if request.delay is None else request.delay // MICROSECOND
    head_start = request.priority * 1_000_000 if delay == 0 else 0
    values: dict[str, Any] = {
        "id": run_id,
        "task": request.task,
        "version": request.version,
        "status": RunStatus.QUEUED,
        "queue": request.queue,
        "priority": request.priority,
        "input": request.input,
        "output": None,
        "error": None,
        "epoch": 0,
        "attempt": 1,
        "recoveries": 0,
        "worker_id": None,
        "origin": request.origin,
        "idempotency_key": request.idempotency_key,
        "parent_id": None if parent is None else parent[0],
        "root_id": run_id if parent is None else parent[1],
        "available_at": tx.now + delay - head_start,
        "deadline_at": None if request.max_duration is None else tx.now + delay + request.max_duration // MICROSECOND,
        "created_at": tx.now,
        "started_at": None,
        "finished_at": None,
    }
    made = tx.row(INSERT, values)
    assert made is not None
    journal.enter(tx, run_id, NewEntry(kind=EntryKind.TRIGGERED, detail=request.origin))
    return rows.run(made)


# -- turns


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


def held(tx: Transaction, lease: Lease) -> tuple[str, str]:
    """The task and root of the lease's run, which is locked from here on. Raises `LeaseLost`."""
    row = tx.row(HOLDER, {"run_id": lease.run_id, "epoch": lease.epoch})
    if row is None:
        raise LeaseLost(run_id=lease.run_id, epoch=lease.epoch)
    return row[0], row[1]


def settle(tx: Transaction, lease: Lease, entry: NewEntry, scope: str) -> None:
    """Keep the entry and withdraw what was waited for under `scope`."""
    journal.append(tx, lease, entry)
    waits.withdraw(tx, lease.run_id, scope=scope)


def open_waits(tx: Transaction, lease: Lease, new: Sequence[OpenWait]) -> None:
    """Open waits while another branch of the run goes on."""
    task, _ = held(tx, lease)
    for one in new:
        waits.open_wait(tx, lease.run_id, task, lease.epoch, one)
        _answer_if_ended(tx, lease.run_id, one)


def _answer_if_ended(tx: Transaction, run_id: str, new: OpenWait) -> None:
    """A child that ended before its parent waited for it answers at once."""
    if new.kind is not WaitKind.CHILD:
        return
    ended = tx.row(waits.ENDED_CHILD, {"id": new.subject})
    if ended is not None:
        waits.answer(tx, run_id, new.key, waits.child_ended(new.key, *ended))


def park(tx: Transaction, lease: Lease, new: Sequence[OpenWait], blocked: Collection[str]) -> RunStatus:
    """Park the run, unless one of its waits was answered meanwhile: then queue it again."""
    open_waits(tx, lease, new)
    due: list[int] = []
    still_open = set()
    for _, key, kind, _, _, due_at in tx.rows(waits.OF_RUN, {"run_id": lease.run_id}):
        still_open.add(key)
        if key in blocked and due_at is not None and kind in {WaitKind.TIMER, WaitKind.RETRY}:
            due.append(due_at)
    wake_at = min(due, default=None)
    answered = not still_open.issuperset(blocked)
    how = Transition.REQUEUE if answered or (wake_at is not None and wake_at <= tx.now) else Transition.PARK
    _release(tx, lease, how, available_at=wake_at if how is Transition.PARK else tx.now)
    journal.enter(
        tx, lease.run_id, NewEntry(kind=EntryKind.PARKED, detail=",".join(sorted(blocked))), epoch=lease.epoch
    )
    return how.target


def _release(tx: Transaction, lease: Lease, how: Transition, *, available_at: int | None) -> None:
    moved = tx.run(
        RELEASE,
        {"run_id": lease.run_id, "epoch": lease.epoch, "status": how.target, "available_at": available_at},
    )
    if moved == 0:
        raise LeaseLost(run_id=lease.run_id, epoch=lease.epoch)


# -- from outside


def get(tx: Transaction, run_id: str) -> Run:
    """The run. Raises `RunNotFound`."""
    row = tx.row(BY_ID, {"id": run_id})
    if row is None:
        raise RunNotFound(f"there is no run {run_id!r}")
    return rows.run(row)


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
