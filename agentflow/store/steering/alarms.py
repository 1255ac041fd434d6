"""The promise that nothing is stuck silently, checked: open runs that nothing and nobody would move on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, bindparam, exists, not_, or_, select

from agentflow.states import CallbackStatus, RunStatus, WaitKind
from agentflow.store import rows, tables
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement, besides, const, consts
from agentflow.store.waiting.waits import IS_PENDING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.records import Run
    from agentflow.store.transaction import Transaction

run = table_of(tables.RunRow)
wait = table_of(tables.WaitRow)
approval = table_of(tables.ApprovalRow)
callback = table_of(tables.CallbackRow)
child = run.alias("child")

# A wait that something can answer: what it is for is still open. Events can always come; a timer is the run's own.
ANSWERABLE = exists(
    select(const(1)).where(
        wait.c.run_id == run.c.id,
        or_(
            wait.c.kind.in_(consts({WaitKind.EVENT, WaitKind.MESSAGE})),
            and_(
                wait.c.kind == const(WaitKind.CALLBACK.value),
                exists(
                    select(const(1)).where(
                        callback.c.id == wait.c.subject, callback.c.status == const(CallbackStatus.PENDING.value)
                    )
                ),
            ),
            and_(
                wait.c.kind == const(WaitKind.CHILD.value),
                exists(select(const(1)).where(child.c.id == wait.c.subject, child.c.finished_at.is_(None))),
            ),
        ),
    )
) | exists(select(const(1)).where(approval.c.run_id == run.c.id, besides(IS_PENDING)))
STUCK = Statement(
    select(run)
    .where(
        or_(
            and_(run.c.status == const(RunStatus.QUEUED.value), run.c.available_at.is_(None)),
            and_(run.c.status == const(RunStatus.WAITING.value), run.c.available_at.is_(None), not_(ANSWERABLE)),
            and_(run.c.status == const(RunStatus.PAUSED.value), run.c.pause.is_(None)),
            and_(run.c.status == const(RunStatus.NEEDS_ATTENTION.value), run.c.error.is_(None)),
        )
    )
    .limit(bindparam("limit"))
    .offset(const(0)),
    brief=True,
)


def stuck(tx: Transaction, limit: int) -> Sequence[Run]:
    """Open runs without a wake time, a wait that can be answered, or a reason for an operator. There should be none.

    A run whose worker is gone is not among them: the next sweep queues it again.
    """
    return [rows.run(row) for row in tx.rows(STUCK, {"limit": limit})]
