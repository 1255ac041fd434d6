"""Triggering: a run for a request, or the one that its key made before, joins or becomes part of."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import bindparam, insert, select

from agentflow.clock import MICROSECOND, from_micros, to_micros
from agentflow.errors import IdempotencyMismatch
from agentflow.ids import RUN, new_id
from agentflow.requests import NewEntry
from agentflow.states import EntryKind, ParentClose, RunStatus
from agentflow.store import journal, rows, tables
from agentflow.store.queueing import collecting
from agentflow.store.queueing.admitting import Admission, taken
from agentflow.store.rows import table_of
from agentflow.store.runs import get, held
from agentflow.store.spending import entries
from agentflow.store.statements import Statement, columns

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from agentflow.records import Run
    from agentflow.requests import Lease, TriggerRun
    from agentflow.store.transaction import Transaction

run = table_of(tables.RunRow)


BY_KEY = Statement(
    select(run).where(run.c.task == bindparam("task"), run.c.idempotency_key == bindparam("idempotency_key"))
)
_EMPTY = ("output", "error", "worker_id", "started_at", "finished_at", "ending", "pause", "forked_from", "pruned_at")
COLUMNS = columns(run)
TAG = Statement(insert(table_of(tables.RunTagRow)).values(tag=bindparam("tag"), run_id=bindparam("run_id")))
INSERT = Statement(insert(run).values({name: bindparam(name) for name in COLUMNS}))


class Parent(NamedTuple):
    """The run that triggers another, the root of both, and the operation that does."""

    id: str
    root_id: str
    key: str | None


def trigger(tx: Transaction, request: TriggerRun) -> Run:
    """The run for this request: new, or the one its key made before."""
    return _made_before(tx, request) or _make(tx, request, Admission(tx))


def trigger_many(tx: Transaction, requests: Sequence[TriggerRun]) -> Sequence[Run]:
    """The runs for these requests, in their order."""
    admission = Admission(tx)
    return [_made_before(tx, request) or _make(tx, request, admission) for request in requests]


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
    admission, parent = Admission(tx), Parent(lease.run_id, root_id, entry.key)
    due = get(tx, lease.run_id).deadline_at
    bounded = [request if due is None else _within(request, due) for request in requests]
    children = [_made_before(tx, request) or _make(tx, request, admission, parent) for request in bounded]
    entry.output = json.dumps([child.id for child in children])
    entries.append(tx, lease, entry)
    return children


def _within(request: TriggerRun, due: datetime) -> TriggerRun:
    """A child that ends with its parent has to have ended by its parent's deadline too."""
    if request.on_parent_close is ParentClose.ABANDON:
        return request
    return replace(request, deadline_at=due if request.deadline_at is None else min(due, request.deadline_at))


def _make(tx: Transaction, request: TriggerRun, admission: Admission, parent: Parent | None = None) -> Run:
    """A new run, or the open one that this trigger joins or becomes part of. Raises what refuses it."""
    most_cost = admission.most_cost(request)
    if request.collect is not None:
        joined = collecting.join(tx, request, _deadline(request, _start_at(tx, request)), most_cost)
        if joined is not None:
            return joined
    holder, run_id = admission.holder(request), request.id or new_id(RUN, from_micros(tx.now))
    if holder is not None and request.singleton is not None:
        match request.singleton.conflict:
            case "join":
                return holder
            case "skip":
                raise taken(holder, request)
            case "replace":
                admission.replace(holder, request, run_id, within=None if parent is None else parent.id)
    admission.require_room(request)
    return _insert(tx, request, run_id, parent=parent)


def _insert(tx: Transaction, request: TriggerRun, run_id: str, *, parent: Parent | None) -> Run:
    new = values(tx, request, run_id, parent)
    tx.run(INSERT, new)
    tag(tx, run_id, request.tags)
    journal.enter(tx, run_id, NewEntry(kind=EntryKind.TRIGGERED, detail=request.origin))
    return rows.run(tuple(new[name] for name in COLUMNS))


def tag(tx: Transaction, run_id: str, tags: Sequence[str]) -> None:
    """Have the run found by these tags, which its own row has too."""
    for one in tags:
        tx.run(TAG, {"tag": one, "run_id": run_id})


def values(tx: Transaction, request: TriggerRun, run_id: str, parent: Parent | None = None) -> dict[str, Any]:
    """The new run's row."""
    start_at = _start_at(tx, request)
    head_start = request.priority * 1_000_000 if start_at == tx.now else 0
    new: dict[str, Any] = dict.fromkeys(_EMPTY) | {
        "id": run_id,
        "task": request.task,
        "version": request.version,
        "status": RunStatus.QUEUED.value,
        "queue": request.queue,
        "priority": request.priority,
        "input": request.input,
        "epoch": 0,
        "attempt": 1,
        "recoveries": 0,
        "origin": request.origin,
        "idempotency_key": request.idempotency_key,
        "parent_id": None if parent is None else parent.id,
        "parent_key": None if parent is None else parent.key,
        "root_id": "" if parent is None else parent.root_id,
        "available_at": start_at - head_start,
        "deadline_at": _deadline(request, start_at),
        "created_at": tx.now,
        "queue_key": request.queue_key,
        "cost": request.cost,
        "expires_at": None if request.ttl is None else start_at + request.ttl // MICROSECOND,
        "singleton_key": None if request.singleton is None else request.singleton.key,
        "on_parent_close": request.on_parent_close.value,
        "tags": json.dumps(list(request.tags), ensure_ascii=False) if request.tags else None,
        "metadata": request.metadata,
    }
    return new | collecting.begun(tx, request)


def _start_at(tx: Transaction, request: TriggerRun) -> int:
    """When the run may start: now, unless it is put off."""
    delay = request.delay
    if request.collect is not None and not collecting.is_full(request):
        delay = request.collect.delay
    asked = tx.now if delay is None else tx.now + delay // MICROSECOND
    return asked if request.run_at is None else max(asked, to_micros(request.run_at))


def _deadline(request: TriggerRun, start_at: int) -> int | None:
    """The instant by which the run has to have ended: the earlier of the two it may be given."""
    given = [] if request.deadline_at is None else [to_micros(request.deadline_at)]
    if request.max_duration is not None:
        given.append(start_at + request.max_duration // MICROSECOND)
    return min(given, default=None)
