"""Requests for a decision, and decisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentflow.states import ApprovalStatus, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A request for a person's decision, and the decision once there is one.

    `tool` names the tool that will be called with the data, "" where none is; `said` is what an agent says of it, and
    nobody has checked. `standing_id` is of the standing approval that decided it.
    """

    id: str
    run_id: str
    task: str
    key: str
    status: ApprovalStatus
    title: str
    summary: str
    body: str
    reason: str
    risk: str
    priority: int
    confidence: float | None
    field_confidence: str
    evidence: str
    tags: str
    allow: str
    data: str
    schema: str
    digest: str
    on_timeout: str
    default: str | None
    version: int
    created_at: datetime
    deadline_at: datetime | None
    decided_at: datetime | None
    decided_by: str | None
    channel: str | None
    comment: str
    final: str | None
    final_digest: str | None
    patch: str | None
    decision_id: str | None
    tool: str = ""
    said: str = ""
    standing_id: str | None = None

    @property
    def is_pending(self) -> bool:
        """Whether a decision is still wanted."""
        return self.status is ApprovalStatus.PENDING

    @property
    def allowed(self) -> Sequence[Verdict]:
        """The verdicts the task accepts, in the order they are offered."""
        return tuple(Verdict(verdict) for verdict in self.allow.split(","))


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The receipt of a decision that was recorded. `repeated` if this very decision had been recorded before."""

    id: str
    approval_id: str
    run_id: str
    verdict: Verdict
    outcome: ApprovalStatus
    decided_by: str
    channel: str
    comment: str
    final: str | None
    final_digest: str | None
    decided_at: datetime
    repeated: bool = False
