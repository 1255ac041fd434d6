"""Queues with limits, what was spent of them, and the circuit breakers of fallback chains."""

from __future__ import annotations

from sqlalchemy import Column, Index, Text
from sqlmodel import Field

from agentflow.store.tables.base import LONG, STRICT, Base, instant, text, whole


class QueueRow(Base, table=True):
    """A queue's limits as declared in code, what an operator has changed of them, and whether it is paused.

    `turn_key` is the queue key that was served last, where keys take turns.
    """

    __tablename__ = "agentflow_queue"
    __table_args__ = (STRICT,)

    name: str = Field(sa_column=Column(Text, primary_key=True))
    declared: str = Field(sa_column=text())
    overridden: str | None = Field(sa_column=text(nullable=True))
    paused_at: int | None = Field(sa_column=instant())
    changed_by: str = Field(sa_column=text())
    reason: str = Field(sa_column=text())
    changed_at: int = Field(sa_column=instant(nullable=False))
    turn_key: str | None = Field(sa_column=text(nullable=True))


class QueueChangeRow(Base, table=True):
    """Who changed, paused or resumed a queue, when and why; appended to only."""

    __tablename__ = "agentflow_queue_change"
    __table_args__ = (Index("ix_agentflow_queue_change_queue_id", "queue", "id"), STRICT)

    id: int = Field(sa_column=Column(LONG, primary_key=True))
    queue: str = Field(sa_column=text())
    change: str = Field(sa_column=text())
    changed_by: str = Field(sa_column=text())
    reason: str = Field(sa_column=text())
    at: int = Field(sa_column=instant(nullable=False))


class SpendRow(Base, table=True):
    """What one start took of a rate or a shared budget; forgotten when its period is over.

    `total` counts on from the bucket's earlier rows, so that what a span holds is the difference of two of them.
    """

    __tablename__ = "agentflow_spend"
    __table_args__ = (Index("ix_agentflow_spend_bucket_at", "bucket", "at"), STRICT)

    id: int = Field(sa_column=Column(LONG, primary_key=True))
    bucket: str = Field(sa_column=text())
    at: int = Field(sa_column=instant(nullable=False))
    amount: int = Field(sa_column=Column(LONG, nullable=False))
    total: int = Field(sa_column=Column(LONG, nullable=False))
    run_id: str = Field(sa_column=text())


class BreakerRow(Base, table=True):
    """The state of one circuit breaker, shared by all workers."""

    __tablename__ = "agentflow_breaker"
    __table_args__ = (STRICT,)

    key: str = Field(sa_column=Column(Text, primary_key=True))
    failures: int = Field(sa_column=whole())
    counted_from: int = Field(sa_column=instant(nullable=False))
    open_until: int | None = Field(sa_column=instant())
    probe_until: int | None = Field(sa_column=instant())
