"""What was spent, by day, task and model: of the very rows that were kept with the entries, so it adds up to them.

They are summed along an index that has them in this order: of a million calls in a year, a month in forty milliseconds
and all in half a second. A table of sums would be read sooner, and every call of a model on every worker would wait for
its turn to add to the same row.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, select

from agentflow.clock import from_micros, to_micros
from agentflow.records import CostsRow
from agentflow.store.spending.usage import DAY, spent_of, sums, usage
from agentflow.store.statements import Statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.requests import CostsFilter
    from agentflow.store.transaction import Row, Transaction


@cache
def _summed(*narrowed: str) -> Statement:
    """The sums of a span; of one task or model only, where `narrowed` says so."""
    by = (usage.c.day, usage.c.task, usage.c.model)
    which = [usage.c[name] == bindparam(name) for name in narrowed]
    return Statement(
        select(*by, *sums(usage))
        .where(
            usage.c.day.between(bindparam("first"), bindparam("last")),
            usage.c.at >= bindparam("since"),
            usage.c.at < bindparam("until"),
            *which,
        )
        .group_by(*by)
    )


def costs(tx: Transaction, which: CostsFilter) -> Sequence[CostsRow]:
    """What was spent in the span, the newest day first."""
    since, until = to_micros(which.since), to_micros(which.until)
    given = {"task": which.task, "model": which.model}
    narrowed = {name: value for name, value in given.items() if value is not None}
    params = {"since": since, "until": until, "first": since // DAY, "last": until // DAY} | narrowed
    return [
        CostsRow(day=from_micros(day * DAY).date(), task=task, model=model, spent=spent_of(spent))
        for day, task, model, *spent in sorted(tx.rows(_summed(*sorted(narrowed)), params), key=_newest_first)
    ]


def _newest_first(row: Row) -> tuple[int, str, str]:
    day, task, model, *_ = row
    return -day, task, model
