"""The lines of the report, made from what became of each distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow.demo.findings import Outcome, Reviewed

if TYPE_CHECKING:
    from agentflow import Approval
    from agentflow.demo.findings import Answer, Distribution, LicenceFinding


def passed(distribution: Distribution, answer: Answer) -> Reviewed:
    """The policy let the finding pass."""
    return _line(distribution, answer, outcome="allowed", expression=answer.expression)


def decided(distribution: Distribution, answer: Answer, reason: str, decision: Approval[LicenceFinding]) -> Reviewed:
    """A person decided; the licence is the one they left in the form."""
    return _line(
        distribution,
        answer,
        outcome=_outcome(decision),
        expression=decision.data.expression if decision.approved else answer.expression,
        asked_because=reason,
        decided_by=decision.decided_by or "",
        comment=decision.comment,
        receipt=decision.receipt or "",
    )


def not_reviewed(distribution: Distribution, error: Exception) -> Reviewed:
    """The run of this distribution ended without an outcome."""
    return Reviewed(
        distribution=distribution.name,
        version=distribution.version,
        expression="",
        outcome="failed",
        comment=str(error),
    )


def _outcome(decision: Approval[LicenceFinding]) -> Outcome:
    if not decision.approved:
        return "rejected"
    return "corrected" if decision.outcome == "corrected" else "approved"


def _line(distribution: Distribution, answer: Answer, **facts: Any) -> Reviewed:
    return Reviewed(
        distribution=distribution.name,
        version=distribution.version,
        found=answer.expression,
        found_by=answer.found_by,
        confidence=answer.confidence,
        earlier=answer.earlier,
        **facts,
    )
