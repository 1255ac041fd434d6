"""Dispatches: stored with their subscription's cursor, claimed by one sender at a time, settled, sent again.

A claim moves `next_at` on, which is both the hold and the fence: who settles says until when it held. A sender that
died is followed by another once the hold is over, with the same message.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, exists, func, insert, select, tuple_, update

from agentflow.clock import MICROSECOND, from_micros, to_micros
from agentflow.errors import AgentflowError, DispatchNotFound, SubscriptionDisabled
from agentflow.records import Page
from agentflow.requests import EventType, NewDispatch
from agentflow.states import DispatchStatus
from agentflow.store import rows, tables
from agentflow.store.cursors import place_of
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement, by_index, const
from agentflow.store.telling import subscriptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.records import Dispatch, Subscription
    from agentflow.requests import ClaimDispatches, DispatchFilter, Ping, SettleDispatch, Tell
    from agentflow.store.transaction import Transaction

subscription = subscriptions.subscription
dispatch = table_of(tables.DispatchRow)
GIVEN: Final = ("id", "event", "key", "run_id", "entry_id", "payload")
MOST_LOGGED: Final = 20
GONE: Final = "the subscriber answered 410 Gone"

MOVE = Statement(
    update(subscription)
    .where(
        subscription.c.id == bindparam("subscription_id"),
        subscription.c.cursor == bindparam("from"),
        subscription.c.disabled_at.is_(None),
    )
    .values(cursor=bindparam("until"))
)
_NAMES = [column.name for column in dispatch.columns]
ADD = Statement(
    insert(dispatch).from_select(
        _NAMES,
        select(*(bindparam(name, type_=dispatch.c[name].type) for name in _NAMES)).where(
            ~exists(
                select(const(1)).where(
                    dispatch.c.subscription_id == bindparam("subscription_id"), dispatch.c.key == bindparam("key")
                )
            )
        ),
    )
)
_IS_PENDING = dispatch.c.status == const(DispatchStatus.PENDING.value)
DUE = Statement(
    select(dispatch)
    .where(dispatch.c.subscription_id == bindparam("of"), _IS_PENDING, dispatch.c.next_at <= bindparam("now"))
    .with_hint(*by_index(dispatch, "ix_agentflow_dispatch_due"))
    .order_by(dispatch.c.next_at, dispatch.c.entry_id)
    .limit(bindparam("limit"))
    .offset(const(0))
    .with_for_update(skip_locked=True)
)
TAKE = Statement(
    update(dispatch)
    .where(dispatch.c.id == bindparam("dispatch_id"))
    .values(next_at=bindparam("until"), attempts=dispatch.c.attempts + const(1))
)
BY_ID = Statement(select(dispatch).where(dispatch.c.id == bindparam("id")))
OF = Statement(select(dispatch.c.subscription_id).where(dispatch.c.id == bindparam("id")))
HELD = Statement(
    select(dispatch.c.log)
    .where(dispatch.c.id == bindparam("id"), dispatch.c.next_at == bindparam("until"), _IS_PENDING)
    .with_for_update()
)
SETTLE = Statement(
    update(dispatch)
    .where(dispatch.c.id == bindparam("dispatch_id"))
    .values(
        status=bindparam("status"),
        next_at=bindparam("next_at"),
        delivered_at=func.coalesce(bindparam("delivered_at"), dispatch.c.delivered_at),
        log=bindparam("log"),
    )
)
RESEND = Statement(
    update(dispatch)
    .where(dispatch.c.id == bindparam("dispatch_id"))
    .values(
        status=const(DispatchStatus.PENDING.value),
        next_at=bindparam("now"),
        attempts=const(0),
        requested_by=bindparam("by"),
    )
)


def tell(tx: Transaction, request: Tell) -> bool:
    """Move the cursor, and with it store what is to be sent."""
    place = {"subscription_id": request.subscription_id, "from": request.cursor, "until": request.until}
    if not tx.run(MOVE, place):
        return False
    for one in request.dispatches:
        _add(tx, request.subscription_id, one)
    if request.dispatches:
        tx.touched.add("")
    return True


def _add(tx: Transaction, subscription_id: str, new: NewDispatch, by: str | None = None) -> None:
    values: dict[str, Any] = {name: getattr(new, name) for name in GIVEN}
    values |= {"subscription_id": subscription_id, "status": DispatchStatus.PENDING.value, "attempts": 0, "log": "[]"}
    values |= {"next_at": tx.now, "created_at": tx.now, "delivered_at": None, "requested_by": by}
    tx.run(ADD, values)


def claim_dispatches(tx: Transaction, request: ClaimDispatches) -> Sequence[Dispatch]:
    """Take some that are due, in the order in which things happened."""
    found = tx.rows(DUE, {"of": request.subscription_id, "now": tx.now, "limit": request.limit})
    until = tx.now + request.hold_for // MICROSECOND
    for row in found:
        tx.run(TAKE, {"dispatch_id": row[0], "until": until})
    return [get(tx, row[0]) for row in found]


def get(tx: Transaction, dispatch_id: str) -> Dispatch:
    """The dispatch. Raises `DispatchNotFound`."""
    row = tx.row(BY_ID, {"id": dispatch_id})
    if row is None:
        raise DispatchNotFound(f"there is no dispatch {dispatch_id!r}")
    return rows.dispatch(row)


def settle_dispatch(tx: Transaction, request: SettleDispatch) -> bool:
    """Keep how the attempt went, if it is still this one's to say."""
    owner = tx.row(OF, {"id": request.id}) if request.is_gone else None
    if owner is not None and not tx.is_alone:
        tx.rows(subscriptions.HOLD, {"subscription_id": owner[0]})
    held = tx.row(HELD, {"id": request.id, "until": to_micros(request.held_until)})
    if held is None:
        return False
    is_delivered = request.outcome is DispatchStatus.DELIVERED
    values = {
        "dispatch_id": request.id,
        "status": request.outcome.value,
        "next_at": None if request.again_in is None else tx.now + request.again_in // MICROSECOND,
        "delivered_at": tx.now if is_delivered else None,
        "log": _logged(held[0], request, tx.now),
    }
    tx.run(SETTLE, values)
    if owner is not None:
        subscriptions.disable(tx, owner[0], "agentflow", GONE)
    tx.touched.add("")
    return True


def _logged(log: str, request: SettleDispatch, now: int) -> str:
    took = round(request.took.total_seconds(), 3)
    one = {"at": from_micros(now).isoformat(), "status": request.status, "error": request.error, "took": took}
    return json.dumps([*json.loads(log), one][-MOST_LOGGED:], ensure_ascii=False)


def resend(tx: Transaction, dispatch_id: str, by: str) -> Dispatch | AgentflowError:
    """Due now, as if it had never been sent."""
    refusal = _refusal(subscriptions.held(tx, get(tx, dispatch_id).subscription_id))
    if refusal is not None:
        return refusal
    tx.run(RESEND, {"dispatch_id": dispatch_id, "now": tx.now, "by": by})
    tx.touched.add("")
    return get(tx, dispatch_id)


def ping(tx: Transaction, request: Ping) -> Dispatch | AgentflowError:
    """One more to be sent."""
    refusal = _refusal(subscriptions.held(tx, request.subscription_id))
    if refusal is not None:
        return refusal
    key = f"{EventType.PING}.{request.id}"
    new = NewDispatch(id=request.id, event=EventType.PING, key=key, run_id="", entry_id=0, payload=request.payload)
    _add(tx, request.subscription_id, new, request.by)
    tx.touched.add("")
    return get(tx, request.id)


def _refusal(found: Subscription) -> AgentflowError | None:
    if found.disabled_at is None:
        return None
    return SubscriptionDisabled(subscription_id=found.id, reason=found.disabled_reason or "")


@cache
def _listing(status: str, of_one: bool, cursor: bool) -> Statement:
    found = select(dispatch)
    if status:
        found = found.where(dispatch.c.status == const(status))
        if status != DispatchStatus.DELIVERED:
            found = found.where(dispatch.c.status != const(DispatchStatus.DELIVERED.value))
    if of_one:
        found = found.where(dispatch.c.subscription_id == bindparam("subscription_id"))
    place = tuple_(dispatch.c.created_at, dispatch.c.id)
    if cursor:
        found = found.where(place < tuple_(bindparam("cursor_at"), bindparam("cursor_id")))
    ordered = found.order_by(dispatch.c.created_at.desc(), dispatch.c.id.desc())
    return Statement(ordered.limit(bindparam("limit")).offset(const(0)), brief=True)


def listed(tx: Transaction, which: DispatchFilter) -> Page[Dispatch]:
    """The newest first."""
    status = "" if which.status is None else DispatchStatus(which.status).value
    statement = _listing(status, which.subscription_id is not None, bool(which.cursor))
    params: dict[str, Any] = {"subscription_id": which.subscription_id, "limit": which.limit + 1}
    if which.cursor:
        at, last_id = place_of(which.cursor)
        params |= {"cursor_at": at, "cursor_id": last_id}
    found = [rows.dispatch(row) for row in tx.rows(statement, params)]
    page = found[: which.limit]
    last = f"{to_micros(page[-1].created_at)}.{page[-1].id}" if len(found) > which.limit else None
    return Page(page, last)
