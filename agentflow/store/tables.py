"""The schema: one SQLModel class per table, in a metadata of its own so that users' tables never mix with ours.

Instants are whole microseconds since 1970 (UTC) and payloads are text, so that SQLite and PostgreSQL hold the same
bytes. Each status has the index its reader needs and no other. Rows never leave the store: see `rows.py`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import (
    DOUBLE_PRECISION,
    REAL,
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Text,
)
from sqlalchemy import text as sql
from sqlmodel import Field, SQLModel

from agentflow.states import ApprovalStatus, RunStatus

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(SQLModel):
    """Every table of ours."""

    metadata: ClassVar[MetaData] = MetaData(naming_convention=NAMING)


def _one_of(column: str, values: type[RunStatus | ApprovalStatus]) -> str:
    return f"{column} IN ({', '.join(repr(value.value) for value in values)})"


LONG = BigInteger().with_variant(Integer(), "sqlite")  # STRICT tables know INTEGER only; it holds 64 bits there
DOUBLE: Any = DOUBLE_PRECISION().with_variant(REAL(), "sqlite")


def _instant(*, nullable: bool = True) -> Any:
    return Column(LONG, nullable=nullable)


def _text(*, nullable: bool = False) -> Any:
    return Column(Text, nullable=nullable)


def _partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    condition = sql(where)
    return Index(name, *columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


STRICT = {"sqlite_strict": True}


class RunRow(Base, table=True):
    """A run: its journal's materialised state."""

    __tablename__ = "agentflow_run"
    __table_args__ = (
        CheckConstraint(_one_of("status", RunStatus), name="status"),
        CheckConstraint("(status = 'running') = (worker_id IS NOT NULL)", name="held_while_running"),
        _partial(
            "uq_agentflow_run_task_idempotency_key",
            "task",
            "idempotency_key",
            where="idempotency_key IS NOT NULL",
            unique=True,
        ),
        _partial("ix_agentflow_run_due", "available_at", where="status IN ('queued', 'waiting')"),
        _partial("ix_agentflow_run_held", "worker_id", where="status = 'running'"),
        _partial("ix_agentflow_run_deadline", "deadline_at", where="deadline_at IS NOT NULL AND finished_at IS NULL"),
        _partial("ix_agentflow_run_parent_id", "parent_id", where="parent_id IS NOT NULL"),
        Index("ix_agentflow_run_status", "status", "id"),
        STRICT,
    )

    id: str = Field(sa_column=Column(Text, primary_key=True))
    task: str = Field(sa_column=_text())
    version: str = Field(sa_column=_text())
    status: str = Field(sa_column=_text())
    queue: str = Field(sa_column=_text())
    priority: int = Field(sa_column=Column(Integer, nullable=False))
    input: str = Field(sa_column=_text())
    output: str | None = Field(sa_column=_text(nullable=True))
    error: str | None = Field(sa_column=_text(nullable=True))
    epoch: int = Field(sa_column=Column(Integer, nullable=False))
    attempt: int = Field(sa_column=Column(Integer, nullable=False))
    recoveries: int = Field(sa_column=Column(Integer, nullable=False))
    worker_id: str | None = Field(sa_column=_text(nullable=True))
    origin: str = Field(sa_column=_text())
    idempotency_key: str | None = Field(sa_column=_text(nullable=True))
    parent_id: str | None = Field(sa_column=_text(nullable=True))
    root_id: str = Field(sa_column=_text())
    available_at: int | None = Field(sa_column=_instant())
    deadline_at: int | None = Field(sa_column=_instant())
    created_at: int = Field(sa_column=_instant(nullable=False))
    started_at: int | None = Field(sa_column=_instant())
    finished_at: int | None = Field(sa_column=_instant())


class EntryRow(Base, table=True):
    """A journal entry. `seq` counts from 1 without gaps within a run; `id` orders entries of all runs for followers."""

    __tablename__ = "agentflow_journal"
    __table_args__ = (
        Index("uq_agentflow_journal_run_id_seq", "run_id", "seq", unique=True),
        STRICT,
    )

    id: int = Field(sa_column=Column(LONG, primary_key=True))
    run_id: str = Field(sa_column=Column(Text, ForeignKey("agentflow_run.id"), nullable=False))
    seq: int = Field(sa_column=Column(Integer, nullable=False))
    kind: str = Field(sa_column=_text())
    key: str | None = Field(sa_column=_text(nullable=True))
    operation: str | None = Field(sa_column=_text(nullable=True))
    epoch: int = Field(sa_column=Column(Integer, nullable=False))
    attempt: int = Field(sa_column=Column(Integer, nullable=False))
    at: int = Field(sa_column=_instant(nullable=False))
    took: int | None = Field(sa_column=_instant())
    input: str | None = Field(sa_column=_text(nullable=True))
    output: str | None = Field(sa_column=_text(nullable=True))
    error: str | None = Field(sa_column=_text(nullable=True))
    detail: str | None = Field(sa_column=_text(nullable=True))


class LogRow(Base, table=True):
    """A line a run logged."""

    __tablename__ = "agentflow_log"
    __table_args__ = (Index("ix_agentflow_log_run_id_id", "run_id", "id"), STRICT)

    id: int = Field(sa_column=Column(LONG, primary_key=True))
    run_id: str = Field(sa_column=_text())
    epoch: int = Field(sa_column=Column(Integer, nullable=False))
    at: int = Field(sa_column=_instant(nullable=False))
    level: str = Field(sa_column=_text())
    logger: str = Field(sa_column=_text())
    message: str = Field(sa_column=_text())
    key: str | None = Field(sa_column=_text(nullable=True))


class WaitRow(Base, table=True):
    """An open wait; deleted when it is answered or withdrawn."""

    __tablename__ = "agentflow_wait"
    __table_args__ = (Index("ix_agentflow_wait_subject", "subject", "kind"), STRICT)

    run_id: str = Field(sa_column=Column(Text, ForeignKey("agentflow_run.id"), primary_key=True))
    key: str = Field(sa_column=Column(Text, primary_key=True))
    kind: str = Field(sa_column=_text())
    subject: str | None = Field(sa_column=_text(nullable=True))
    opened_at: int = Field(sa_column=_instant(nullable=False))
    due_at: int | None = Field(sa_column=_instant())


class ApprovalRow(Base, table=True):
    """A request for a decision."""

    __tablename__ = "agentflow_approval"
    __table_args__ = (
        CheckConstraint(_one_of("status", ApprovalStatus), name="status"),
        _partial("ix_agentflow_approval_deadline", "deadline_at", where="status = 'pending'"),
        _partial("ix_agentflow_approval_inbox", "urgency", "id", where="status = 'pending'"),
        Index("ix_agentflow_approval_decided_at", "decided_at", "id"),
        Index("ix_agentflow_approval_run_id_key", "run_id", "key"),
        STRICT,
    )

    id: str = Field(sa_column=Column(Text, primary_key=True))
    run_id: str = Field(sa_column=Column(Text, ForeignKey("agentflow_run.id"), nullable=False))
    task: str = Field(sa_column=_text())
    key: str = Field(sa_column=_text())
    status: str = Field(sa_column=_text())
    title: str = Field(sa_column=_text())
    summary: str = Field(sa_column=_text())
    body: str = Field(sa_column=_text())
    reason: str = Field(sa_column=_text())
    risk: str = Field(sa_column=_text())
    priority: int = Field(sa_column=Column(Integer, nullable=False))
    confidence: float | None = Field(sa_column=Column(DOUBLE, nullable=True))
    field_confidence: str = Field(sa_column=_text())
    evidence: str = Field(sa_column=_text())
    tags: str = Field(sa_column=_text())
    allow: str = Field(sa_column=_text())
    data: str = Field(sa_column=_text())
    schema_: str = Field(sa_column=Column("schema", Text, nullable=False))
    digest: str = Field(sa_column=_text())
    on_timeout: str = Field(sa_column=_text())
    default: str | None = Field(sa_column=_text(nullable=True))
    version: int = Field(sa_column=Column(Integer, nullable=False))
    created_at: int = Field(sa_column=_instant(nullable=False))
    deadline_at: int | None = Field(sa_column=_instant())
    decided_at: int | None = Field(sa_column=_instant())
    decided_by: str | None = Field(sa_column=_text(nullable=True))
    channel: str | None = Field(sa_column=_text(nullable=True))
    comment: str = Field(sa_column=_text())
    final: str | None = Field(sa_column=_text(nullable=True))
    final_digest: str | None = Field(sa_column=_text(nullable=True))
    patch: str | None = Field(sa_column=_text(nullable=True))
    decision_id: str | None = Field(sa_column=_text(nullable=True))
    urgency: int = Field(sa_column=_instant(nullable=False))


class DecisionRow(Base, table=True):
    """A decision that was accepted, by the id its sender chose; at most one for an approval."""

    __tablename__ = "agentflow_decision"
    __table_args__ = (Index("uq_agentflow_decision_approval_id", "approval_id", unique=True), STRICT)

    id: str = Field(sa_column=Column(Text, primary_key=True))
    approval_id: str = Field(sa_column=Column(Text, ForeignKey("agentflow_approval.id"), nullable=False))
    digest: str = Field(sa_column=_text())
    verdict: str = Field(sa_column=_text())
    outcome: str = Field(sa_column=_text())
    decided_by: str = Field(sa_column=_text())
    channel: str = Field(sa_column=_text())
    comment: str = Field(sa_column=_text())
    final: str | None = Field(sa_column=_text(nullable=True))
    final_digest: str | None = Field(sa_column=_text(nullable=True))
    decided_at: int = Field(sa_column=_instant(nullable=False))


class WorkerRow(Base, table=True):
    """A worker's lease, which covers every run it holds; deleted when it retires or is given up."""

    __tablename__ = "agentflow_worker"
    __table_args__ = (Index("ix_agentflow_worker_lease_until", "lease_until"), STRICT)

    id: str = Field(sa_column=Column(Text, primary_key=True))
    host: str = Field(sa_column=_text())
    pid: int = Field(sa_column=Column(LONG, nullable=False))
    started: str = Field(sa_column=_text())
    started_at: int = Field(sa_column=_instant(nullable=False))
    lease_until: int = Field(sa_column=_instant(nullable=False))


class ScheduleRow(Base, table=True):
    """A schedule declared in code; this row, not the scheduler's memory, says when it fires next."""

    __tablename__ = "agentflow_schedule"
    __table_args__ = (Index("ix_agentflow_schedule_next_fire_at", "next_fire_at"), STRICT)

    id: str = Field(sa_column=Column(Text, primary_key=True))
    task: str = Field(sa_column=_text())
    rule: str = Field(sa_column=_text())
    timezone: str = Field(sa_column=_text())
    input: str = Field(sa_column=_text())
    next_fire_at: int | None = Field(sa_column=_instant())
    last_fire_at: int | None = Field(sa_column=_instant())
    created_at: int = Field(sa_column=_instant(nullable=False))


class OccurrenceRow(Base, table=True):
    """One fire time of a schedule; its primary key is what makes it start one run."""

    __tablename__ = "agentflow_occurrence"
    __table_args__ = (STRICT,)

    schedule_id: str = Field(sa_column=Column(Text, primary_key=True))
    fire_at: int = Field(sa_column=Column(LONG, primary_key=True))
    run_id: str = Field(sa_column=_text())
    created_at: int = Field(sa_column=_instant(nullable=False))


class DeliveryRow(Base, table=True):
    """One authentic webhook request; its primary key is what makes it start one run."""

    __tablename__ = "agentflow_delivery"
    __table_args__ = (Index("ix_agentflow_delivery_received_at", "received_at"), STRICT)

    webhook: str = Field(sa_column=Column(Text, primary_key=True))
    delivery_id: str = Field(sa_column=Column(Text, primary_key=True))
    digest: str = Field(sa_column=_text())
    run_id: str = Field(sa_column=_text())
    received_at: int = Field(sa_column=_instant(nullable=False))
