"""Streams of messages: the events of one name and key in their order, and how far each run has read them.

The cursor that says how far moves in the transaction that gives a run what it had not had.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, insert, select, update

from agentflow.clock import to_micros
from agentflow.errors import EventNotFound
from agentflow.states import WaitKind
from agentflow.store import locks, rows, tables
from agentflow.store.rows import table_of
from agentflow.store.spending import entries
from agentflow.store.statements import Statement, const

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from agentflow.records import Entry, Event
    from agentflow.requests import Lease, NewEntry, ReceiveEvents
    from agentflow.store.transaction import Transaction

event = table_of(tables.EventRow)
cursor = table_of(tables.CursorRow)
run = table_of(tables.RunRow)

RECEIVE = "receive"
RECEIVED = "received"
LARGEST = 1024 * 1024
OF_STREAM = (event.c.name == bindparam("name"), event.c.key == bindparam("key"))

BY_ID = Statement(select(event).where(event.c.id == bindparam("id")))
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
BEGUN = Statement(select(run.c.created_at, run.c.forked_from).where(run.c.id == bindparam("run_id")))
_MINE = (
    cursor.c.run_id == bindparam("run_id"),
    cursor.c.name == bindparam("name"),
    cursor.c.key == bindparam("key"),
)
READ_TO = Statement(select(cursor.c.seq).where(*_MINE))
READ_ON = Statement(update(cursor).where(*_MINE).values(seq=bindparam("read_to")))
BEGIN = Statement(insert(cursor).values({c.name: bindparam(c.name) for c in cursor.columns}))


def by_id(tx: Transaction, event_id: str) -> Event:
    """The event of this id. Raises `EventNotFound`."""
    row = tx.row(BY_ID, {"id": event_id})
    if row is None:
        raise EventNotFound(f"there is no event {event_id!r}; it may have been removed with age")
    return rows.event(row)


def unread(tx: Transaction, run_id: str, stream: dict[str, str], since: datetime | None, *, limit: int) -> list[Event]:
    """The next messages of the stream that the run has not had; `since` counts until it has had one."""
    read_to = tx.row(READ_TO, stream | {"run_id": run_id})
    if read_to is None:
        found = tx.rows(SINCE, stream | {"since": from_when(tx, run_id, since), "limit": limit})
    else:
        found = tx.rows(AFTER, stream | {"seq": read_to[0], "limit": limit})
    return [rows.event(row) for row in found]


def from_when(tx: Transaction, run_id: str, since: datetime | None) -> int:
    """From when on events count: where nothing else is said, from when the run, or what it is a fork of, began."""
    if since is not None:
        return to_micros(since)
    origin: str | None = run_id
    begun = tx.now
    while origin is not None and (row := tx.row(BEGUN, {"run_id": origin})) is not None:
        begun, origin = row
    return begun


def read_on(tx: Transaction, run_id: str, last: Event) -> None:
    """Note that the run has had the stream's messages up to this one."""
    stream = {"run_id": run_id, "name": last.name, "key": last.key}
    if tx.run(READ_ON, stream | {"read_to": last.seq}) == 0:
        tx.run(BEGIN, stream | {"seq": last.seq})


def receive_events(tx: Transaction, lease: Lease, request: ReceiveEvents, entry: NewEntry) -> Sequence[Event]:
    """Give the run what it has not had yet, and record with `entry` that it has it."""
    stream = {"name": request.name, "key": request.key}
    locks.run_of(tx, lease.run_id)
    found = unread(tx, lease.run_id, stream, request.since, limit=request.limit)
    found = found[: _that_fit(found)]
    entry.output = f"[{','.join(one.payload for one in found)}]"
    entry.detail = json.dumps({"events": [one.id for one in found]}, ensure_ascii=False)
    entries.append(tx, lease, entry)
    if found:
        read_on(tx, lease.run_id, found[-1])
    return found


def _that_fit(found: Sequence[Event]) -> int:
    """How many of the messages make an entry of bearable size: one at least."""
    size = 0
    for count, one in enumerate(found):
        size += len(one.payload)
        if size > LARGEST and count:
            return count
    return len(found)


def read_as(tx: Transaction, run_id: str, entries: Iterable[Entry]) -> None:
    """Let a run that begins with these entries have had the messages they tell of, and read on after them."""
    for entry in entries:
        said = json.loads(entry.detail or "{}") if entry.operation in {WaitKind.MESSAGE, RECEIVE} else {}
        for event_id in [*said.get("events", ()), *([said["event"]] if said.get("outcome") == RECEIVED else ())]:
            row = tx.row(BY_ID, {"id": event_id})
            if row is not None:
                read_on(tx, run_id, rows.event(row))
