"""Matches: an event and a listener whose pattern it fits, stored with the event in its transaction."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, exists, func, insert, select

from agentflow.records import PendingMatch
from agentflow.requests.listening import MATCHES
from agentflow.requests.patterns import fits
from agentflow.states import MatchStatus
from agentflow.store import rows, tables
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement, by_index, const

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import BindParameter

    from agentflow.records import Event, Match
    from agentflow.requests import MatchFilter
    from agentflow.store.transaction import Transaction

listener = table_of(tables.ListenerRow)
match_ = table_of(tables.MatchRow)
event = table_of(tables.EventRow)

PENDING = match_.c.status == const(MatchStatus.PENDING.value)
THIS = (match_.c.event_id == bindparam("of_event"), match_.c.listener_id == bindparam("of_listener"))

IS_LISTENED = exists(select(const(1)).select_from(listener))
LISTENING = Statement(select(listener.c.id, listener.c.pattern).order_by(listener.c.id))
ADD = Statement(insert(match_).values({c.name: bindparam(c.name) for c in match_.columns}))
ONE = Statement(select(match_).where(*THIS))
WAITING = Statement(
    select(match_.c.listener_id, func.count())
    .where(PENDING)
    .with_hint(*by_index(match_, "ix_agentflow_match_pending"))
    .group_by(match_.c.listener_id)
)


# -- matching


def match(tx: Transaction, sent: Event) -> None:
    """Note for each listener whose pattern it fits that it is to be asked about the event."""
    values = {"event_id": sent.id, "status": MatchStatus.PENDING.value, "created_at": tx.now}
    values |= dict.fromkeys(("run_id", "reason", "settled_at"))
    for listener_id, pattern in tx.rows(LISTENING, {}):
        if fits(pattern, sent.name):
            tx.run(ADD, values | {"listener_id": listener_id})
            announce(tx)


def announce(tx: Transaction) -> None:
    """Let whoever settles matches hear of it after the commit."""
    tx.touched.add(MATCHES)
    tx.moved.add(MATCHES)


def this(event_id: str, listener_id: str) -> dict[str, Any]:
    """What names a match to a statement with `THIS`."""
    return {"of_event": event_id, "of_listener": listener_id}


def one(tx: Transaction, key: Mapping[str, Any]) -> Match | None:
    """The match of this event and listener, None if there is none."""
    row = tx.row(ONE, key)
    return None if row is None else rows.match(row)


# -- reading


@cache
def pending_of(count: int) -> Statement:
    """The oldest pending matches of so many listeners, with their events."""
    ids: list[BindParameter[str]] = [bindparam(f"id{n}") for n in range(count)]
    return Statement(
        select(*event.columns, match_.c.listener_id)
        .where(match_.c.event_id == event.c.id, PENDING, match_.c.listener_id.in_(ids))
        .with_hint(*by_index(match_, "ix_agentflow_match_pending"))
        .order_by(match_.c.created_at, match_.c.event_id)
        .limit(bindparam("limit"))
        .offset(const(0))
    )


@cache
def of_events(count: int) -> Statement:
    """The matches of so many events."""
    ids: list[BindParameter[str]] = [bindparam(f"id{n}") for n in range(count)]
    return Statement(select(match_).where(match_.c.event_id.in_(ids)).order_by(match_.c.event_id, match_.c.listener_id))


@cache
def latest(of_listener: bool, status: MatchStatus | None) -> Statement:
    """The latest matches, along the index of what they are asked by."""
    found = select(match_)
    if of_listener:
        found = found.where(match_.c.listener_id == bindparam("of_listener"))
    if status is not None:
        found = found.where(match_.c.status == const(status.value))
    order = (match_.c.created_at.desc(), match_.c.event_id.desc())
    return Statement(found.order_by(*order).limit(bindparam("limit")).offset(const(0)))


def pending(tx: Transaction, listener_ids: Sequence[str], limit: int) -> Sequence[PendingMatch]:
    """The oldest pending matches of these listeners."""
    if not listener_ids:
        return []
    ids = {f"id{n}": one for n, one in enumerate(listener_ids)}
    found = tx.rows(pending_of(len(listener_ids)), ids | {"limit": limit})
    return [PendingMatch(listener_id=row[-1], event=rows.event(row[:-1])) for row in found]


def of(tx: Transaction, event_ids: Sequence[str]) -> Sequence[Match]:
    """What became of these events, by event and listener."""
    if not event_ids:
        return []
    return [
        rows.match(row) for row in tx.rows(of_events(len(event_ids)), {f"id{n}": e for n, e in enumerate(event_ids)})
    ]


def recent(tx: Transaction, which: MatchFilter) -> Sequence[Match]:
    """The latest matches, newest first."""
    given: dict[str, Any] = {"limit": which.limit}
    if which.listener_id is not None:
        given["of_listener"] = which.listener_id
    return [rows.match(row) for row in tx.rows(latest(which.listener_id is not None, which.status), given)]


def waiting(tx: Transaction) -> Mapping[str, int]:
    """How many events wait for each listener that any waits for."""
    return {listener_id: count for listener_id, count in tx.rows(WAITING, {})}  # noqa: C416  rows are tuples of Any
