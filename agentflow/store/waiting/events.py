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
from agentflow.store import journal, rows, tables
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement, by_index, const, consts
from agentflow.store.waiting import waits

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from agentflow.errors import AgentflowError
    from agentflow.records import Entry, Event
    from agentflow.requests import Lease, OpenWait, ReceiveEvents, SendEvent
    from agentflow.store.transaction import Transaction

event = table_of(tables.EventRow)
cursor = table_of(tables.CursorRow)
wait = table_of(tables.WaitRow)
run = table_of(tables.RunRow)

RECEIVE = "receive"
RECEIVED = "received"
TIMED_OUT = "timed_out"
TIMED = (WaitKind.EVENT, WaitKind.MESSAGE)
OF_STREAM = (event.c.name == bindparam("name"), event.c.key == bindparam("key"))

STORE = Statement(insert(event).values({c.name: bindparam(c.name) for c in event.columns}))
BY_ID = Statement(select(event).where(event.c.id == bindparam("id")))
LAST = Statement(select(func.max(event.c.seq)).where(*OF_STREAM))
SINCE = Statement(
    select(event)
    .where(*OF_STREAM, event.c.sent_at >= bindparam("since"))
    .order_by(event.c.sent_at, event.c.seq)
    .limit(bindparam("limit"))
    .offset(const(0))
)
AFTER = Statement(
    select(event)
    .where(*OF_STREAM, event.c.seq > bindparam("seq"))
    .order_by(event.c.seq)
    .limit(bindparam("limit"))
    .offset(const(0))
)
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
BEGUN = Statement(select(run.c.created_at, run.c.forked_from).where(run.c.id == bindparam("run_id")))
_MINE = (
    cursor.c.run_id == bindparam("run_id"),
    cursor.c.name == bindparam("name"),
    cursor.c.key == bindparam("key"),
)
READ_TO = Statement(select(cursor.c.seq).where(*_MINE))
READ_ON = Statement(update(cursor).where(*_MINE).values(seq=bindparam("read_to")))
BEGIN = Statement(insert(cursor).values({c.name: bindparam(c.name) for c in cursor.columns}))
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
    """Store the event and answer who waits for it; the first one of this id, if there is one."""
    known = tx.row(BY_ID, {"id": request.id})
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
    }
    tx.run(STORE, values)
    sent = rows.event(tuple(values[c.name] for c in event.columns))
    _answer_events(tx, sent)
    _answer_messages(tx, sent)
    return sent


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


def _answer_events(tx: Transaction, sent: Event) -> None:
    """Every wait for it, of however many runs, gets it."""
    for run_id, key, due_at in waits.for_subject(tx, WaitKind.EVENT, event_subject(sent.name, sent.key)):
        if due_at is not None and due_at <= tx.now:
            _time_out(tx, run_id, key, WaitKind.EVENT, event_subject(sent.name, sent.key))
        else:
            waits.answer(tx, run_id, key, _received(sent, key, WaitKind.EVENT))


def _answer_messages(tx: Transaction, sent: Event) -> None:
    """Of each run that waits for it one wait gets it, the one that has waited longest."""
    subject = event_subject(sent.name, sent.key)
    served: set[str] = set()
    for run_id, key, due_at in waits.for_subject(tx, WaitKind.MESSAGE, subject):
        if due_at is not None and due_at <= tx.now:
            _time_out(tx, run_id, key, WaitKind.MESSAGE, subject)
        elif run_id not in served:
            served.add(run_id)
            _read_on(tx, run_id, sent)
            waits.answer(tx, run_id, key, _received(sent, key, WaitKind.MESSAGE))


def _received(sent: Event, key: str, kind: WaitKind) -> NewEntry:
    said = {
        "outcome": RECEIVED,
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
    found = _sent_before(tx, run_id, new)
    if found:
        if kind is WaitKind.MESSAGE:
            _read_on(tx, run_id, found[0])
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
        return _unread(tx, run_id, stream, new.since, limit=1)
    since = _from(tx, run_id, new.since)
    return [rows.event(row) for row in tx.rows(SINCE, stream | {"since": since, "limit": 1})]


def _unread(tx: Transaction, run_id: str, stream: dict[str, str], since: datetime | None, *, limit: int) -> list[Event]:
    """The next messages of the stream that the run has not had; `since` counts until it has had one."""
    read_to = tx.row(READ_TO, stream | {"run_id": run_id})
    if read_to is None:
        found = tx.rows(SINCE, stream | {"since": _from(tx, run_id, since), "limit": limit})
    else:
        found = tx.rows(AFTER, stream | {"seq": read_to[0], "limit": limit})
    return [rows.event(row) for row in found]


def _from(tx: Transaction, run_id: str, since: datetime | None) -> int:
    """From when on events count: where nothing else is said, from when the run, or what it is a fork of, began."""
    if since is not None:
        return to_micros(since)
    origin: str | None = run_id
    begun = tx.now
    while origin is not None and (row := tx.row(BEGUN, {"run_id": origin})) is not None:
        begun, origin = row
    return begun


def _read_on(tx: Transaction, run_id: str, last: Event) -> None:
    stream = {"run_id": run_id, "name": last.name, "key": last.key}
    if tx.run(READ_ON, stream | {"read_to": last.seq}) == 0:
        tx.run(BEGIN, stream | {"seq": last.seq})


def receive_events(tx: Transaction, lease: Lease, request: ReceiveEvents, entry: NewEntry) -> Sequence[Event]:
    """Give the run what it has not had yet, and record with `entry` that it has it."""
    stream = {"name": request.name, "key": request.key}
    found = _unread(tx, lease.run_id, stream, request.since, limit=request.limit)
    found = found[: _that_fit(found)]
    entry.output = f"[{','.join(one.payload for one in found)}]"
    entry.detail = json.dumps({"events": [one.id for one in found]}, ensure_ascii=False)
    journal.append(tx, lease, entry)
    if found:
        _read_on(tx, lease.run_id, found[-1])
    return found


def _that_fit(found: Sequence[Event]) -> int:
    """How many of the messages make an entry of bearable size: one at least."""
    size = 0
    for count, one in enumerate(found):
        size += len(one.payload)
        if size > LARGEST and count:
            return count
    return len(found)


LARGEST = 1024 * 1024


def read_as(tx: Transaction, run_id: str, entries: Iterable[Entry]) -> None:
    """Let a run that begins with these entries have had the messages they tell of, and read on after them."""
    for entry in entries:
        said = json.loads(entry.detail or "{}") if entry.operation in {WaitKind.MESSAGE, RECEIVE} else {}
        for event_id in [*said.get("events", ()), *([said["event"]] if said.get("outcome") == RECEIVED else ())]:
            row = tx.row(BY_ID, {"id": event_id})
            if row is not None:
                _read_on(tx, run_id, rows.event(row))


# -- time


def expire(tx: Transaction, limit: int) -> int:
    """Time out overdue waits, oldest first."""
    overdue = tx.rows(OVERDUE, {"now": tx.now, "limit": limit})
    for run_id, key, kind, subject in overdue:
        _time_out(tx, run_id, key, WaitKind(kind), subject)
    return len(overdue)


def _time_out(tx: Transaction, run_id: str, key: str, kind: WaitKind, subject: str) -> None:
    said = json.dumps({"outcome": TIMED_OUT, "event": subject}, ensure_ascii=False)
    waits.answer(tx, run_id, key, NewEntry(kind=EntryKind.WAIT_RESOLVED, key=key, operation=kind, detail=said))


# -- reading


def latest(tx: Transaction, name: str | None, limit: int) -> Sequence[Event]:
    """The latest events, of one name or of all, newest first."""
    statement: Any = LATEST if name is None else LATEST_NAMED
    params: dict[str, Any] = {"limit": limit} | ({} if name is None else {"name": name})
    return [rows.event(row) for row in tx.rows(statement, params)]
