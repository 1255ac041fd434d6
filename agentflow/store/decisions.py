"""Decisions: a person's answer, a time-out or a withdrawal, whichever is first, through one compare and set.

An error that comes with a write of its own (a decision that finds the deadline passed records the time-out) is
returned, not raised: the caller sees it raised once the write is committed.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, insert, select, update

from agentflow.approvals.diff import outcome_of, patch
from agentflow.clock import from_micros, to_micros
from agentflow.errors import (
    AlreadyDecided,
    ApprovalExpired,
    ApprovalNotFound,
    ApprovalWithdrawn,
    FieldProblem,
    IdempotencyMismatch,
    InvalidDecision,
    StaleVersion,
)
from agentflow.payloads import canonical, digest
from agentflow.records import Decision
from agentflow.requests import NewEntry
from agentflow.states import WITHDRAWN, ApprovalStatus, EntryKind, Verdict, WaitKind
from agentflow.store import locks, rows, tables
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement, by_index, columns, const
from agentflow.store.transaction import single_statement
from agentflow.store.waiting import waits

if TYPE_CHECKING:
    from agentflow.errors import AgentflowError
    from agentflow.records import Approval
    from agentflow.requests import Decide
    from agentflow.store.transaction import Row, Transaction

approval = table_of(tables.ApprovalRow)
decision = table_of(tables.DecisionRow)

BY_ID = Statement(select(approval).where(approval.c.id == bindparam("id")))
RUN_OF = Statement(select(approval.c.run_id).where(approval.c.id == bindparam("id")))
DECISION = Statement(select(decision).where(decision.c.id == bindparam("id")))
RECORD = Statement(insert(decision).values({c.name: bindparam(c.name) for c in decision.columns}))
RESOLVED = (
    "status", "decided_at", "decided_by", "channel", "comment", "final", "final_digest", "patch", "decision_id",
)  # fmt: skip
RESOLVE = Statement(
    update(approval)
    .where(approval.c.id == bindparam("approval_id"), approval.c.status == const(ApprovalStatus.PENDING.value))
    .values({name: bindparam(name) for name in RESOLVED} | {"version": approval.c.version + const(1)})
)
OVERDUE = Statement(
    select(approval)
    .where(approval.c.status == const(ApprovalStatus.PENDING.value), approval.c.deadline_at <= bindparam("now"))
    .with_hint(*by_index(approval, "ix_agentflow_approval_deadline"))
    .order_by(approval.c.deadline_at)
    .limit(bindparam("limit"))
    .offset(const(0))
)
TIMEOUT = "timeout"


def decide(tx: Transaction, request: Decide) -> Decision | AgentflowError:
    """Record the decision, or say why not."""
    _lock_run(tx, request.approval_id)
    repeated = tx.row(DECISION, {"id": request.id})
    if repeated is not None:
        return _again(tx, request, repeated)
    found = get(tx, request.approval_id)
    refusal = _refusal(tx, found, request)
    if refusal is not None:
        return refusal
    made = receipt(found, request, tx.now)
    tx.run(RECORD, recorded(made, request))
    resolve(tx, found, made)
    return made


def is_welcome(found: Approval, request: Decide, now: int) -> bool:
    """Whether nothing stands against deciding this approval now; what does, `decide` says."""
    is_open = found.is_pending and (found.deadline_at is None or found.deadline_at > from_micros(now))
    return is_open and request.expected_version in {None, found.version}


def receipt(found: Approval, request: Decide, now: int) -> Decision:
    """What is to be recorded. Raises `InvalidDecision`."""
    outcome, final = _outcome(found, request)
    return Decision(
        id=request.id,
        approval_id=found.id,
        run_id=found.run_id,
        verdict=request.verdict,
        outcome=outcome,
        decided_by=request.decided_by,
        channel=request.channel,
        comment=request.comment,
        final=final,
        final_digest=_digest(final),
        decided_at=from_micros(now),
    )


def _lock_run(tx: Transaction, approval_id: str) -> None:
    row = None if tx.is_alone else tx.row(RUN_OF, {"id": approval_id})
    if row is not None:
        locks.run_of(tx, row[0])


@single_statement
def get(tx: Transaction, approval_id: str) -> Approval:
    """The approval. Raises `ApprovalNotFound`."""
    row = tx.row(BY_ID, {"id": approval_id})
    if row is None:
        raise ApprovalNotFound(f"there is no approval {approval_id!r}")
    return rows.approval(row)


def _digest(final: str | None) -> str | None:
    """What was approved, whichever way it is written."""
    return None if final is None else digest(canonical(json.loads(final)))


def _content(request: Decide) -> str:
    """What makes two decisions with one id the same decision."""
    return digest(json.dumps([request.approval_id, request.verdict, _digest(request.final), request.comment]))


def _again(tx: Transaction, request: Decide, row: Row) -> Decision:
    values = dict(zip(columns(decision), row, strict=True))
    if values.pop("digest") != _content(request):
        raise IdempotencyMismatch(f"decision {request.id} was recorded with other content; the first one stands")
    return Decision(
        **values
        | {
            "run_id": get(tx, request.approval_id).run_id,
            "verdict": Verdict(values["verdict"]),
            "outcome": ApprovalStatus(values["outcome"]),
            "decided_at": from_micros(values["decided_at"]),
            "repeated": True,
        }
    )


def _refusal(tx: Transaction, found: Approval, request: Decide) -> AgentflowError | None:
    """Why this decision cannot be recorded, or None. A deadline that has passed is recorded here and now."""
    if found.status is ApprovalStatus.TIMED_OUT:
        return ApprovalExpired(approval_id=found.id, expired_at=f"{found.deadline_at:%Y-%m-%d %H:%M:%S} UTC")
    if found.status in WITHDRAWN:
        return ApprovalWithdrawn(approval_id=found.id, outcome=found.status)
    if not found.is_pending:
        return AlreadyDecided(approval_id=found.id, outcome=found.status, decided_by=found.decided_by or "somebody")
    if found.deadline_at is not None and found.deadline_at <= from_micros(tx.now):
        time_out(tx, found)
        return ApprovalExpired(approval_id=found.id, expired_at=f"{found.deadline_at:%Y-%m-%d %H:%M:%S} UTC")
    if request.expected_version is not None and request.expected_version != found.version:
        return StaleVersion(
            f"approval {found.id} changed since it was read (version {request.expected_version}, now {found.version}); "
            "this decision was not recorded. Read it again."
        )
    return None


def _outcome(found: Approval, request: Decide) -> tuple[ApprovalStatus, str | None]:
    """What the verdict amounts to, computed from the data and not from what the sender calls it."""
    if request.verdict is Verdict.REJECT:
        outcome, final, needed = ApprovalStatus.REJECTED, None, Verdict.REJECT
    else:
        final = found.data if request.final is None else request.final
        corrected = outcome_of(json.loads(found.data), json.loads(final)) == "corrected"
        outcome = ApprovalStatus.CORRECTED if corrected else ApprovalStatus.APPROVED
        needed = Verdict.CORRECT if corrected else Verdict.APPROVE
    if needed not in found.allowed:
        allowed = ", ".join(found.allowed)
        problem = FieldProblem("/verdict", needed.value, f"one of: {allowed}")
        raise InvalidDecision(approval_id=found.id, errors=[problem])
    return outcome, final


def recorded(made: Decision, request: Decide) -> dict[str, Any]:
    """The values of `RECORD`."""
    names = ("id", "approval_id", "decided_by", "channel", "comment", "final", "final_digest")
    values = {name: getattr(made, name) for name in names}
    values |= {"verdict": made.verdict.value, "outcome": made.outcome.value}
    return values | {"digest": _content(request), "decided_at": to_micros(made.decided_at)}


def resolve(tx: Transaction, found: Approval, made: Decision) -> None:
    """Close the approval with this outcome and let its run go on."""
    if tx.run(RESOLVE, resolved(found, made)) == 0:
        raise AssertionError(f"approval {found.id} was resolved by another while it was locked")
    waits.tell(tx, found.run_id, answer(found, made))


def resolved(found: Approval, made: Decision) -> dict[str, Any]:
    """The values of `RESOLVE`."""
    corrected = made.outcome is ApprovalStatus.CORRECTED and made.final is not None
    difference = patch(json.loads(found.data), json.loads(made.final or "null")) if corrected else None
    return {
        "approval_id": found.id,
        "status": made.outcome.value,
        "decided_at": to_micros(made.decided_at),
        "decided_by": made.decided_by,
        "channel": made.channel,
        "comment": made.comment,
        "final": made.final,
        "final_digest": made.final_digest,
        "patch": None if difference is None else json.dumps(difference, ensure_ascii=False),
        "decision_id": made.id,
    }


def answer(found: Approval, made: Decision) -> NewEntry:
    """What the run is told."""
    said = {
        "approval": found.id,
        "decision": made.id,
        "outcome": made.outcome,
        "decided_by": made.decided_by,
        "channel": made.channel,
        "comment": made.comment,
        "digest": made.final_digest,
    }
    return NewEntry(
        kind=EntryKind.WAIT_RESOLVED,
        key=found.key,
        operation=WaitKind.APPROVAL,
        output=made.final,
        detail=json.dumps(said, ensure_ascii=False),
    )


def time_out(tx: Transaction, found: Approval) -> None:
    """Resolve an overdue approval as its task declared."""
    final = {"default": found.default, "approve": found.data}.get(found.on_timeout)
    made = Decision(
        id=f"{found.id}.{TIMEOUT}",
        approval_id=found.id,
        run_id=found.run_id,
        verdict=Verdict.REJECT if final is None else Verdict.APPROVE,
        outcome=ApprovalStatus.TIMED_OUT,
        decided_by=TIMEOUT,
        channel=TIMEOUT,
        comment="",
        final=final,
        final_digest=_digest(final),
        decided_at=from_micros(tx.now),
    )
    resolve(tx, found, made)


def expire(tx: Transaction, limit: int) -> int:
    """Time out overdue approvals, oldest first."""
    overdue = [rows.approval(row) for row in tx.rows(OVERDUE, {"now": tx.now, "limit": limit})]
    return sum(_time_out_still(tx, found) for found in overdue)


def _time_out_still(tx: Transaction, found: Approval) -> bool:
    """Time it out unless somebody was quicker."""
    locks.run_of(tx, found.run_id)
    is_pending = tx.is_alone or get(tx, found.id).is_pending
    if is_pending:
        time_out(tx, found)
    return is_pending
