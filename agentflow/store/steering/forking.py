"""Forking: a new run that begins with a part of another one's journal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, insert

from agentflow.clock import MICROSECOND, from_micros, to_micros
from agentflow.errors import IllegalTransition
from agentflow.ids import RUN, new_id
from agentflow.requests import NewEntry, forked
from agentflow.requests.forks import corrections, said
from agentflow.states import EntryKind, ParentClose, RunStatus
from agentflow.store import journal, rows, tables, triggering
from agentflow.store.rows import table_of
from agentflow.store.runs import get
from agentflow.store.statements import Statement
from agentflow.store.waiting import streams

if TYPE_CHECKING:
    from agentflow.records import Entry, Run
    from agentflow.requests import ForkRun
    from agentflow.store.transaction import Transaction

run = table_of(tables.RunRow)
MAKE = Statement(insert(run).values({c.name: bindparam(c.name) for c in run.columns}))


def fork(tx: Transaction, request: ForkRun) -> Run:
    """The new run, with the entries it begins with. The original stays as it is, whatever state it is in."""
    original = get(tx, request.run_id)
    if original.pruned_at is not None:
        remedy = f"Its journal was removed at {original.pruned_at}; start a new run."
        raise IllegalTransition(run_id=original.id, verb="be forked", status=original.status, remedy=remedy)
    entries = [rows.entry(row) for row in journal.entries(tx, original.id)]
    copied = forked(entries, request)
    run_id = request.id or new_id(RUN, from_micros(tx.now))
    # A run that has something to replay has had a turn: its claim reads the journal.
    epoch = max((one.epoch for one in copied), default=0) or (1 if copied else 0)
    tx.run(MAKE, _values(tx, original, request, run_id) | {"epoch": epoch})
    triggering.tag(tx, run_id, json.loads(original.tags or "[]"))
    origin = NewEntry(kind=EntryKind.TRIGGERED, detail=f"fork of {original.id}")
    journal.enter(tx, run_id, origin)
    for one in copied:
        tx.run(journal.ENTER, _copy(one, run_id))
    streams.read_as(tx, run_id, copied)
    told = NewEntry(kind=EntryKind.FORKED, input=corrections(entries, request), detail=said(request))
    journal.enter(tx, run_id, told, epoch=epoch)
    return get(tx, run_id)


def _values(tx: Transaction, original: Run, request: ForkRun, run_id: str) -> dict[str, Any]:
    """The new run's row: its task, input and queue are the original's, its history is not."""
    allowed = None if original.deadline_at is None else original.deadline_at - original.created_at
    values: dict[str, Any] = dict.fromkeys(column.name for column in run.columns)
    return values | {
        "id": run_id,
        "task": original.task,
        "version": request.version or original.version,
        "status": RunStatus.QUEUED,
        "queue": original.queue,
        "queue_key": original.queue_key,
        "cost": original.cost,
        "priority": original.priority,
        "input": original.input,
        "attempt": 1,
        "recoveries": 0,
        "origin": f"fork of {original.id}",
        "root_id": "",
        "available_at": tx.now,
        "deadline_at": None if allowed is None else tx.now + allowed // MICROSECOND,
        "created_at": tx.now,
        "collected": 1,
        "on_parent_close": ParentClose.CANCEL,
        "forked_from": original.id,
        "tags": original.tags,
        "metadata": original.metadata,
    }


def _copy(one: Entry, run_id: str) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "epoch": one.epoch,
        "kind": one.kind,
        "key": one.key,
        "operation": one.operation,
        "attempt": one.attempt,
        "at": to_micros(one.at),
        "took": None if one.took is None else one.took // MICROSECOND,
        "input": one.input,
        "output": one.output,
        "error": one.error,
        "detail": one.detail,
    }
