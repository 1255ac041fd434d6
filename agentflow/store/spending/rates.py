"""Rates that all workers share: how often a key's calls may be made, and until when none of them.

They are kept as those of queues are (`queueing/spending.py`): no span of the rate's length ever holds more calls than
it allows. A key has one rate; what was taken at another counts for as long as the shorter of the two remembers it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, insert, select, update

from agentflow.clock import MICROSECOND, from_micros
from agentflow.limits import Rate
from agentflow.store import locks, tables
from agentflow.store.queueing import spending
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from agentflow.requests import TakeRate
    from agentflow.store.transaction import Transaction

hold = table_of(tables.RateHoldRow)

HELD_UNTIL = Statement(select(hold.c.until).where(hold.c.key == bindparam("key")))
HOLD = Statement(insert(hold).values({c.name: bindparam(c.name) for c in hold.columns}))
HOLD_LONGER = Statement(
    update(hold)
    .where(hold.c.key == bindparam("of_key"), hold.c.until < bindparam("until"))
    .values(until=bindparam("until"))
)


def take_rate(tx: Transaction, request: TakeRate) -> datetime | None:
    """None if the call may be made, which counts from now on; else from when on to try again: nothing was taken."""
    bucket, rate = _bucket(request.key), Rate(request.amount, request.per)
    locks.names(tx, bucket)
    held_until = tx.row(HELD_UNTIL, {"key": request.key})
    if held_until is not None and held_until[0] > tx.now:
        return from_micros(held_until[0])
    free_at = spending.free_at(tx, bucket, rate, request.cost)
    if free_at is not None:
        return from_micros(free_at)
    spending.take(tx, bucket, [(request.run_id, request.cost)], request.per)
    return None


def hold_off(tx: Transaction, key: str, delay: timedelta) -> None:
    """Let no call of the key pass for this long; where a longer time stands, it does."""
    locks.names(tx, _bucket(key))
    until = tx.now + delay // MICROSECOND
    if tx.row(HELD_UNTIL, {"key": key}) is None:
        tx.run(HOLD, {"key": key, "until": until})
    else:
        tx.run(HOLD_LONGER, {"of_key": key, "until": until})


def _bucket(key: str) -> str:
    return f"rate:{key}"
