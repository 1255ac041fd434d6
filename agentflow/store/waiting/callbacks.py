"""Callbacks: made by a run, answered by another system, whichever comes first of its answer, a time-out, the run's end.

The answer is stored with the callback and then given to whoever waits for it; a wait that comes later finds it there.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, func, insert, select, update

from agentflow.clock import MICROSECOND, from_micros, to_micros
from agentflow.errors import CallbackLapsed, CallbackNotFound, CallbackResolved
from agentflow.payloads import canonical, digest
from agentflow.states import CallbackStatus, WaitKind
from agentflow.store import locks, rows, tables
from agentflow.store.rows import table_of
from agentflow.store.spending import entries
from agentflow.store.statements import Statement, by_index, const
from agentflow.store.waiting import waits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.errors import AgentflowError
    from agentflow.records import Callback
    from agentflow.requests import Lease, NewCallback, NewEntry, OpenWait, ResolveCallback
    from agentflow.store.transaction import Transaction

callback = table_of(tables.CallbackRow)
IS_PENDING = callback.c.status == const(CallbackStatus.PENDING.value)
OVER = frozenset({CallbackStatus.TIMED_OUT, CallbackStatus.CANCELLED})

CREATE = Statement(insert(callback).values({c.name: bindparam(c.name) for c in callback.columns}))
BY_DIGEST = Statement(select(callback).where(callback.c.token_digest == bindparam("token_digest")))
BY_ID = Statement(select(callback).where(callback.c.id == bindparam("id")))
LOCKED = Statement(select(callback).where(callback.c.id == bindparam("id")).with_for_update())
OF_RUN = Statement(
    select(callback).where(callback.c.run_id == bindparam("run_id")).order_by(callback.c.created_at, callback.c.id)
)
HEARTBEAT_OF = Statement(select(callback.c.heartbeat_for).where(callback.c.id == bindparam("id")))
RESOLVE = Statement(
    update(callback)
    .where(callback.c.id == bindparam("callback_id"), IS_PENDING)
    .values({name: bindparam(name) for name in ("status", "output", "error")} | {"resolved_at": bindparam("now")})
)
BEAT = Statement(
    update(callback)
    .where(callback.c.id == bindparam("callback_id"), IS_PENDING)
    .values(details=bindparam("details"), lapses_at=bindparam("lapses_at"))
)
REVIVE = Statement(
    update(callback)
    .where(callback.c.run_id == bindparam("run_id"), callback.c.status == const(CallbackStatus.CANCELLED.value))
    .values(status=const(CallbackStatus.PENDING.value), resolved_at=bindparam("never"))
)
OVERDUE = Statement(
    select(callback)
    .where(IS_PENDING, callback.c.lapses_at.is_not(None), callback.c.lapses_at <= bindparam("now"))
    .with_hint(*by_index(callback, "ix_agentflow_callback_lapses_at"))
    .order_by(callback.c.lapses_at)
    .limit(bindparam("limit"))
    .offset(const(0))
)
NEXT_DUE = Statement(
    select(func.min(callback.c.lapses_at))
    .where(IS_PENDING, callback.c.lapses_at.is_not(None))
    .with_hint(*by_index(callback, "ix_agentflow_callback_lapses_at"))
)


def create_callback(tx: Transaction, lease: Lease, new: NewCallback, entry: NewEntry) -> Callback:
    """A callback, and the entry that records it. Raises `LeaseLost`, having made none."""
    entries.append(tx, lease, entry)
    due_at = None if new.timeout is None else tx.now + new.timeout // MICROSECOND
    heartbeat_for = None if new.heartbeat_for is None else new.heartbeat_for // MICROSECOND
    values: dict[str, Any] = dict.fromkeys(c.name for c in callback.columns)
    values |= {
        "id": new.id,
        "run_id": lease.run_id,
        "key": new.key,
        "token_digest": new.token_digest,
        "status": CallbackStatus.PENDING,
        "heartbeat_for": heartbeat_for,
        "due_at": due_at,
        "lapses_at": _lapses_at(tx.now, due_at, heartbeat_for),
        "created_at": tx.now,
    }
    tx.run(CREATE, values)
    return rows.callback(tuple(values[c.name] for c in callback.columns))


def _lapses_at(now: int, due_at: int | None, heartbeat_for: int | None) -> int | None:
    """When it times out unless something is heard: the earlier of its deadline and its next heartbeat."""
    next_beat = None if heartbeat_for is None else now + heartbeat_for
    return min((one for one in (due_at, next_beat) if one is not None), default=None)


def get(tx: Transaction, token_digest: str) -> Callback:
    """The callback of this token. Raises `CallbackNotFound`."""
    row = tx.row(BY_DIGEST, {"token_digest": token_digest})
    if row is None:
        raise CallbackNotFound("there is no callback with this token; nothing was recorded")
    return rows.callback(row)


def _locked(tx: Transaction, token_digest: str) -> Callback:
    """The callback of this token, and its run held. Raises `CallbackNotFound`."""
    found = get(tx, token_digest)
    if not tx.is_alone:
        _lock(tx, found)
        found = get(tx, token_digest)
    return found


def _lock(tx: Transaction, found: Callback) -> None:
    """Hold its run and those that wait for it, then the callback."""
    waiting = [row[0] for row in waits.for_subject(tx, WaitKind.CALLBACK, found.id)]
    locks.runs_of(tx, [found.run_id, *waiting])
    tx.row(LOCKED, {"id": found.id})


def of_run(tx: Transaction, run_id: str) -> Sequence[Callback]:
    """The run's callbacks, oldest first."""
    return [rows.callback(row) for row in tx.rows(OF_RUN, {"run_id": run_id})]


# -- what the other system says


def resolve_callback(tx: Transaction, request: ResolveCallback) -> Callback | AgentflowError:
    """Record the answer and let the run go on, or say why not."""
    found = _locked(tx, request.token_digest)
    status = CallbackStatus.COMPLETED if request.error is None else CallbackStatus.FAILED
    if found.status is status and _says(found.output, found.error) == _says(request.output, request.error):
        return found  # this very answer
    refusal = _refusal(tx, found)
    if refusal is not None:
        return refusal
    _settle(tx, found, status, request.output, request.error)
    return get(tx, request.token_digest)


def _says(output: str | None, error: str | None) -> tuple[str | None, str | None]:
    """What makes two answers the same, whichever way they are written."""
    return None if output is None else digest(canonical(json.loads(output))), error


def beat_callback(tx: Transaction, token_digest: str, details: str | None) -> Callback | AgentflowError:
    """Put the time-out off by the heartbeat time, and keep what was said."""
    found = _locked(tx, token_digest)
    refusal = _refusal(tx, found)
    if refusal is not None:
        return refusal
    row = tx.row(HEARTBEAT_OF, {"id": found.id})
    due_at = None if found.due_at is None else to_micros(found.due_at)
    lapses_at = _lapses_at(tx.now, due_at, row[0] if row else None)
    tx.run(BEAT, {"callback_id": found.id, "details": details, "lapses_at": lapses_at})
    waits.put_off(tx, WaitKind.CALLBACK, found.id, lapses_at)
    tx.touched.add(found.run_id)
    return get(tx, token_digest)


def _refusal(tx: Transaction, found: Callback) -> AgentflowError | None:
    """Why nothing more can be said of it, or None. A time-out that is due is recorded here and now."""
    if found.is_pending and found.lapses_at is not None and found.lapses_at <= from_micros(tx.now):
        _settle(tx, found, CallbackStatus.TIMED_OUT, None, None)
        return CallbackLapsed(callback_id=found.id, status=CallbackStatus.TIMED_OUT)
    if found.is_pending:
        return None
    refused = CallbackLapsed if found.status in OVER else CallbackResolved
    return refused(callback_id=found.id, status=found.status)


def _settle(tx: Transaction, found: Callback, status: CallbackStatus, output: str | None, error: str | None) -> None:
    moved = tx.run(
        RESOLVE, {"callback_id": found.id, "status": status, "output": output, "error": error, "now": tx.now}
    )
    if moved == 0:
        raise AssertionError(f"callback {found.id} was resolved by another while it was locked")
    tx.touched.add(found.run_id)
    waits.tell_of_callback(tx, found.id, status, output, error)


# -- waiting, and time


def answer_opened(tx: Transaction, run_id: str, new: OpenWait) -> None:
    """Answer a wait that has just been opened if the callback has its answer; else say until when it waits."""
    row = tx.row(LOCKED, {"id": new.subject})
    found = None if row is None else rows.callback(row)
    if found is None:
        waits.answer(tx, run_id, new.key, waits.callback_answer(new.key, str(new.subject), CallbackStatus.CANCELLED))
    elif found.is_pending:
        waits.put_off(tx, WaitKind.CALLBACK, found.id, None if found.lapses_at is None else to_micros(found.lapses_at))
    else:
        entry = waits.callback_answer(new.key, found.id, found.status, found.output, found.error)
        waits.answer(tx, run_id, new.key, entry)


def is_resolved(tx: Transaction, callback_id: str) -> bool:
    """Whether it has its answer, or will never have one."""
    row = tx.row(BY_ID, {"id": callback_id})
    return row is None or not rows.callback(row).is_pending


def expire(tx: Transaction, limit: int) -> int:
    """Time out callbacks that nobody answered or kept alive, oldest first."""
    overdue = [rows.callback(row) for row in tx.rows(OVERDUE, {"now": tx.now, "limit": limit})]
    lapsed = [found for found in overdue if tx.is_alone or _is_overdue_still(tx, found)]
    for found in lapsed:
        _settle(tx, found, CallbackStatus.TIMED_OUT, None, None)
    return len(lapsed)


def _is_overdue_still(tx: Transaction, found: Callback) -> bool:
    """Whether nobody answered it or kept it alive before it was held."""
    _lock(tx, found)
    row = tx.row(BY_ID, {"id": found.id})
    current = None if row is None else rows.callback(row)
    return current is not None and current.is_pending and (current.lapses_at or found.lapses_at) == found.lapses_at


def revive(tx: Transaction, run_id: str) -> None:
    """Let the callbacks be answered again that were withdrawn when the run ended: it is to be tried again."""
    tx.run(REVIVE, {"run_id": run_id, "never": None})
