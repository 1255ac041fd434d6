"""Requests for a decision, decisions, and those made ahead."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Text
from sqlmodel import Field

from agentflow.states import ApprovalStatus
from agentflow.store.tables.base import (
    DOUBLE,
    STRICT,
    Base,
    blob_names,
    instant,
    large_text,
    one_of,
    partial,
    text,
    whole,
)


class ApprovalRow(Base, table=True):
    """A request for a decision; while it is pending, the wait for it. Some texts are short: see `brevity.py`."""

    __tablename__ = "agentflow_approval"
    __table_args__ = (
        CheckConstraint(one_of("status", ApprovalStatus), name="status"),
        partial(
            "ix_agentflow_approval_deadline", "deadline_at", where="status = 'pending' AND deadline_at IS NOT NULL"
        ),
        partial("ix_agentflow_approval_inbox", "urgency", where="status = 'pending'"),
        partial("ix_agentflow_approval_decided_at", "decided_at", "id", where="decided_at IS NOT NULL"),
        Index("ix_agentflow_approval_run_id", "run_id"),
        partial(
            "ix_agentflow_approval_calls", "task", "tool", "decided_at", where="tool <> '' AND decided_at IS NOT NULL"
        ),
        *blob_names("agentflow_approval", "body", "evidence", "data", "schema", "default", "final", "patch"),
        STRICT,
    )

    id: str = Field(sa_column=Column(Text, primary_key=True))
    run_id: str = Field(sa_column=Column(Text, ForeignKey("agentflow_run.id"), nullable=False))
    task: str = Field(sa_column=text())
    key: str = Field(sa_column=text())
    status: str = Field(sa_column=text())
    title: str = Field(sa_column=text())
    summary: str = Field(sa_column=text())
    body: str = Field(sa_column=large_text())
    reason: str = Field(sa_column=text())
    risk: str = Field(sa_column=text())
    priority: int = Field(sa_column=whole())
    confidence: float | None = Field(sa_column=Column(DOUBLE, nullable=True))
    field_confidence: str = Field(sa_column=text())
    evidence: str = Field(sa_column=large_text())
    tags: str = Field(sa_column=text())
    allow: str = Field(sa_column=text())
    data: str = Field(sa_column=large_text())
    schema_: str = Field(sa_column=large_text(name="schema"))
    digest: str = Field(sa_column=text())
    on_timeout: str = Field(sa_column=text())
    default: str | None = Field(sa_column=large_text(nullable=True))
    version: int = Field(sa_column=whole())
    created_at: int = Field(sa_column=instant(nullable=False))
    deadline_at: int | None = Field(sa_column=instant())
    decided_at: int | None = Field(sa_column=instant())
    decided_by: str | None = Field(sa_column=text(nullable=True))
    channel: str | None = Field(sa_column=text(nullable=True))
    comment: str = Field(sa_column=text())
    final: str | None = Field(sa_column=large_text(nullable=True))
    final_digest: str | None = Field(sa_column=text(nullable=True))
    patch: str | None = Field(sa_column=large_text(nullable=True))
    decision_id: str | None = Field(sa_column=text(nullable=True))
    urgency: int = Field(sa_column=instant(nullable=False))
    tool: str = Field(sa_column=text(default=""))
    said: str = Field(sa_column=text(default=""))
    standing_id: str | None = Field(sa_column=text(nullable=True))


class DecisionRow(Base, table=True):
    """A decision that was accepted, by the id its sender chose; at most one for an approval."""

    __tablename__ = "agentflow_decision"
    __table_args__ = (
        Index("uq_agentflow_decision_approval_id", "approval_id", unique=True),
        *blob_names("agentflow_decision", "final"),
        STRICT,
    )

    id: str = Field(sa_column=Column(Text, primary_key=True))
    approval_id: str = Field(sa_column=Column(Text, ForeignKey("agentflow_approval.id"), nullable=False))
    digest: str = Field(sa_column=text())
    verdict: str = Field(sa_column=text())
    outcome: str = Field(sa_column=text())
    decided_by: str = Field(sa_column=text())
    channel: str = Field(sa_column=text())
    comment: str = Field(sa_column=text())
    final: str | None = Field(sa_column=large_text(nullable=True))
    final_digest: str | None = Field(sa_column=text(nullable=True))
    decided_at: int = Field(sa_column=instant(nullable=False))


class StandingRow(Base, table=True):
    """A standing approval: calls of a tool in runs of a task that need no person while it holds."""

    __tablename__ = "agentflow_standing"
    __table_args__ = (
        partial("ix_agentflow_standing_calls", "task", "tool", "id", where="revoked_at IS NULL"),
        STRICT,
    )

    id: str = Field(sa_column=Column(Text, primary_key=True))
    task: str = Field(sa_column=text())
    tool: str = Field(sa_column=text())
    terms: str = Field(sa_column=text())
    made_by: str = Field(sa_column=text())
    reason: str = Field(sa_column=text())
    approval_id: str | None = Field(sa_column=text(nullable=True))
    most_uses: int | None = Field(sa_column=whole(nullable=True))
    uses: int = Field(sa_column=whole())
    created_at: int = Field(sa_column=instant(nullable=False))
    expires_at: int = Field(sa_column=instant(nullable=False))
    revoked_at: int | None = Field(sa_column=instant())
    revoked_by: str | None = Field(sa_column=text(nullable=True))
