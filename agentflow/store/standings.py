"""Standing approvals: decisions made ahead, each used in the transaction that opens the approval it decides.

To use one is a compare and set on its row: whoever revokes it, lets it expire or takes its last use is either before or
after, and an approval that comes after asks a person. Lock order: the run, its approval, the standing approval.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, bindparam, insert, or_, select, update

from agentflow.clock import MICROSECOND
from agentflow.errors import AgentflowError, StandingNotFound
from agentflow.requests import Decide
from agentflow.states import ApprovalStatus, Verdict
from agentflow.store import decisions, locks, rows, tables
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement, by_index, const, consts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.records import Approval, Standing
    from agentflow.requests import NewApproval, NewStanding
    from agentflow.store.transaction import Transaction

standing = table_of(tables.StandingRow)
approval = table_of(tables.ApprovalRow)

CHANNEL: Final = "standing"
ASKED_EACH_TIME: Final = "critical"
BY_PEOPLE: Final = (ApprovalStatus.APPROVED, ApprovalStatus.CORRECTED, ApprovalStatus.REJECTED)
HOLDS = and_(
    standing.c.revoked_at.is_(None),
    standing.c.expires_at > bindparam("now"),
    or_(standing.c.most_uses.is_(None), standing.c.uses < standing.c.most_uses),
)

ADD = Statement(insert(standing).values({c.name: bindparam(c.name) for c in standing.columns}))
BY_ID = Statement(select(standing).where(standing.c.id == bindparam("id")))
REVOKE = Statement(
    update(standing)
    .where(standing.c.id == bindparam("standing_id"), standing.c.revoked_at.is_(None))
    .values(revoked_at=bindparam("now"), revoked_by=bindparam("by"))
)
NEWEST = Statement(select(standing).order_by(standing.c.id.desc()).limit(bindparam("limit")).offset(const(0)))
HOLDING = Statement(
    select(standing).where(HOLDS).order_by(standing.c.id.desc()).limit(bindparam("limit")).offset(const(0))
)
FOR_CALLS = Statement(
    select(standing)
    .where(standing.c.task == bindparam("task"), standing.c.tool == bindparam("tool"), HOLDS)
    .with_hint(*by_index(standing, "ix_agentflow_standing_calls"))
    .order_by(standing.c.id)
)
USE = Statement(
    update(standing)
    .where(
        standing.c.id == bindparam("standing_id"),
        standing.c.task == bindparam("of_task"),
        standing.c.tool == bindparam("of_tool"),
        HOLDS,
    )
    .values(uses=standing.c.uses + const(1))
)
DECIDED_BY = Statement(
    update(approval).where(approval.c.id == bindparam("approval_id")).values(standing_id=bindparam("standing_id"))
)
CALLS = Statement(
    select(approval)
    .where(
        approval.c.task == bindparam("task"),
        approval.c.tool == bindparam("tool"),
        approval.c.tool != const(""),
        approval.c.decided_at.is_not(None),
        approval.c.standing_id.is_(None),
        approval.c.status.in_(consts(BY_PEOPLE)),
    )
    .with_hint(*by_index(approval, "ix_agentflow_approval_calls"))
    .order_by(approval.c.decided_at.desc())
    .limit(bindparam("limit"))
    .offset(const(0))
)


def add(tx: Transaction, request: NewStanding) -> Standing:
    """It holds from now on."""
    locks.names(tx, request.id)
    known = tx.row(BY_ID, {"id": request.id})
    if known is not None:
        return rows.standing(known)
    values: dict[str, Any] = {
        name: getattr(request, name)
        for name in ("id", "task", "tool", "terms", "made_by", "reason", "approval_id", "most_uses")
    }
    values |= {"uses": 0, "created_at": tx.now, "expires_at": tx.now + request.hold_for // MICROSECOND}
    tx.run(ADD, values | {"revoked_at": None, "revoked_by": None})
    return get(tx, request.id)


def get(tx: Transaction, standing_id: str) -> Standing:
    """The standing approval. Raises `StandingNotFound`."""
    row = tx.row(BY_ID, {"id": standing_id})
    if row is None:
        raise StandingNotFound(f"there is no standing approval {standing_id!r}")
    return rows.standing(row)


def revoke(tx: Transaction, standing_id: str, by: str) -> Standing:
    """It decides nothing more."""
    tx.run(REVOKE, {"standing_id": standing_id, "now": tx.now, "by": by})
    return get(tx, standing_id)


def listed(tx: Transaction, holding: bool, limit: int) -> Sequence[Standing]:
    """The newest first."""
    if holding:
        return [rows.standing(row) for row in tx.rows(HOLDING, {"now": tx.now, "limit": limit})]
    return [rows.standing(row) for row in tx.rows(NEWEST, {"limit": limit})]


def for_calls(tx: Transaction, task: str, tool: str) -> Sequence[Standing]:
    """Those that hold now, the oldest first."""
    return [rows.standing(row) for row in tx.rows(FOR_CALLS, {"task": task, "tool": tool, "now": tx.now})]


def decided_calls(tx: Transaction, task: str, tool: str, limit: int) -> Sequence[Approval]:
    """What people decided last about such calls, the newest first."""
    return [rows.approval(row) for row in tx.rows(CALLS, {"task": task, "tool": tool, "limit": limit})]


def decide_ahead(tx: Transaction, task: str, opened: NewApproval) -> None:
    """Decide an approval that has just been opened by the standing approval it names, if that holds for it."""
    if opened.standing is None or opened.risk == ASKED_EACH_TIME or Verdict.APPROVE not in opened.allow:
        return
    use = {"standing_id": opened.standing, "of_task": task, "of_tool": opened.tool, "now": tx.now}
    if not opened.tool or tx.run(USE, use) == 0:
        return
    tx.run(DECIDED_BY, {"approval_id": opened.id, "standing_id": opened.standing})
    made = Decide(
        id=f"{opened.id}.{CHANNEL}",
        approval_id=opened.id,
        verdict=Verdict.APPROVE,
        decided_by=f"{CHANNEL}:{opened.standing}",
        channel=CHANNEL,
    )
    decided = decisions.decide(tx, made)
    if isinstance(decided, AgentflowError):
        raise decided
