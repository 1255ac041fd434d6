"""What recorded attempts used of language models, kept with the entries that record them.

A run's rows are found by its id and a range of keys, those of the books by their day. They stay when the run goes.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, func, insert, select, union_all

from agentflow.clock import MICROSECOND, from_micros
from agentflow.records import Spent, UsageLine
from agentflow.store import journal, tables
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement, columns, const
from agentflow.store.tables.spending import SUMMED
from agentflow.usage import Usage, from_nanos, to_nanos

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import FromClause, Select

    from agentflow.requests import Lease, NewEntry
    from agentflow.store.transaction import Row, Transaction

usage = table_of(tables.UsageRow)
run = table_of(tables.RunRow)

MOST: Final = 1 << 40
"""Tokens that a call is taken at its word for; sums of so many stay what a column can hold."""
MOST_NANOS: Final = 1 << 50
LONGEST_NAME: Final = 200
DAY: Final = timedelta(days=1) // MICROSECOND
SLASH, PAST_SLASH = "/", "0"
"""What follows a scope's key in the keys within it, and the character after that one."""

NAMES = [name for name in columns(usage) if name != "id"]
KEEP = Statement(
    insert(usage).from_select(
        NAMES,
        select(
            *(run.c.task if name == "task" else bindparam(name, type_=usage.c[name].type) for name in NAMES),
        ).where(run.c.id == bindparam("run_id")),
    )
)
OF_RUN = Statement(select(usage).where(usage.c.run_id == bindparam("run_id")).order_by(usage.c.id))


def sums(of: FromClause) -> list[Any]:
    """The columns of `Spent`, over rows that have those of `SUMMED`."""
    added = (func.coalesce(func.sum(of.c[name]), const(0)) for name in SUMMED)
    return [func.count(), *added, func.count() - func.count(of.c.cost)]


def spent_of(row: Sequence[Any]) -> Spent:
    """What was spent, of a row of `sums`."""
    calls, went_in, came_out, cached, cost, unpriced = (int(value) for value in row)
    return Spent(
        calls=calls,
        input_tokens=went_in,
        output_tokens=came_out,
        cached_tokens=cached,
        cost=from_nanos(cost),
        unpriced=unpriced,
    )


def _rows(*which: Any) -> Select[Any]:
    return select(*(usage.c[name] for name in SUMMED)).where(*which)


def _below(*which: Any) -> Any:
    """The ids of a run's children that meet these conditions, and of all runs below those."""
    child = run.alias("child")
    first = select(run.c.id).where(run.c.parent_id == bindparam("run_id"), run.c.parent_id.is_not(None), *which)
    tree = first.cte("tree", recursive=True)
    return tree.union_all(select(child.c.id).where(child.c.parent_id == tree.c.id, child.c.parent_id.is_not(None)))


def _within(column: Any) -> tuple[Any, Any]:
    return column >= bindparam("first"), column < bindparam("past")


def _spent(tree: Any, *own: Any) -> Statement:
    """What these rows of the run's own, and all rows of the runs below, come to."""
    found = union_all(
        _rows(usage.c.run_id == bindparam("run_id"), *own), _rows(usage.c.run_id.in_(select(tree.c.id)))
    ).subquery("found")
    return Statement(select(*sums(found)))


BY_ALL = _spent(_below())
BY_SCOPE = _spent(_below(*_within(run.c.parent_key)), *_within(usage.c.key))


def append(tx: Transaction, lease: Lease, new: NewEntry) -> None:
    """Keep an entry of this turn and what it used. Raises `LeaseLost`, having kept neither."""
    journal.append(tx, lease, new)
    for one in new.usage:
        tx.run(KEEP, _values(tx, lease.run_id, new, one))


def _values(tx: Transaction, run_id: str, new: NewEntry, one: Usage) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "key": new.key or "",
        "attempt": new.attempt,
        "at": tx.now,
        "day": tx.now // DAY,
        "took": new.took,
        "model": one.model[:LONGEST_NAME],
        "input_tokens": min(one.input_tokens, MOST),
        "output_tokens": min(one.output_tokens, MOST),
        "cached_tokens": min(one.cached_tokens, MOST),
        "reasoning_tokens": min(one.reasoning_tokens, MOST),
        "cost": None if one.cost is None else min(to_nanos(one.cost), MOST_NANOS),
    }


def of_run(tx: Transaction, run_id: str) -> Sequence[UsageLine]:
    """What the recorded attempts of this run used, in their order."""
    return [_line(row) for row in tx.rows(OF_RUN, {"run_id": run_id})]


def _line(row: Row) -> UsageLine:
    one = dict(zip(columns(usage), row, strict=True))
    return UsageLine(
        id=one["id"],
        run_id=one["run_id"],
        task=one["task"],
        key=one["key"],
        attempt=one["attempt"],
        at=from_micros(one["at"]),
        took=None if one["took"] is None else timedelta(microseconds=one["took"]),
        usage=Usage(
            model=one["model"],
            input_tokens=one["input_tokens"],
            output_tokens=one["output_tokens"],
            cached_tokens=one["cached_tokens"],
            reasoning_tokens=one["reasoning_tokens"],
            cost=None if one["cost"] is None else from_nanos(one["cost"]),
        ),
    )


def spent(tx: Transaction, run_id: str, scope: str = "") -> Spent:
    """What the operations of a run within this scope, or all, and the runs below them have spent."""
    params = {"run_id": run_id}
    if scope:
        row = tx.row(BY_SCOPE, params | {"first": scope + SLASH, "past": scope + PAST_SLASH})
    else:
        row = tx.row(BY_ALL, params)
    assert row is not None
    return spent_of(row)
