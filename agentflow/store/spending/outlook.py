"""What a call of a model finds: the budgets over it, and whether anybody has a word for its run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, exists, func, select

from agentflow.records import CallOutlook
from agentflow.store import tables
from agentflow.store.rows import table_of
from agentflow.store.spending import usage
from agentflow.store.spending.budgets import OF_RUN, ROOT, budget, run, state
from agentflow.store.statements import Statement, const
from agentflow.store.waiting import streams

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentflow.requests import BeforeCall
    from agentflow.store.transaction import Row, Transaction

event = table_of(tables.EventRow)
cursor = table_of(tables.CursorRow)

_READ_TO = select(cursor.c.seq).where(
    cursor.c.run_id == bindparam("run_id"), cursor.c.name == bindparam("mail"), cursor.c.key == bindparam("run_id")
)
# Whether anything is to be looked for at all: a budget anywhere in the tree, a message past those the run has had.
GLANCE = Statement(
    select(
        exists(select(const(1)).where(budget.c.root_id == ROOT)),
        exists(
            select(const(1)).where(
                event.c.name == bindparam("mail"),
                event.c.key == run.c.id,
                event.c.seq > func.coalesce(_READ_TO.scalar_subquery(), const(0)),
            )
        ),
    ).where(run.c.id == bindparam("run_id"))
)


PARENT = Statement(select(run.c.parent_id, run.c.parent_key).where(run.c.id == bindparam("run_id")))


def before_call(tx: Transaction, request: BeforeCall) -> CallOutlook:
    """The budgets over the operation, nearest first, and whether there is mail. Most runs have neither: one look-up."""
    seen = tx.row(GLANCE, {"run_id": request.run_id, "mail": request.mail or ""})
    is_bound, may_have_mail = (False, False) if seen is None else seen
    found = tuple(state(tx, row) for row in _over(tx, request)) if is_bound else ()
    return CallOutlook(budgets=found, has_mail=bool(may_have_mail) and _has_mail(tx, request))


def _has_mail(tx: Transaction, request: BeforeCall) -> bool:
    """Whether receiving would give something: not what was sent before the run began."""
    stream = {"name": request.mail or "", "key": request.run_id}
    return bool(streams.unread(tx, request.run_id, stream, None, limit=1))


def _over(tx: Transaction, request: BeforeCall) -> Iterator[Row]:
    """The limits of the budgets whose scope the operation, or the run above that led to it, is in."""
    run_id: str | None = request.run_id
    key: str | None = request.key
    while run_id is not None:
        held_by_it = tx.rows(OF_RUN, {"run_id": run_id})
        yield from (limits for limits in sorted(held_by_it, key=_inner_first) if _is_within(key, limits[1]))
        run_id, key = tx.row(PARENT, {"run_id": run_id}) or (None, None)


def _inner_first(limits: Row) -> int:
    return -len(limits[1])


def _is_within(key: str | None, scope: str) -> bool:
    return not scope or (key is not None and key.startswith(scope + usage.SLASH))
