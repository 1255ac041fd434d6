"""What language models cost and may cost, and what agents keep beside their journals."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Text
from sqlmodel import Field

from agentflow.store.tables.base import DOUBLE, LONG, STRICT, Base, blob_names, instant, large_text, text, whole

SUMMED = ("input_tokens", "output_tokens", "cached_tokens", "cost")


class UsageRow(Base, table=True):
    """What an attempt used of one model; `cost` is in billionths of a US dollar, `day` counts from 1970 (UTC).

    It outlives its run. The books are summed along an index that has all they are made of, in the order of their rows.
    """

    __tablename__ = "agentflow_usage"
    __table_args__ = (
        Index("ix_agentflow_usage_run_id_key", "run_id", "key"),
        Index("ix_agentflow_usage_books", "day", "task", "model", "at", *SUMMED),
        STRICT,
    )

    id: int = Field(sa_column=Column(LONG, primary_key=True))
    run_id: str = Field(sa_column=text())
    task: str = Field(sa_column=text())
    key: str = Field(sa_column=text())
    attempt: int = Field(sa_column=whole())
    at: int = Field(sa_column=instant(nullable=False))
    day: int = Field(sa_column=whole())
    took: int | None = Field(sa_column=instant())
    model: str = Field(sa_column=text())
    input_tokens: int = Field(sa_column=Column(LONG, nullable=False))
    output_tokens: int = Field(sa_column=Column(LONG, nullable=False))
    cached_tokens: int = Field(sa_column=Column(LONG, nullable=False))
    reasoning_tokens: int = Field(sa_column=Column(LONG, nullable=False))
    cost: int | None = Field(sa_column=Column(LONG, nullable=True))


class RunBudgetRow(Base, table=True):
    """What an operation of a run may spend, all runs below it included; its limits have the grants in them."""

    __tablename__ = "agentflow_run_budget"
    __table_args__ = (Index("ix_agentflow_run_budget_root_id", "root_id"), STRICT)

    run_id: str = Field(sa_column=Column(Text, ForeignKey("agentflow_run.id"), primary_key=True))
    key: str = Field(sa_column=Column(Text, primary_key=True))
    root_id: str = Field(sa_column=text())
    tokens: int | None = Field(sa_column=Column(LONG, nullable=True))
    cost: int | None = Field(sa_column=Column(LONG, nullable=True))
    warn_at: float = Field(sa_column=Column(DOUBLE, nullable=False))
    created_at: int = Field(sa_column=instant(nullable=False))


class GrantRow(Base, table=True):
    """What was granted a budget beyond what it held: by whom, when, how much."""

    __tablename__ = "agentflow_run_budget_grant"
    __table_args__ = (Index("ix_agentflow_run_budget_grant_run_id", "run_id"), STRICT)

    id: str = Field(sa_column=Column(Text, primary_key=True))
    run_id: str = Field(sa_column=Column(Text, ForeignKey("agentflow_run.id"), nullable=False))
    key: str = Field(sa_column=text())
    granted_by: str = Field(sa_column=text())
    tokens: int = Field(sa_column=Column(LONG, nullable=False))
    cost: int = Field(sa_column=Column(LONG, nullable=False))
    at: int = Field(sa_column=instant(nullable=False))


class ThreadPartRow(Base, table=True):
    """What one operation added to a conversation; `seq` counts from 1 within it. It outlives its run."""

    __tablename__ = "agentflow_thread_part"
    __table_args__ = (
        Index("uq_agentflow_thread_part_run_id_key", "run_id", "key", unique=True),
        *blob_names("agentflow_thread_part", "messages"),
        STRICT,
    )

    thread: str = Field(sa_column=Column(Text, primary_key=True))
    seq: int = Field(sa_column=Column(LONG, primary_key=True, autoincrement=False))
    run_id: str = Field(sa_column=text())
    key: str = Field(sa_column=text())
    at: int = Field(sa_column=instant(nullable=False))
    messages: str = Field(sa_column=large_text())
    count: int = Field(sa_column=whole())


class ChunkRow(Base, table=True):
    """A piece of what an operation is saying, for those who follow along; it goes when the run has ended."""

    __tablename__ = "agentflow_chunk"
    __table_args__ = (Index("ix_agentflow_chunk_run_id_id", "run_id", "id"), STRICT)

    id: int = Field(sa_column=Column(LONG, primary_key=True))
    run_id: str = Field(sa_column=text())
    epoch: int = Field(sa_column=whole())
    key: str = Field(sa_column=text())
    attempt: int = Field(sa_column=whole())
    place: int = Field(sa_column=whole())
    at: int = Field(sa_column=instant(nullable=False))
    text: str = Field(sa_column=text())


class RateHoldRow(Base, table=True):
    """Until when no call of a rate key passes, because the other side has asked for that."""

    __tablename__ = "agentflow_rate_hold"
    __table_args__ = (STRICT,)

    key: str = Field(sa_column=Column(Text, primary_key=True))
    until: int = Field(sa_column=instant(nullable=False))
