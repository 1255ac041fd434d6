"""Triggering: a run for a request, or the one that its key made before."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, insert, select

from agentflow.clock import MICROSECOND, from_micros, to_micros
from agentflow.errors import IdempotencyMismatch
from agentflow.ids import RUN, new_id
from agentflow.requests import NewEntry
from agentflow.states import EntryKind, RunStatus
from agentflow.store import journal, rows, tables
from agentflow.store.rows import table_of
from agentflow.store.runs import held
from agentflow.store.statements import Statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.records import Run
    from agentflow.requests import Lease, TriggerRun
    from agentflow.store.transaction import Transaction

run = table_of(tables.RunRow)


BY_KEY = Statement(
    select(run).where(run.c.task == bindparam("task"), run.c.idempotency_key == bindparam("idempotency_key"))
)
_EMPTY = (
    "output", "error", "worker_id", "started_at", "finished_at", "collect_key", "collect_until", "ending", "pause",
    "forked_from",
)  # fmt: skip
INSERT = Statement(insert(run).values({c.name: bindparam(c.name) for c in run.columns}).returning(*run.columns))


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
    values: dict[str, Any] = dict.fromkeys(_EMPTY) | {
        "id": run_id,
        "task": request.task,
        "version": request.version,
        "status": RunStatus.QUEUED,
        "queue": request.queue,
        "priority": request.priority,
        "input": request.input,
        "epoch": 0,
        "attempt": 1,
        "recoveries": 0,
        "origin": request.origin,
        "idempotency_key": request.idempotency_key,
        "parent_id": None if parent is None else parent[0],
        "root_id": run_id if parent is None else parent[1],
        "available_at": tx.now + delay - head_start,
        "deadline_at": _deadline(tx, request, delay),
        "created_at": tx.now,
        "queue_key": request.queue_key,
        "cost": request.cost,
        "expires_at": None if request.ttl is None else tx.now + delay + request.ttl // MICROSECOND,
        "singleton_key": None if request.singleton is None else request.singleton.key,
        "collected": 1,
        "on_parent_close": request.on_parent_close,
    }
    made = tx.row(INSERT, values)
    assert made is not None
    journal.enter(tx, run_id, NewEntry(kind=EntryKind.TRIGGERED, detail=request.origin))
    return rows.run(made)


def _deadline(tx: Transaction, request: TriggerRun, delay: int) -> int | None:
    """The instant by which the run has to have ended: the earlier of the two it may be given."""
    given = [] if request.deadline_at is None else [to_micros(request.deadline_at)]
    if request.max_duration is not None:
        given.append(tx.now + delay + request.max_duration // MICROSECOND)
    return min(given, default=None)
