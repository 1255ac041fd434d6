"""Schedules with their occurrences, and webhook deliveries."""

from __future__ import annotations

from sqlalchemy import Column, Index, Text
from sqlmodel import Field

from agentflow.store.tables.base import LONG, STRICT, Base, instant, text


class ScheduleRow(Base, table=True):
    """A schedule declared in code; this row, not the scheduler's memory, says when it fires next."""

    __tablename__ = "agentflow_schedule"
    __table_args__ = (Index("ix_agentflow_schedule_next_fire_at", "next_fire_at"), STRICT)

    id: str = Field(sa_column=Column(Text, primary_key=True))
    task: str = Field(sa_column=text())
    rule: str = Field(sa_column=text())
    timezone: str = Field(sa_column=text())
    input: str = Field(sa_column=text())
    next_fire_at: int | None = Field(sa_column=instant())
    last_fire_at: int | None = Field(sa_column=instant())
    created_at: int = Field(sa_column=instant(nullable=False))


class OccurrenceRow(Base, table=True):
    """One fire time of a schedule; its primary key is what makes it start one run."""

    __tablename__ = "agentflow_occurrence"
    __table_args__ = (STRICT,)

    schedule_id: str = Field(sa_column=Column(Text, primary_key=True))
    fire_at: int = Field(sa_column=Column(LONG, primary_key=True))
    run_id: str = Field(sa_column=text())
    created_at: int = Field(sa_column=instant(nullable=False))


class DeliveryRow(Base, table=True):
    """One authentic webhook request; its primary key is what makes it start one run."""

    __tablename__ = "agentflow_delivery"
    __table_args__ = (Index("ix_agentflow_delivery_received_at", "received_at"), STRICT)

    webhook: str = Field(sa_column=Column(Text, primary_key=True))
    delivery_id: str = Field(sa_column=Column(Text, primary_key=True))
    digest: str = Field(sa_column=text())
    run_id: str = Field(sa_column=text())
    received_at: int = Field(sa_column=instant(nullable=False))
