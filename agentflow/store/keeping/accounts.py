"""What outlives its run and grows old by itself: what models cost, conversations, and what subscribers were told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, exists, func, or_, select, tuple_

from agentflow.states import DispatchStatus
from agentflow.store import locks, tables
from agentflow.store.keeping.ageing import After, Aged
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement, const

if TYPE_CHECKING:
    from agentflow.store.transaction import Transaction

run = table_of(tables.RunRow)
above = run.alias("above")
usage = table_of(tables.UsageRow)
part = table_of(tables.ThreadPartRow)
dispatch = table_of(tables.DispatchRow)

# What a run has spent counts for as long as it, or one above it, may still be asked what it has left.
_MAY_BE_ASKED = exists(
    select(const(1)).where(
        run.c.id == usage.c.run_id,
        or_(
            run.c.finished_at.is_(None),
            exists(
                select(const(1)).where(above.c.id.in_((run.c.root_id, run.c.parent_id)), above.c.finished_at.is_(None))
            ),
        ),
    )
)
USAGE = Statement(
    select(usage.c.id, usage.c.at, _MAY_BE_ASKED)
    .where(usage.c.id > bindparam("after"))
    .order_by(usage.c.id)
    .limit(bindparam("limit"))
    .offset(const(0))
)
REMOVE_USAGE = Statement(delete(usage).where(usage.c.id == bindparam("id")))
_MINE = part.c.thread == bindparam("thread")
NEXT_THREAD = Statement(select(func.min(part.c.thread)).where(part.c.thread > bindparam("after")))
LAST_AT = Statement(select(part.c.at).where(_MINE).order_by(part.c.seq.desc()).limit(const(1)).offset(const(0)))
IN_USE = Statement(
    select(const(1))
    .where(_MINE, part.c.run_id == run.c.id, run.c.finished_at.is_(None))
    .limit(const(1))
    .offset(const(0))
)
BLOBS = Statement(
    select(func.substr(part.c.messages, const(1), const(90))).where(
        _MINE, func.substr(part.c.messages, const(1), const(5)) == const("blob:")
    )
)
REMOVE_THREAD = Statement(delete(part).where(_MINE))
_IS_DONE = dispatch.c.status != const(DispatchStatus.PENDING.value)
DISPATCHES = Statement(
    select(dispatch.c.created_at, dispatch.c.id, func.substr(dispatch.c.payload, const(1), const(90)))
    .where(
        dispatch.c.created_at < bindparam("before"),
        tuple_(dispatch.c.created_at, dispatch.c.id) > tuple_(bindparam("after_at"), bindparam("after_id")),
        _IS_DONE,
    )
    .order_by(dispatch.c.created_at, dispatch.c.id)
    .limit(bindparam("limit"))
    .offset(const(0))
)
REMOVE_DISPATCH = Statement(delete(dispatch).where(dispatch.c.id == bindparam("id"), _IS_DONE))


def used(tx: Transaction, before: int, after: After, limit: int) -> Aged:
    """What calls of models used, where no run that is open counts it."""
    (last,) = after or (0,)
    found = tx.rows(USAGE, {"after": last, "limit": limit})
    is_last = len(found) < limit or all(at >= before for _, at, _ in found)
    gone = [{"id": one} for one, at, is_asked in found if at < before and not is_asked]
    return Aged(gone, REMOVE_USAGE, None if is_last else [found[-1][0]])


def threads(tx: Transaction, before: int, after: After, limit: int) -> Aged:
    """Conversations that nobody has added to, each as a whole: what is left of one would say something else."""
    (last,) = after or ("",)
    gone: list[dict[str, Any]] = []
    blobs: set[str] = set()
    for _ in range(limit):
        row = tx.row(NEXT_THREAD, {"after": last})
        if row is None or row[0] is None:
            return Aged(gone, REMOVE_THREAD, None, frozenset(blobs))
        last, of = row[0], {"thread": row[0]}
        if _is_left(tx, of, before):
            locks.names(tx, f"thread:{last}")
            if _is_left(tx, of, before):  # nobody has added to it before it was held
                gone.append(of)
                blobs.update(name for (name,) in tx.rows(BLOBS, of))
    return Aged(gone, REMOVE_THREAD, [last], frozenset(blobs))


def dispatches(tx: Transaction, before: int, after: After, limit: int) -> Aged:
    """What was sent to subscribers, or given up; what is still to be sent stays."""
    after_at, after_id = after or (0, "")
    found = tx.rows(DISPATCHES, {"before": before, "after_at": after_at, "after_id": after_id, "limit": limit})
    names = frozenset(text for *_, text in found if text.startswith("blob:"))
    gone = [{"id": one} for _, one, _ in found]
    return Aged(gone, REMOVE_DISPATCH, found[-1][:2] if len(found) == limit else None, names)


def _is_left(tx: Transaction, of: dict[str, Any], before: int) -> bool:
    """Whether its last part is older than that, and no run that added to it is open."""
    row = tx.row(LAST_AT, of)
    return row is not None and row[0] < before and tx.row(IN_USE, of) is None
