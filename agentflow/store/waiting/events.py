"""Events: stored first and matched with whoever waits afterwards, in one transaction.

A wait for an event gets the first one of its name and key; so does every other wait for it, in this run and in others.
A wait for a message gets the next one its run has not had: the cursor that says how far the run has read moves in the
transaction that answers. While a wait for a message is open its run has had all there are, because opening it looks
first.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, func, insert, select, update

from agentflow.clock import from_micros, to_micros
from agentflow.errors import IdempotencyMismatch
from agentflow.payloads import canonical, digest
from agentflow.requests import NewEntry, event_subject
from agentflow.states import EntryKind, WaitKind
from agentflow.store import locks, rows, tables
from agentflow.store.listening import matches
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement, by_index, const, consts
from agentflow.store.waiting import streams, waits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agentflow.errors import AgentflowError
    from agentflow.records import Event
    from agentflow.requests import OpenWait, SendEvent
    from agentflow.store.transaction import Transaction

event = table_of(tables.EventRow)
cursor = table_of(tables.CursorRow)
wait = table_of(tables.WaitRow)
run = table_of(tables.RunRow)

TIMED_OUT = "timed_out"
MOST_WOKEN = 100
"""How many of the runs that waited for an event are named with it."""
TIMED = (WaitKind.EVENT, WaitKind.MESSAGE)

STORE = Statement(insert(event).values({c.name: bindparam(c.name) for c in event.columns}))
LAST = Statement(select(func.max(event.c.seq), matches.IS_LISTENED).where(*streams.OF_STREAM))
"""And whether anything listens to events at all: where nothing does, sending one costs no look-up more."""
WOKE = Statement(update(event).where(event.c.id == bindparam("event_id")).values(woken=bindparam("woken")))
LATEST = Statement(
    select(event).order_by(event.c.sent_at.desc(), event.c.id.desc()).limit(bindparam("limit")).offset(const(0))
)
LATEST_NAMED = Statement(
    select(event)
    .where(event.c.name == bindparam("name"))
    .order_by(event.c.sent_at.desc(), event.c.id.desc())
    .limit(bindparam("limit"))
    .offset(const(0))
)
OVERDUE = Statement(
    select(wait.c.run_id, wait.c.key, wait.c.kind, wait.c.subject)
    .where(wait.c.due_at.is_not(None), wait.c.kind.in_(consts(TIMED)), wait.c.due_at <= bindparam("now"))
    .with_hint(*by_index(wait, "ix_agentflow_wait_due"))
    .order_by(wait.c.due_at)
    .limit(bindparam("limit"))
    .offset(const(0))
)
NEXT_DUE = Statement(
    select(func.min(wait.c.due_at))
    .where(wait.c.due_at.is_not(None), wait.c.kind.in_(consts(TIMED)))
    .with_hint(*by_index(wait, "ix_agentflow_wait_due"))
)


# -- sending


def send_event(tx: Transaction, request: SendEvent) -> Event | AgentflowError:
    """Store the event, answer who waits for it and match it; the first one of this id, if there is one."""
    _lock_stream(tx, request)
    known = tx.row(streams.BY_ID, {"id": request.id})
    if known is not None:
        return _again(rows.event(known), request)
    last = tx.row(LAST, {"name": request.name, "key": request.key})
    values = {
        "id": request.id,
        "name": request.name,
        "key": request.key,
        "seq": (last[0] or 0) + 1 if last else 1,
        "payload": request.payload,
        "digest": _content(request),
        "sent_by": request.sent_by,
        "sent_at": tx.now,
        "woken": None,
    }
    tx.run(STORE, values)
    sent = rows.event(tuple(values[c.name] for c in event.columns))
    woken = [*_answer_events(tx, sent), *_answer_messages(tx, sent)]
    if last is not None and last[1]:
        matches.match(tx, sent)
    return replace(sent, woken=_keep_woken(tx, sent, woken)) if woken else sent


def _keep_woken(tx: Transaction, sent: Event, woken: Sequence[str]) -> str:
    """Keep with the event which runs waited for it."""
    named = json.dumps(list(dict.fromkeys(woken))[:MOST_WOKEN])
    tx.run(WOKE, {"event_id": sent.id, "woken": named})
    return named


def _lock_stream(tx: Transaction, request: SendEvent) -> None:
    """Hold who waits for the event, and then its stream: nobody begins to wait for it before it is stored."""
    if not tx.is_alone:
        subject = event_subject(request.name, request.key)
        waiting = [row[0] for kind in TIMED for row in waits.for_subject(tx, kind, subject)]
        locks.runs_of(tx, waiting)
        locks.names(tx, f"event:{subject}")


def _content(request: SendEvent) -> str:
    """What makes two events with one id the same event."""
    return digest(json.dumps([request.name, request.key, digest(canonical(json.loads(request.payload)))]))


def _again(first: Event, request: SendEvent) -> Event | AgentflowError:
    if first.digest != _content(request):
        return IdempotencyMismatch(
            f"event {request.id} was sent before as {first.name!r} of {first.key!r} with other content; the first one "
            "stands. Give another event another id"
        )
    return replace(first, repeated=True)


def _answer_events(tx: Transaction, sent: Event) -> Iterator[str]:
    """Every wait for it, of however many runs, gets it; the runs."""
    for run_id, key, due_at in waits.for_subject(tx, WaitKind.EVENT, event_subject(sent.name, sent.key)):
        if due_at is not None and due_at <= tx.now:
            _time_out(tx, run_id, key, WaitKind.EVENT, event_subject(sent.name, sent.key))
        else:
            waits.answer(tx, run_id, key, _received(sent, key, WaitKind.EVENT))
            yield run_id


def _answer_messages(tx: Transaction, sent: Event) -> Iterator[str]:
    """Of each run that waits for it one wait gets it, the one that has waited longest; the runs."""
    subject = event_subject(sent.name, sent.key)
    served: set[str] = set()
    for run_id, key, due_at in waits.for_subject(tx, WaitKind.MESSAGE, subject):
        if due_at is not None and due_at <= tx.now:
            _time_out(tx, run_id, key, WaitKind.MESSAGE, subject)
        elif run_id not in served:
            served.add(run_id)
            streams.read_on(tx, run_id, sent)
            waits.answer(tx, run_id, key, _received(sent, key, WaitKind.MESSAGE))
            yield run_id


def _received(sent: Event, key: str, kind: WaitKind) -> NewEntry:
    said = {
        "outcome": streams.RECEIVED,
        "event": sent.id,
        "seq": sent.seq,
        "by": sent.sent_by,
        "sent_at": to_micros(sent.sent_at),
    }
    return NewEntry(
        kind=EntryKind.WAIT_RESOLVED,
        key=key,
        operation=kind,
        output=sent.payload,
        detail=json.dumps(said, ensure_ascii=False),
    )


# -- waiting


def answer_opened(tx: Transaction, run_id: str, new: OpenWait) -> None:
    """Answer a wait that has just been opened with what was sent before; time it out if it was to wait no time."""
    kind, subject = new.kind, str(new.subject)
    locks.names(tx, f"event:{subject}")
    found = _sent_before(tx, run_id, new)
    if found:
        if kind is WaitKind.MESSAGE:
            streams.read_on(tx, run_id, found[0])
        waits.answer(tx, run_id, new.key, _received(found[0], new.key, kind))
    elif new.due_at is not None and new.due_at <= from_micros(tx.now):
        _time_out(tx, run_id, new.key, kind, subject)


def is_there(tx: Transaction, run_id: str, new: OpenWait) -> bool:
    """Whether what this wait is for was sent before."""
    return bool(_sent_before(tx, run_id, new))


def _sent_before(tx: Transaction, run_id: str, new: OpenWait) -> list[Event]:
    """What was sent before that answers this wait: one event, or none."""
    name, _, key = str(new.subject).partition(":")
    stream = {"name": name, "key": key}
    if new.kind is WaitKind.MESSAGE:
        return streams.unread(tx, run_id, stream, new.since, limit=1)
    since = streams.from_when(tx, run_id, new.since)
    return [rows.event(row) for row in tx.rows(streams.SINCE, stream | {"since": since, "limit": 1})]


# -- time


def expire(tx: Transaction, limit: int) -> int:
    """Time out overdue waits, oldest first."""
    overdue = tx.rows(OVERDUE, {"now": tx.now, "limit": limit})
    return sum(_time_out_still(tx, run_id, key, WaitKind(kind), subject) for run_id, key, kind, subject in overdue)


def _time_out_still(tx: Transaction, run_id: str, key: str, kind: WaitKind, subject: str) -> bool:
    """Time it out unless somebody was quicker."""
    locks.run_of(tx, run_id)
    is_open = tx.is_alone or waits.is_open(tx, run_id, key)
    if is_open:
        _time_out(tx, run_id, key, kind, subject)
    return is_open


def _time_out(tx: Transaction, run_id: str, key: str, kind: WaitKind, subject: str) -> None:
    said = json.dumps({"outcome": TIMED_OUT, "event": subject}, ensure_ascii=False)
    waits.answer(tx, run_id, key, NewEntry(kind=EntryKind.WAIT_RESOLVED, key=key, operation=kind, detail=said))


# -- reading


def latest(tx: Transaction, name: str | None, limit: int) -> Sequence[Event]:
    """The latest events, of one name or of all, newest first."""
    statement: Any = LATEST if name is None else LATEST_NAMED
    params: dict[str, Any] = {"limit": limit} | ({} if name is None else {"name": name})
    return [rows.event(row) for row in tx.rows(statement, params)]
