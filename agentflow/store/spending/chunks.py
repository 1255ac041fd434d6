"""Pieces of what operations are saying, for those who follow along. Nothing depends on them.

The pieces of one run are kept in turns, so that none is committed behind a reader who goes by their ids. What a run
leaves behind is removed by the sweeps of workers, the oldest first; nobody needs a piece for longer than its operation
is under way, so after an hour it goes in any case.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, delete, insert, or_, select

from agentflow.clock import MICROSECOND
from agentflow.store import locks, rows, tables
from agentflow.store.cursors import after_of
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement, const

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.records import Chunk
    from agentflow.requests import NewChunk
    from agentflow.store.transaction import Transaction

chunk = table_of(tables.ChunkRow)
run = table_of(tables.RunRow)

AT_ONCE: Final = 5000
"""Pieces that one sweep looks at, the oldest."""
KEPT_FOR: Final = timedelta(hours=1)

KEEP = Statement(insert(chunk).values({c.name: bindparam(c.name) for c in chunk.columns if c.name != "id"}))
AFTER = Statement(
    select(chunk)
    .where(chunk.c.run_id == bindparam("run_id"), chunk.c.id > bindparam("after"))
    .order_by(chunk.c.id)
    .limit(bindparam("limit"))
    .offset(const(0))
)
_OLDEST = (
    select(chunk.c.id, chunk.c.run_id, chunk.c.at)
    .order_by(chunk.c.id)
    .limit(bindparam("limit"))
    .offset(const(0))
    .subquery("oldest")
)
CLEAR = Statement(
    delete(chunk).where(
        chunk.c.id.in_(
            select(_OLDEST.c.id)
            .select_from(_OLDEST.outerjoin(run, run.c.id == _OLDEST.c.run_id))
            .where(
                or_(
                    run.c.id.is_(None),
                    run.c.finished_at.is_not(None),
                    _OLDEST.c.at < bindparam("before"),
                )
            )
        )
    )
)


def keep_chunks(tx: Transaction, new: Sequence[NewChunk]) -> None:
    """Keep these pieces."""
    about = {one.run_id for one in new}
    locks.names(tx, *(f"chunk:{run_id}" for run_id in about))
    for one in new:
        tx.run(
            KEEP,
            {
                "run_id": one.run_id,
                "epoch": one.epoch,
                "key": one.key,
                "attempt": one.attempt,
                "place": one.place,
                "at": tx.now,
                "text": one.text,
            },
        )
    tx.touched |= about


def chunks(tx: Transaction, run_id: str, after: int, limit: int) -> Sequence[Chunk]:
    """The pieces of a run past this one, in order."""
    return [rows.chunk(row) for row in tx.rows(AFTER, {"run_id": run_id, "after": after_of(after), "limit": limit})]


def clear(tx: Transaction) -> int:
    """Remove of the oldest pieces those that nobody needs any more."""
    return tx.run(CLEAR, {"limit": AT_ONCE, "before": tx.now - KEPT_FOR // MICROSECOND})
