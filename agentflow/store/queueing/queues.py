"""Queues: limits declared in code, what operators made of them, and who did so and why.

A queue has a row once limits were declared for it or somebody changed it; any other named queue is just a name on its
runs. The queue "default" has no limits, so that the runs of those who need none cost nothing more; it can be paused.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, case, func, insert, select, update

from agentflow.clock import from_micros
from agentflow.errors import AgentflowError, InvalidSetting, QueueNotFound, StoreUnusable
from agentflow.limits import UNLIMITED, Limits, limits_document, require_name
from agentflow.records import QueueChange, QueueState
from agentflow.states import RunStatus
from agentflow.store import locks, tables
from agentflow.store.queueing.lines import DEFAULT, Line
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement, by_index, const

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.requests import ChangeQueue, DeclareQueue
    from agentflow.store.transaction import Transaction

run = table_of(tables.RunRow)
queue = table_of(tables.QueueRow)
change = table_of(tables.QueueChangeRow)

QUEUES = Statement(select(queue).order_by(queue.c.name))
QUEUE = Statement(select(queue).where(queue.c.name == bindparam("name")))
ADD = Statement(insert(queue).values({c.name: bindparam(c.name) for c in queue.columns}))
REDECLARE = Statement(update(queue).where(queue.c.name == bindparam("queue")).values(declared=bindparam("declared")))
CHANGE = Statement(
    update(queue)
    .where(queue.c.name == bindparam("queue"))
    .values({name: bindparam(name) for name in ("overridden", "paused_at", "changed_by", "reason", "changed_at")})
)
SERVED = Statement(update(queue).where(queue.c.name == bindparam("queue")).values(turn_key=bindparam("turn_key")))
LOG = Statement(insert(change).values({c.name: bindparam(c.name) for c in change.columns if c.name != "id"}))
CHANGES = Statement(
    select(change)
    .where(change.c.queue == bindparam("queue"))
    .order_by(change.c.id.desc())
    .limit(bindparam("limit"))
    .offset(const(0))
)
_DUE = func.sum(case((run.c.available_at <= bindparam("now"), const(1)), else_=const(0)))
_LATER = func.sum(
    case(((run.c.available_at > bindparam("now")) & (run.c.status == const("queued")), const(1)), else_=const(0))
)
COUNT_NEW, COUNT_AGAIN, COUNT_DEFAULT = [
    Statement(
        select(run.c.queue, _DUE, _LATER)
        .where(*line.conditions, run.c.available_at.is_not(None))
        .with_hint(*by_index(run, line.by_time))
        .group_by(run.c.queue)
    )
    for line in (Line.NEW, Line.AGAIN, Line.DEFAULT)
]
COUNT_BUSY = Statement(
    select(run.c.queue, func.count())
    .where(run.c.status == const(RunStatus.RUNNING.value), run.c.queue != const(DEFAULT))
    .with_hint(*by_index(run, "ix_agentflow_run_busy"))
    .group_by(run.c.queue)
)
COUNT_BUSY_DEFAULT = Statement(
    select(run.c.queue, func.count())
    .where(run.c.status == const(RunStatus.RUNNING.value), run.c.queue == const(DEFAULT))
    .with_hint(*by_index(run, "ix_agentflow_run_held"))
    .group_by(run.c.queue)
)
NO_LIMITS_ON_DEFAULT = (
    f"queue {DEFAULT!r} has no limits, so that runs which need none cost nothing more; "
    'give the tasks a queue of their own, `@task(queue=Queue("name", ...))`'
)


@dataclass(frozen=True, slots=True)
class Stored:
    """A queue's row: the limits that hold, those declared, its pause, its last change, and whose turn was the last."""

    name: str
    limits: Limits
    declared: Limits
    paused_at: int | None
    changed_by: str
    reason: str
    changed_at: int | None
    turn_key: str | None
    overridden: str | None

    @property
    def is_governed(self) -> bool:
        """Whether its runs may not simply be taken, oldest first."""
        return self.paused_at is not None or self.limits.govern_claims


def stored(tx: Transaction) -> dict[str, Stored]:
    """Every queue that has a row, by name."""
    return {one.name: one for one in map(_stored, tx.rows(QUEUES, {}))}


def find(tx: Transaction, name: str) -> Stored:
    """The queue of this name; one without limits where it has no row."""
    row = tx.row(QUEUE, {"name": name})
    return Stored(name, UNLIMITED, UNLIMITED, None, "", "", None, None, None) if row is None else _stored(row)


def _stored(row: Sequence[Any]) -> Stored:
    name, declared, overridden, paused_at, changed_by, reason, changed_at, turn_key = row
    was_changed = changed_at if changed_by else None
    limits = _limits(declared if overridden is None else overridden)
    return Stored(name, limits, _limits(declared), paused_at, changed_by, reason, was_changed, turn_key, overridden)


@lru_cache(maxsize=1024)
def _limits(text: str) -> Limits:
    try:
        return Limits.from_json(text)
    except (AgentflowError, ValueError, TypeError, KeyError) as error:
        raise StoreUnusable(
            f"the limits {text[:200]!r} of a queue cannot be read ({error}): a newer agentflow wrote them, "
            "or the database is damaged"
        ) from error


# -- declaring and changing


def declare_queues(tx: Transaction, declared: Sequence[DeclareQueue]) -> None:
    """Keep what is declared in code; what an operator has changed stays changed. Raises `InvalidSetting`."""
    locks.names(tx, *(f"queue:{one.name}" for one in declared))
    for one in declared:
        if require_name("queue", one.name) == DEFAULT and one.limits not in (None, UNLIMITED):
            raise InvalidSetting(NO_LIMITS_ON_DEFAULT)
        known = tx.row(QUEUE, {"name": one.name})
        if known is None:
            _add(tx, one.name, one.limits or UNLIMITED)
        elif one.limits is not None and _stored(known).declared != one.limits:
            tx.run(REDECLARE, {"queue": one.name, "declared": one.limits.to_json()})
            _tell(tx)


def change_queue(tx: Transaction, request: ChangeQueue) -> QueueState:
    """The queue as it is after this. Raises `QueueNotFound` or `InvalidSetting`; nothing was changed then."""
    if request.name == DEFAULT and request.limits is not None:
        raise InvalidSetting(NO_LIMITS_ON_DEFAULT)
    locks.names(tx, f"queue:{request.name}")
    states = {one.name: one for one in queues(tx)}
    if request.name not in states:
        raise QueueNotFound(
            f"no queue {request.name!r} was declared and no run stands in one; there are: {', '.join(states)}"
        )
    if tx.row(QUEUE, {"name": request.name}) is None:
        _add(tx, request.name, UNLIMITED)
    before = find(tx, request.name)
    overridden = before.overridden if request.limits is None else request.limits.to_json()
    paused_at = before.paused_at
    if request.paused is not None:
        paused_at = (before.paused_at or tx.now) if request.paused else None
    said = {"changed_by": request.by, "reason": request.reason}
    values = {"overridden": None if request.reset else overridden, "paused_at": paused_at, "changed_at": tx.now}
    tx.run(CHANGE, {"queue": request.name} | values | said)
    tx.run(LOG, {"queue": request.name, "change": _change(request, before), "at": tx.now} | said)
    _tell(tx)
    return next(one for one in queues(tx) if one.name == request.name)


def _change(request: ChangeQueue, before: Stored) -> str:
    """What was changed, for the log."""
    made: dict[str, Any] = {}
    if request.paused is not None:
        made["paused"] = request.paused
    if request.reset:
        made |= {"reset": True, "limits": limits_document(before.declared)}
    elif request.limits is not None:
        made["limits"] = limits_document(request.limits)
    return json.dumps(made | ({} if set(made) <= {"paused"} else {"before": limits_document(before.limits)}))


def _add(tx: Transaction, name: str, limits: Limits) -> None:
    empty = dict.fromkeys(("overridden", "paused_at", "turn_key"))
    said = {"changed_by": "", "reason": "", "changed_at": tx.now}
    tx.run(ADD, {"name": name, "declared": limits.to_json()} | empty | said)
    _tell(tx)


def _tell(tx: Transaction) -> None:
    """Have everybody who waits for runs look again."""
    tx.touched.add("")
    tx.moved.add("")


# -- reading


def queues(tx: Transaction) -> Sequence[QueueState]:
    """Every queue that was declared, changed or has runs, and the default one, by name."""
    counted: dict[str, list[int]] = {DEFAULT: [0, 0, 0]}
    for statement in (COUNT_NEW, COUNT_AGAIN, COUNT_DEFAULT):
        for name, due, later in tx.rows(statement, {"now": tx.now}):
            counts = counted.setdefault(name, [0, 0, 0])
            counts[0] += due
            counts[1] += later
    for statement in (COUNT_BUSY, COUNT_BUSY_DEFAULT):
        for name, running in tx.rows(statement, {}):
            counted.setdefault(name, [0, 0, 0])[2] += running
    known = stored(tx)
    every = sorted({*known, *counted})
    return [_state(known.get(name) or find(tx, name), *counted.get(name, (0, 0, 0))) for name in every]


def _state(one: Stored, due: int, delayed: int, running: int) -> QueueState:
    return QueueState(
        name=one.name,
        limits=one.limits,
        declared=one.declared,
        paused_at=None if one.paused_at is None else from_micros(one.paused_at),
        changed_by=one.changed_by,
        reason=one.reason,
        changed_at=None if one.changed_at is None else from_micros(one.changed_at),
        due=due,
        delayed=delayed,
        running=running,
    )


def queue_changes(tx: Transaction, name: str, limit: int) -> Sequence[QueueChange]:
    """The latest changes, newest first."""
    return [
        QueueChange(id=row[0], queue=row[1], change=row[2], changed_by=row[3], reason=row[4], at=from_micros(row[5]))
        for row in tx.rows(CHANGES, {"queue": name, "limit": limit})
    ]
