"""Listing deliveries, without their bodies and by keyset: a page costs the same whichever page it is."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, func, literal_column, select, tuple_

from agentflow.records import Page
from agentflow.states import DeliveryOutcome
from agentflow.store import rows
from agentflow.store.cursors import place_of
from agentflow.store.receiving.deliveries import BESIDES, COUNTS, SAME_ID, delivery
from agentflow.store.statements import Statement, by_index, columns, const

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentflow.records import Delivery
    from agentflow.requests import DeliveryFilter
    from agentflow.store.transaction import Row, Transaction

BODYLESS = [literal_column("NULL").label("body") if one.name == "body" else one for one in delivery.columns]
NEWEST_FIRST = (delivery.c.received_at.desc(), delivery.c.id.desc())
MOST_OF_AN_ID = 100
RECEIVED_AT, ID = (columns(delivery).index(name) for name in ("received_at", "id"))
FILTERS = {name: delivery.c[name] == bindparam(name) for name in ("webhook", "outcome")}


@cache
def of_id(webhook: bool) -> tuple[Statement, Statement]:
    """What counts of an id, of one webhook or of any, and what there is besides."""
    found = select(*BODYLESS).where(*(SAME_ID if webhook else (delivery.c.delivery_id == bindparam("delivery_id"),)))
    newest_first = found.order_by(*NEWEST_FIRST).limit(const(MOST_OF_AN_ID)).offset(const(0))
    return (
        Statement(
            newest_first.where(*COUNTS).with_hint(*by_index(delivery, "uq_agentflow_delivery_delivery_id_webhook"))
        ),
        Statement(newest_first.where(BESIDES).with_hint(*by_index(delivery, "ix_agentflow_delivery_others"))),
    )


_LATEST = (
    select(delivery.c.outcome)
    .where(delivery.c.webhook == bindparam("webhook"))
    .order_by(*NEWEST_FIRST)
    .limit(bindparam("limit"))
    .offset(const(0))
    .subquery()
)
OUTCOMES = Statement(select(_LATEST.c.outcome, func.count()).group_by(_LATEST.c.outcome))


@cache
def listing(filters: frozenset[str], cursor: bool) -> Statement:
    """The statement that lists by these filters, from a cursor on or from the newest."""
    found = select(*BODYLESS).where(*(FILTERS[name] for name in sorted(filters)))
    if cursor:
        place = tuple_(bindparam("cursor_at"), bindparam("cursor_id"))
        found = found.where(tuple_(delivery.c.received_at, delivery.c.id) < place)
    return Statement(found.order_by(*NEWEST_FIRST).limit(bindparam("limit")).offset(const(0)))


def listed(tx: Transaction, which: DeliveryFilter) -> Page[Delivery]:
    """Deliveries, newest first."""
    outcome = None if which.outcome is None else DeliveryOutcome(which.outcome).value
    given = {name: value for name, value in (("webhook", which.webhook), ("outcome", outcome)) if value is not None}
    params = {**given, "limit": which.limit + 1}
    if which.cursor:
        at, last_id = place_of(which.cursor)
        params |= {"cursor_at": at, "cursor_id": last_id}
    found = tx.rows(listing(frozenset(given), bool(which.cursor)), params)
    page = [rows.delivery(row) for row in found[: which.limit]]
    return Page(page, _cursor(found[which.limit - 1]) if len(found) > which.limit else None)


def _cursor(row: Row) -> str:
    return f"{row[RECEIVED_AT]}.{row[ID]}"


def same_id(tx: Transaction, delivery_id: str, webhook: str | None) -> Sequence[Delivery]:
    """Every delivery of this id, newest first; the one that counts is among them however many there are."""
    params = {"delivery_id": delivery_id} | ({} if webhook is None else {"webhook": webhook})
    found = [row for statement in of_id(webhook is not None) for row in tx.rows(statement, params)]
    newest_first = sorted(found, key=lambda row: (row[RECEIVED_AT], row[ID]), reverse=True)
    return [rows.delivery(row) for row in newest_first]


def latest_outcomes(tx: Transaction, webhook: str, limit: int) -> Mapping[DeliveryOutcome, int]:
    """What became of the webhook's latest deliveries."""
    found = tx.rows(OUTCOMES, {"webhook": webhook, "limit": limit})
    return {DeliveryOutcome(outcome): count for outcome, count in found}
