"""What a verb locks where several transactions write at once; where they take turns, nothing.

A transaction reads what was committed when its statement began, so a verb that looks and then writes locks first and
looks afterwards. The order, always, so that two of them do not wait for each other: parents before children, runs
before names, names in their order. Where two still do, across the verbs of a batch, one gives up and is tried again.

Whoever answers a wait locks its run first, and a turn that parks looks at its waits with the run locked; so one of the
two sees the other, and no wake-up is missed.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, func, select, union

from agentflow.states import WaitKind
from agentflow.store import tables
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement, const

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import BindParameter

    from agentflow.store.transaction import Transaction

run = table_of(tables.RunRow)
wait = table_of(tables.WaitRow)

_PARENT = select(run.c.parent_id).where(run.c.id == bindparam("run_id"))
_WAITING = select(wait.c.run_id).where(
    wait.c.subject == bindparam("run_id"),
    wait.c.kind == const(WaitKind.CHILD.value),
    wait.c.kind != const(WaitKind.APPROVAL.value),  # so that the index of subjects serves
)
ONE = Statement(select(const(1)).where(run.c.id == bindparam("run_id")).with_for_update())
PARENTS = Statement(select(run.c.id).where(run.c.id.in_(union(_PARENT, _WAITING))).order_by(run.c.id).with_for_update())


@cache
def _several(count: int) -> Statement:
    ids: list[BindParameter[str]] = [bindparam(f"id{n}") for n in range(count)]
    return Statement(select(run.c.id).where(run.c.id.in_(ids)).order_by(run.c.id).with_for_update())


@cache
def _named(count: int) -> Statement:
    keys = (func.hashtextextended(bindparam(f"name{n}"), const(0)) for n in range(count))
    return Statement(select(*(func.pg_advisory_xact_lock(key) for key in keys)))


def run_of(tx: Transaction, run_id: str) -> None:
    """Hold this run until the end of the transaction."""
    if not tx.is_alone:
        tx.rows(ONE, {"run_id": run_id})


def runs_of(tx: Transaction, run_ids: Collection[str]) -> None:
    """Hold these runs."""
    ids = sorted(set(run_ids))
    if ids and not tx.is_alone:
        tx.rows(_several(len(ids)), {f"id{n}": run_id for n, run_id in enumerate(ids)})


def parents_of(tx: Transaction, run_id: str) -> None:
    """Hold the runs that wait for the end of this one."""
    if not tx.is_alone:
        tx.rows(PARENTS, {"run_id": run_id})


def before_end(tx: Transaction, run_id: str) -> None:
    """Hold a run that is to end, and before it the runs that wait for its end."""
    parents_of(tx, run_id)
    run_of(tx, run_id)


def names(tx: Transaction, *wanted: str) -> None:
    """Hold what has no row of its own to lock: a stream of events, a queue's count, a breaker."""
    if wanted and not tx.is_alone:
        ordered = sorted(set(wanted))
        tx.rows(_named(len(ordered)), {f"name{n}": name for n, name in enumerate(ordered)})
