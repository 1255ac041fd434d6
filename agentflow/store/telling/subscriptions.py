"""Subscriptions: made, changed, disabled, enabled and removed. Lock order: the subscription, then its dispatches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, exists, func, insert, null, select, update

from agentflow.clock import MICROSECOND, from_micros
from agentflow.errors import SubscriptionNotFound
from agentflow.records import Subscriber
from agentflow.states import DispatchStatus
from agentflow.store import reads, rows, tables
from agentflow.store.keeping import removal
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement, by_index, const

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.records import Subscription
    from agentflow.requests import ChangeSubscription, NewSubscription, RotateSecret
    from agentflow.store.transaction import Transaction

subscription = table_of(tables.SubscriptionRow)
dispatch = table_of(tables.DispatchRow)
_ONE = subscription.c.id == bindparam("subscription_id")
_WAITS = dispatch.c.status == const(DispatchStatus.PENDING.value)
_NEXT = (
    select(func.min(dispatch.c.next_at))
    .where(dispatch.c.subscription_id == subscription.c.id, _WAITS)
    .with_hint(*by_index(dispatch, "ix_agentflow_dispatch_due"))
)
CHANGED = ("url", "events", "tasks", "description")

ADD = Statement(insert(subscription).values({c.name: bindparam(c.name) for c in subscription.columns}))
BY_ID = Statement(select(subscription).where(subscription.c.id == bindparam("id")))
HOLD = Statement(select(const(1)).where(_ONE).with_for_update())
ALL = Statement(select(subscription).order_by(subscription.c.id))
ENABLED = Statement(
    select(subscription, _NEXT.scalar_subquery().label("next_at"))
    .where(subscription.c.disabled_at.is_(None))
    .order_by(subscription.c.id)
)
CHANGE = Statement(update(subscription).where(_ONE).values({name: bindparam(name) for name in CHANGED}))
ROTATE = Statement(
    update(subscription)
    .where(_ONE)
    .values(
        previous_secret=subscription.c.secret,
        previous_until=bindparam("previous_until"),
        secret=bindparam("new_secret"),
    )
)
DISABLE = Statement(
    update(subscription)
    .where(_ONE, subscription.c.disabled_at.is_(None))
    .values(disabled_at=bindparam("now"), disabled_by=bindparam("by"), disabled_reason=bindparam("reason"))
)
ENABLE = Statement(
    update(subscription)
    .where(_ONE, subscription.c.disabled_at.is_not(None))
    .values(cursor=bindparam("head"), disabled_at=null(), disabled_by=null(), disabled_reason=null())
)
DISCARD = Statement(
    update(dispatch)
    .where(dispatch.c.subscription_id == bindparam("of"), _WAITS)
    .values(status=const(DispatchStatus.DISCARDED.value), next_at=null())
)
SOME = Statement(
    select(dispatch.c.id, func.substr(dispatch.c.payload, const(1), const(90)))
    .where(dispatch.c.subscription_id == bindparam("of"))
    .limit(bindparam("limit"))
    .offset(const(0))
)
REMOVE_DISPATCH = Statement(delete(dispatch).where(dispatch.c.id == bindparam("id")))
REMOVE = Statement(
    delete(subscription).where(
        _ONE, ~exists(select(const(1)).where(dispatch.c.subscription_id == bindparam("subscription_id")))
    )
)


def add(tx: Transaction, request: NewSubscription) -> Subscription:
    """It is told of what is entered from now on."""
    known = tx.row(BY_ID, {"id": request.id})
    if known is not None:
        return rows.subscription(known)
    values: dict[str, Any] = dict.fromkeys(subscription.columns.keys())
    values |= {name: getattr(request, name) for name in ("id", "secret", *CHANGED)}
    tx.run(ADD, values | {"cursor": reads.head(tx), "created_at": tx.now, "created_by": request.by})
    tx.touched.add("")
    return get(tx, request.id)


def get(tx: Transaction, subscription_id: str) -> Subscription:
    """The subscription. Raises `SubscriptionNotFound`."""
    row = tx.row(BY_ID, {"id": subscription_id})
    if row is None:
        raise SubscriptionNotFound(f"there is no subscription {subscription_id!r}")
    return rows.subscription(row)


def held(tx: Transaction, subscription_id: str) -> Subscription:
    """The subscription, which nobody else changes before the transaction ends."""
    if not tx.is_alone:
        tx.rows(HOLD, {"subscription_id": subscription_id})
    return get(tx, subscription_id)


def listed(tx: Transaction) -> Sequence[Subscription]:
    """The oldest first."""
    return [rows.subscription(row) for row in tx.rows(ALL, {})]


def enabled(tx: Transaction) -> Sequence[Subscriber]:
    """Those that are told, each with when something is next to be sent to it."""
    found = tx.rows(ENABLED, {})
    return [
        Subscriber(subscription=rows.subscription(row[:-1]), next_at=None if row[-1] is None else from_micros(row[-1]))
        for row in found
    ]


def change(tx: Transaction, request: ChangeSubscription) -> Subscription:
    """Changed for what is told from now on; what is on its way is sent to the new URL too."""
    before = held(tx, request.id)
    given = {name: value for name in CHANGED if (value := getattr(request, name)) is not None}
    values = {name: getattr(before, name) for name in CHANGED} | given
    tx.run(CHANGE, values | {"subscription_id": request.id})
    tx.touched.add("")
    return get(tx, request.id)


def rotate_secret(tx: Transaction, request: RotateSecret) -> Subscription:
    """The secret before signs, too, until then."""
    held(tx, request.id)
    until = tx.now + request.keep_for // MICROSECOND
    tx.run(ROTATE, {"subscription_id": request.id, "new_secret": request.secret, "previous_until": until})
    return get(tx, request.id)


def disable(tx: Transaction, subscription_id: str, by: str, reason: str) -> Subscription:
    """It is told nothing more, and what waits for it is discarded."""
    held(tx, subscription_id)
    if tx.run(DISABLE, {"subscription_id": subscription_id, "now": tx.now, "by": by, "reason": reason}):
        tx.run(DISCARD, {"of": subscription_id})
        tx.touched.add("")
    return get(tx, subscription_id)


def enable(tx: Transaction, subscription_id: str) -> Subscription:
    """It is told of what is entered from now on."""
    held(tx, subscription_id)
    tx.run(ENABLE, {"subscription_id": subscription_id, "head": reads.head(tx)})
    tx.touched.add("")
    return get(tx, subscription_id)


def remove(tx: Transaction, subscription_id: str, limit: int) -> bool:
    """Remove some of its dispatches and, with the last, itself."""
    disable(tx, subscription_id, "", "it is being removed")
    found = tx.rows(SOME, {"of": subscription_id, "limit": limit})
    for dispatch_id, _ in found:
        tx.run(REMOVE_DISPATCH, {"id": dispatch_id})
    removal.drop_blobs(tx, {payload for _, payload in found if payload.startswith("blob:")})
    tx.touched.add("")
    return tx.run(REMOVE, {"subscription_id": subscription_id}) > 0
