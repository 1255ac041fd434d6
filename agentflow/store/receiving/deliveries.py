"""Receiving deliveries: the first of a webhook with an id counts, and starts one run in the transaction that keeps it.

The name of a delivery is locked before anything else, and by no other verb; so of a hundred that come at once one looks
first, and the others find what it has kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, insert, or_, select, update

from agentflow.clock import from_micros
from agentflow.errors import DeliveryMismatch, DeliveryNotFound, IdempotencyMismatch, SingletonTaken
from agentflow.ids import DELIVERY, new_id
from agentflow.records import Receipt
from agentflow.states import DeliveryOutcome
from agentflow.store import locks, rows, tables, triggering
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement, by_index, columns, const

if TYPE_CHECKING:
    from agentflow.records import Delivery
    from agentflow.requests import ReceiveDelivery
    from agentflow.store.transaction import Transaction

delivery = table_of(tables.DeliveryRow)

IS_CONFLICT = delivery.c.outcome == const(DeliveryOutcome.CONFLICT.value)
SAME_ID = (delivery.c.webhook == bindparam("webhook"), delivery.c.delivery_id == bindparam("delivery_id"))
COUNTS = (delivery.c.outcome != const(DeliveryOutcome.CONFLICT.value), delivery.c.redelivery_of.is_(None))
BESIDES = or_(IS_CONFLICT, delivery.c.redelivery_of.is_not(None))

FIRST = Statement(
    select(delivery)
    .where(*SAME_ID, *COUNTS)
    .with_hint(*by_index(delivery, "uq_agentflow_delivery_delivery_id_webhook"))
)
_OTHERS = (
    select(delivery)
    .where(*SAME_ID, BESIDES, delivery.c.digest == bindparam("digest"))
    .with_hint(*by_index(delivery, "ix_agentflow_delivery_others"))
    .order_by(delivery.c.received_at, delivery.c.id)
    .limit(const(1))
    .offset(const(0))
)
CONFLICT = Statement(_OTHERS.where(IS_CONFLICT, delivery.c.redelivery_of.is_(None)))
REDELIVERED = Statement(
    _OTHERS.where(delivery.c.outcome == const(DeliveryOutcome.STARTED.value), delivery.c.redelivery_of.is_not(None))
)
BY_ID = Statement(select(delivery).where(delivery.c.id == bindparam("id")))
ADD = Statement(insert(delivery).values({c.name: bindparam(c.name) for c in delivery.columns}))
_JUDGED = ("run_id", "outcome", "reason", "detail")
JUDGE = Statement(
    update(delivery)
    .where(delivery.c.id == bindparam("kept_id"), delivery.c.outcome == const(DeliveryOutcome.REFUSED.value))
    .values({name: bindparam(name) for name in _JUDGED})
)


def receive_delivery(tx: Transaction, request: ReceiveDelivery) -> Receipt | DeliveryMismatch:
    """The delivery with the one run its id ever starts; one of another body is kept, and then refused."""
    locks.names(tx, f"delivery:{request.webhook}:{request.delivery_id}")
    known = first(tx, request.webhook, request.delivery_id)
    if known is None:
        return Receipt(_add(tx, request), repeated=False)
    if known.digest != request.digest:
        return _mismatch(tx, request, known)
    if known.outcome is not DeliveryOutcome.REFUSED:
        return Receipt(known, repeated=True)
    return _judge_anew(tx, request, known)


def _judge_anew(tx: Transaction, request: ReceiveDelivery, known: Delivery) -> Receipt:
    """What was refused before becomes what it is now, unless a person had it started meanwhile."""
    redelivered = tx.row(REDELIVERED, _key(request) | {"digest": request.digest})
    if redelivered is not None:
        return Receipt(rows.delivery(redelivered), repeated=True)
    judged = _judgement(tx, request)
    tx.run(JUDGE, judged | {"kept_id": known.id})
    return Receipt(get(tx, known.id), repeated=False)


def _mismatch(tx: Transaction, request: ReceiveDelivery, known: Delivery) -> DeliveryMismatch:
    """The refusal, with this body kept beside the first: once, however often it is sent."""
    kept = tx.row(CONFLICT, _key(request) | {"digest": request.digest})
    if kept is None:
        reason = request.reason or "a delivery of this id came before with another body"
        judged = {"run_id": None, "outcome": DeliveryOutcome.CONFLICT.value, "reason": reason}
        conflict = _insert(tx, request, judged | {"detail": f"the first is {known.id}, with digest {known.digest}"})
    else:
        conflict = rows.delivery(kept)
    return DeliveryMismatch(
        webhook=request.webhook,
        delivery_id=request.delivery_id,
        first=known.id,
        run_id=known.run_id,
        kept_as=conflict.id,
    )


def redeliver(tx: Transaction, request: ReceiveDelivery) -> Delivery:
    """A delivery of its own, whatever became of the one it is made of."""
    assert request.redelivery_of is not None
    get(tx, request.redelivery_of)
    if request.id is not None:
        locks.names(tx, f"delivery:{request.id}")
        made = tx.row(BY_ID, {"id": request.id})
        if made is not None:
            return _made_before(rows.delivery(made), request)
    return _add(tx, request)


def _made_before(made: Delivery, request: ReceiveDelivery) -> Delivery:
    """Raises `IdempotencyMismatch`."""
    if made.redelivery_of != request.redelivery_of:
        raise IdempotencyMismatch(
            f"delivery {made.id} is no redelivery of {request.redelivery_of}; no run was made. Choose another id"
        )
    return made


def first(tx: Transaction, webhook: str, delivery_id: str) -> Delivery | None:
    """The delivery of this id that counts."""
    row = tx.row(FIRST, {"webhook": webhook, "delivery_id": delivery_id})
    return None if row is None else rows.delivery(row)


def get(tx: Transaction, id_: str) -> Delivery:
    """The delivery. Raises `DeliveryNotFound`."""
    row = tx.row(BY_ID, {"id": id_})
    if row is None:
        raise DeliveryNotFound(f"there is no delivery {id_!r}")
    return rows.delivery(row)


def _add(tx: Transaction, request: ReceiveDelivery) -> Delivery:
    return _insert(tx, request, _judgement(tx, request))


def _insert(tx: Transaction, request: ReceiveDelivery, judged: dict[str, Any]) -> Delivery:
    given = ("digest", "headers", "body", "encoding", "redelivery_of", "requested_by")
    values = _key(request) | {name: getattr(request, name) for name in given} | judged
    values |= {"id": request.id or new_id(DELIVERY, from_micros(tx.now)), "received_at": tx.now}
    tx.run(ADD, values)
    return rows.delivery(tuple(values[name] for name in columns(delivery)))


def _judgement(tx: Transaction, request: ReceiveDelivery) -> dict[str, Any]:
    """What became of the request, with the run that was made; where its singleton key met one, that."""
    assert (request.run is not None) == (request.outcome is DeliveryOutcome.STARTED)
    run_id = None
    if request.run is not None:
        try:
            run_id = triggering.trigger(tx, request.run).id
        except SingletonTaken as taken:  # nothing was written yet, and what is skipped is done with
            run_id = taken.run_id
    return {"run_id": run_id, "outcome": request.outcome.value, "reason": request.reason, "detail": request.detail}


def _key(request: ReceiveDelivery) -> dict[str, Any]:
    return {"webhook": request.webhook, "delivery_id": request.delivery_id}
