"""Runs, their journals and logs, and the workers that execute them."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Text
from sqlmodel import Field

from agentflow.states import ParentClose, RunStatus
from agentflow.store.tables.base import (
    LONG,
    STRICT,
    WITHOUT_ROWID,
    Base,
    blob_names,
    instant,
    large_text,
    one_of,
    partial,
    text,
    whole,
)

# The runs that stand in a named queue: those that never started and those that go on.
NAMED = "queue <> 'default'"
NEW = "status = 'queued' AND epoch = 0"
AGAIN = "status IN ('queued', 'waiting') AND available_at IS NOT NULL AND epoch > 0"


class RunRow(Base, table=True):
    """A run: its journal's materialised state. `root_id` is empty where the run is its own root.

    `parent_key` is the operation of its parent that triggered it.
    """

    __tablename__ = "agentflow_run"
    __table_args__ = (
        CheckConstraint(one_of("status", RunStatus), name="status"),
        CheckConstraint("(status = 'running') = (worker_id IS NOT NULL)", name="held_while_running"),
        partial(
            "uq_agentflow_run_task_idempotency_key",
            "task",
            "idempotency_key",
            where="idempotency_key IS NOT NULL",
            unique=True,
        ),
        partial(
            "ix_agentflow_run_due",
            "available_at",
            "task",
            "version",
            where="status IN ('queued', 'waiting') AND available_at IS NOT NULL AND queue = 'default'",
        ),
        partial("ix_agentflow_run_held", "worker_id", where="status = 'running'"),
        partial("ix_agentflow_run_deadline", "deadline_at", where="deadline_at IS NOT NULL AND finished_at IS NULL"),
        partial(
            "ix_agentflow_run_expiry", "expires_at", where="expires_at IS NOT NULL AND status = 'queued' AND epoch = 0"
        ),
        partial("ix_agentflow_run_new", "queue", "available_at", "task", "version", where=f"{NEW} AND {NAMED}"),
        partial("ix_agentflow_run_new_by_key", "queue", "queue_key", "available_at", where=f"{NEW} AND {NAMED}"),
        partial("ix_agentflow_run_again", "queue", "available_at", "task", "version", where=f"{AGAIN} AND {NAMED}"),
        partial("ix_agentflow_run_again_by_key", "queue", "queue_key", "available_at", where=f"{AGAIN} AND {NAMED}"),
        partial("ix_agentflow_run_busy", "queue", "queue_key", where="status = 'running' AND queue <> 'default'"),
        partial(
            "uq_agentflow_run_singleton",
            "task",
            "singleton_key",
            where="singleton_key IS NOT NULL AND finished_at IS NULL",
            unique=True,
        ),
        partial(
            "uq_agentflow_run_collecting",
            "task",
            "collect_key",
            where="collect_key IS NOT NULL AND status = 'queued' AND epoch = 0",
            unique=True,
        ),
        partial("ix_agentflow_run_parent_id", "parent_id", where="parent_id IS NOT NULL"),
        partial("ix_agentflow_run_forked_from", "forked_from", where="forked_from IS NOT NULL"),
        *blob_names("agentflow_run", "input", "output", "error"),
        Index("ix_agentflow_run_status", "status", "id"),
        STRICT,
    )

    id: str = Field(sa_column=Column(Text, primary_key=True))
    task: str = Field(sa_column=text())
    version: str = Field(sa_column=text())
    status: str = Field(sa_column=text())
    queue: str = Field(sa_column=text())
    priority: int = Field(sa_column=whole())
    input: str = Field(sa_column=large_text())
    output: str | None = Field(sa_column=large_text(nullable=True))
    error: str | None = Field(sa_column=large_text(nullable=True))
    epoch: int = Field(sa_column=whole())
    attempt: int = Field(sa_column=whole())
    recoveries: int = Field(sa_column=whole())
    worker_id: str | None = Field(sa_column=text(nullable=True))
    origin: str = Field(sa_column=text())
    idempotency_key: str | None = Field(sa_column=text(nullable=True))
    parent_id: str | None = Field(sa_column=text(nullable=True))
    root_id: str = Field(sa_column=text())
    available_at: int | None = Field(sa_column=instant())
    deadline_at: int | None = Field(sa_column=instant())
    created_at: int = Field(sa_column=instant(nullable=False))
    started_at: int | None = Field(sa_column=instant())
    finished_at: int | None = Field(sa_column=instant())
    queue_key: str | None = Field(sa_column=text(nullable=True))
    cost: int = Field(sa_column=Column(LONG, nullable=False, server_default="1"))
    expires_at: int | None = Field(sa_column=instant())
    singleton_key: str | None = Field(sa_column=text(nullable=True))
    collect_key: str | None = Field(sa_column=text(nullable=True))
    collect_until: int | None = Field(sa_column=instant())
    collected: int = Field(sa_column=whole(default=1))
    on_parent_close: str = Field(sa_column=text(default=ParentClose.CANCEL.value))
    ending: str | None = Field(sa_column=text(nullable=True))
    pause: str | None = Field(sa_column=text(nullable=True))
    forked_from: str | None = Field(sa_column=text(nullable=True))
    pruned_at: int | None = Field(default=None, sa_column=instant())
    parent_key: str | None = Field(default=None, sa_column=text(nullable=True))
    tags: str | None = Field(default=None, sa_column=text(nullable=True))
    run_metadata: str | None = Field(default=None, sa_column=Column("metadata", Text, nullable=True))


class RunTagRow(Base, table=True):
    """A tag of a run, to find runs by; the run's own row has them all."""

    __tablename__ = "agentflow_run_tag"
    __table_args__ = (Index("ix_agentflow_run_tag_run_id", "run_id"), STRICT | WITHOUT_ROWID)

    tag: str = Field(sa_column=Column(Text, primary_key=True))
    run_id: str = Field(sa_column=Column(Text, ForeignKey("agentflow_run.id"), primary_key=True))


class EntryRow(Base, table=True):
    """A journal entry. `seq` counts from 1 without gaps within a run; `id` orders entries of all runs for followers."""

    __tablename__ = "agentflow_journal"
    __table_args__ = (
        Index("uq_agentflow_journal_run_id_seq", "run_id", "seq", unique=True),
        *blob_names("agentflow_journal", "input", "output", "error", "detail"),
        STRICT,
    )

    id: int = Field(sa_column=Column(LONG, primary_key=True))
    run_id: str = Field(sa_column=Column(Text, ForeignKey("agentflow_run.id"), nullable=False))
    seq: int = Field(sa_column=whole())
    kind: str = Field(sa_column=text())
    key: str | None = Field(sa_column=text(nullable=True))
    operation: str | None = Field(sa_column=text(nullable=True))
    epoch: int = Field(sa_column=whole())
    attempt: int = Field(sa_column=whole())
    at: int = Field(sa_column=instant(nullable=False))
    took: int | None = Field(sa_column=instant())
    input: str | None = Field(sa_column=large_text(nullable=True))
    output: str | None = Field(sa_column=large_text(nullable=True))
    error: str | None = Field(sa_column=large_text(nullable=True))
    detail: str | None = Field(sa_column=large_text(nullable=True))


class LogRow(Base, table=True):
    """A line a run logged."""

    __tablename__ = "agentflow_log"
    __table_args__ = (Index("ix_agentflow_log_run_id_id", "run_id", "id"), STRICT)

    id: int = Field(sa_column=Column(LONG, primary_key=True))
    run_id: str = Field(sa_column=text())
    epoch: int = Field(sa_column=whole())
    at: int = Field(sa_column=instant(nullable=False))
    level: str = Field(sa_column=text())
    logger: str = Field(sa_column=text())
    message: str = Field(sa_column=text())
    key: str | None = Field(sa_column=text(nullable=True))


class WorkerRow(Base, table=True):
    """A worker's lease, which covers every run it holds; deleted when it retires or is given up."""

    __tablename__ = "agentflow_worker"
    __table_args__ = (Index("ix_agentflow_worker_lease_until", "lease_until"), STRICT)

    id: str = Field(sa_column=Column(Text, primary_key=True))
    host: str = Field(sa_column=text())
    pid: int = Field(sa_column=Column(LONG, nullable=False))
    started: str = Field(sa_column=text())
    started_at: int = Field(sa_column=instant(nullable=False))
    lease_until: int = Field(sa_column=instant(nullable=False))
    tasks: str = Field(sa_column=text(default="[]"))
    labels: str = Field(sa_column=text(default="[]"))
    lacks: str = Field(sa_column=text(default="{}"))
    queues: str = Field(sa_column=text(default="[]"))
    draining_at: int | None = Field(default=None, sa_column=instant())


class BlobRow(Base, table=True):
    """A large payload, kept once however often it is recorded; its key is the digest of its text."""

    __tablename__ = "agentflow_blob"
    __table_args__ = (STRICT,)

    digest: str = Field(sa_column=Column(Text, primary_key=True))
    content: str = Field(sa_column=text())
    size: int = Field(sa_column=Column(LONG, nullable=False))
    created_at: int = Field(sa_column=instant(nullable=False))
