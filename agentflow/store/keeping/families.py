"""Which runs may be removed: those that ended, that no run still open could ask for, and that were told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import and_, bindparam, case, exists, func, or_, select

from agentflow.clock import to_micros
from agentflow.requests import Kept
from agentflow.states import WaitKind
from agentflow.store import locks, tables
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement, const
from agentflow.store.waiting.waits import SOUGHT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agentflow.requests import Prune
    from agentflow.store.transaction import Row, Transaction

run = table_of(tables.RunRow)
wait = table_of(tables.WaitRow)
journal = table_of(tables.EntryRow)
subscription = table_of(tables.SubscriptionRow)
parent = run.alias("parent")
child = run.alias("child")
fork = run.alias("fork")

PAGE = Statement(
    select(run.c.id, run.c.task, run.c.status, run.c.created_at, run.c.finished_at, run.c.pruned_at)
    .where(run.c.id > bindparam("after"))
    .order_by(run.c.id)
    .limit(bindparam("limit"))
    .offset(const(0))
)
_one = run.c.id == bindparam("run_id")
# Each look-up goes by an index of its own. A fork's journal tells of its original's children, so they stay with it.
WANTED = Statement(
    select(const(1)).where(
        or_(
            exists(
                select(const(1)).where(
                    _one,
                    parent.c.id == run.c.parent_id,
                    or_(parent.c.finished_at.is_(None), parent.c.finished_at >= bindparam("before")),
                )
            ),
            exists(
                select(const(1)).where(
                    child.c.parent_id == bindparam("run_id"),
                    child.c.parent_id.is_not(None),
                    child.c.finished_at.is_(None),
                )
            ),
            exists(
                select(const(1)).where(
                    fork.c.forked_from == bindparam("run_id"),
                    fork.c.forked_from.is_not(None),
                    fork.c.pruned_at.is_(None),
                )
            ),
            exists(
                select(const(1)).where(
                    _one,
                    and_(fork.c.forked_from == run.c.parent_id, fork.c.forked_from.is_not(None)),
                    fork.c.pruned_at.is_(None),
                )
            ),
            exists(
                select(const(1)).where(
                    wait.c.subject == bindparam("run_id"), wait.c.kind == const(WaitKind.CHILD.value), SOUGHT
                )
            ),
        )
    )
)


# How far the last of the subscribers has come. Where there are any, the journal's newest entry stays: were its number
# given out again, whoever has come past it, or was told of it, would never hear of the other.
CURSOR = Statement(
    select(
        func.min(case((subscription.c.disabled_at.is_(None), subscription.c.cursor))),
        case((func.count() > const(0), select(func.max(journal.c.id)).scalar_subquery())),
    ).select_from(subscription)
)
NEWEST = Statement(
    select(journal.c.id)
    .where(journal.c.run_id == bindparam("run_id"))
    .order_by(journal.c.seq.desc())
    .limit(const(1))
    .offset(const(0))
)


@dataclass(frozen=True, slots=True)
class RunPage:
    """Runs in the order of their ids, from `start` on; `after` is where the next page begins, None after the last."""

    rows: Sequence[Row]
    start: str
    after: str | None

    def before(self, run_id: str) -> str:
        """Where to go on so that this run comes next."""
        ids = [row[0] for row in self.rows]
        at = ids.index(run_id)
        return str(ids[at - 1]) if at else self.start


def page(tx: Transaction, request: Prune) -> RunPage:
    """The next runs to look at. One where every run began too late is the last: ids are in the order of time."""
    found = tx.rows(PAGE, {"after": request.after, "limit": request.limit})
    is_last = len(found) < request.limit or all(row[3] >= to_micros(request.before) for row in found)
    return RunPage(found, request.after, None if is_last else found[-1][0])


def removable(tx: Transaction, page: RunPage, request: Prune, *, hold: bool) -> Iterator[str]:
    """The ids of those of them that may be removed; to `hold` them keeps others from reviving them meanwhile."""
    before = to_micros(request.before)
    found = [row[0] for row in page.rows if _is_meant(row, request, before)]
    if hold and found and not tx.is_alone:
        locks.runs_of(tx, found)
        seen = {row[0]: row for row in tx.rows(PAGE, {"after": page.start, "limit": request.limit})}
        found = [one for one in found if one in seen and _is_meant(seen[one], request, before)]
    told, last = tx.row(CURSOR, {}) or (None, None)
    for one in found:
        if tx.row(WANTED, {"run_id": one, "before": before}) is None and _is_told(tx, one, told, last):
            yield one


def _is_told(tx: Transaction, run_id: str, upto: int | None, last: int | None) -> bool:
    """Whether every subscriber has come past what the run's journal says, and it is not the `last` word of all."""
    if last is None:
        return True
    row = tx.row(NEWEST, {"run_id": run_id})
    newest = 0 if row is None else row[0]
    return newest != last and (upto is None or newest <= upto)


def _is_meant(row: Row, request: Prune, before: int) -> bool:
    """Whether the request is about this run; one that was reduced to its approvals is done with while they stay."""
    _, task, status, _, finished_at, pruned_at = row
    if finished_at is None or finished_at >= before:
        return False
    if request.kind is Kept.APPROVALS and pruned_at is None:
        return False
    if request.kind is Kept.RUNS and pruned_at is not None and not request.approvals:
        return False
    return status in request.statuses and (not request.tasks or task in request.tasks)
