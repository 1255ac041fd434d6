"""What starts have taken of rates and budgets: a bucket's rows, each with the total so far.

What a span holds is the difference of two totals, found by two look-ups however many rows there are. The window slides:
a start counts until exactly `per` has passed since it, so that no span of that length ever holds more than allowed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, insert, select

from agentflow.clock import MICROSECOND
from agentflow.store import tables
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement, const

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from agentflow.limits import Limits, Rate
    from agentflow.store.transaction import Transaction

spend = table_of(tables.SpendRow)
_BUCKET = spend.c.bucket == bindparam("bucket")

LAST = Statement(
    select(spend.c.total, spend.c.at)
    .where(_BUCKET)
    .order_by(spend.c.at.desc(), spend.c.id.desc())
    .limit(const(1))
    .offset(const(0))
)
BEFORE = Statement(
    select(spend.c.total)
    .where(_BUCKET, spend.c.at <= bindparam("until"))
    .order_by(spend.c.at.desc(), spend.c.id.desc())
    .limit(const(1))
    .offset(const(0))
)
FIRST = Statement(
    select(spend.c.total - spend.c.amount)
    .where(_BUCKET)
    .order_by(spend.c.at, spend.c.id)
    .limit(const(1))
    .offset(const(0))
)
RELEASES = Statement(
    select(spend.c.at)
    .where(_BUCKET, spend.c.at > bindparam("until"), spend.c.total >= bindparam("enough"))
    .order_by(spend.c.at, spend.c.id)
    .limit(const(1))
    .offset(const(0))
)
SPEND = Statement(insert(spend).values({c.name: bindparam(c.name) for c in spend.columns if c.name != "id"}))
PRUNE = Statement(delete(spend).where(_BUCKET, spend.c.at <= bindparam("until")))


def buckets(queue: str, limits: Limits) -> list[tuple[str, Rate, bool]]:
    """What a start in this queue takes from: a bucket, its rate, and whether it takes its cost or just one."""
    found: list[tuple[str, Rate, bool]] = []
    if limits.rate is not None:
        found.append((f"queue:{queue}", limits.rate, False))
    if limits.budget is not None:
        found.append((f"budget:{limits.budget.name}", limits.budget.rate, True))
    return found


def spent(tx: Transaction, bucket: str, rate: Rate) -> int:
    """What the bucket's last `per` holds."""
    last = tx.row(LAST, {"bucket": bucket})
    until = tx.now - rate.per // MICROSECOND
    if last is None:
        return 0
    base = tx.row(BEFORE, {"bucket": bucket, "until": until}) or tx.row(FIRST, {"bucket": bucket})
    assert base is not None
    return int(last[0] - base[0])


def free_at(tx: Transaction, bucket: str, rate: Rate, need: int) -> int | None:
    """When `need` can be taken; None if it can now. More than the whole rate waits until the bucket holds nothing."""
    last = tx.row(LAST, {"bucket": bucket})
    if last is None or spent(tx, bucket, rate) + need <= rate.amount:
        return None
    enough = last[0] + min(need - rate.amount, 0)
    row = tx.row(RELEASES, {"bucket": bucket, "until": tx.now - rate.per // MICROSECOND, "enough": enough})
    return None if row is None else int(row[0]) + rate.per // MICROSECOND


def next_release_at(tx: Transaction, bucket: str, rate: Rate) -> int | None:
    """The instant at which the bucket next holds less; None if it holds nothing."""
    row = tx.row(RELEASES, {"bucket": bucket, "until": tx.now - rate.per // MICROSECOND, "enough": 0})
    return None if row is None else int(row[0]) + rate.per // MICROSECOND


def take(tx: Transaction, bucket: str, amounts: Sequence[tuple[str, int]], keep: timedelta) -> None:
    """Note what these runs took, and forget what is older than `keep`."""
    last = tx.row(LAST, {"bucket": bucket})
    total, at = (0, tx.now) if last is None else (last[0], max(tx.now, last[1]))  # a clock set back gives nothing back
    for run_id, amount in amounts:
        total += amount
        tx.run(SPEND, {"bucket": bucket, "at": at, "amount": amount, "total": total, "run_id": run_id})
    tx.run(PRUNE, {"bucket": bucket, "until": tx.now - keep // MICROSECOND})
