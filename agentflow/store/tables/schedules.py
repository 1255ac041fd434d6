"""Schedules and their occurrences."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, Index, Text
from sqlmodel import Field

from agentflow.states import OccurrenceKind, OccurrenceOutcome, Overlap
from agentflow.store.tables.base import LONG, STRICT, Base, instant, one_of, partial, text, whole


class ScheduleRow(Base, table=True):
    """A schedule, declared in code or made by a program; this row, not a scheduler's memory, says when it fires next.

    `next_fire_at` is the nominal time; within `spread` microseconds of it the run starts. Where `plan_from` is set, it
    is to be worked out anew, as the first time after that. `revision` counts changes.
    """

    __tablename__ = "agentflow_schedule"
    __table_args__ = (
        Index("ix_agentflow_schedule_next_fire_at", "next_fire_at"),
        partial("ix_agentflow_schedule_plan_from", "plan_from", where="plan_from IS NOT NULL"),
        CheckConstraint(one_of("overlap", Overlap), name="overlap"),
        CheckConstraint("source IN ('code', 'program')", name="source"),
        STRICT,
    )

    id: str = Field(sa_column=Column(Text, primary_key=True))
    task: str = Field(sa_column=text())
    rule: str = Field(sa_column=text())
    timezone: str = Field(sa_column=text())
    input: str = Field(sa_column=text())
    next_fire_at: int | None = Field(sa_column=instant())
    last_fire_at: int | None = Field(sa_column=instant())
    created_at: int = Field(sa_column=instant(nullable=False))
    source: str = Field(sa_column=text(default="code"))
    spread: int = Field(sa_column=Column(LONG, nullable=False, server_default="0"))
    overlap: str = Field(sa_column=text(default=Overlap.ALLOW.value))
    catch_up: str = Field(sa_column=text(default="latest"))
    start_at: int | None = Field(sa_column=instant())
    end_at: int | None = Field(sa_column=instant())
    plan_from: int | None = Field(sa_column=instant())
    occurrence_as: str | None = Field(sa_column=text(nullable=True))
    revision: int = Field(sa_column=whole(default=1))
    paused_at: int | None = Field(sa_column=instant())
    paused_by: str | None = Field(sa_column=text(nullable=True))
    pause_reason: str | None = Field(sa_column=text(nullable=True))
    changed_at: int | None = Field(sa_column=instant())
    changed_by: str | None = Field(sa_column=text(nullable=True))


class OccurrenceRow(Base, table=True):
    """One fire time of a schedule; its primary key is what makes it start one run.

    One that was `missed` stands for `count` of them, from `fire_at` on. `revision` is that of the schedule it followed.
    """

    __tablename__ = "agentflow_occurrence"
    __table_args__ = (
        CheckConstraint(one_of("kind", OccurrenceKind), name="kind"),
        CheckConstraint(one_of("outcome", OccurrenceOutcome), name="outcome"),
        partial("ix_agentflow_occurrence_started", "schedule_id", "run_id", where="run_id IS NOT NULL"),
        partial("ix_agentflow_occurrence_queued", "schedule_id", "fire_at", where="outcome = 'queued'"),
        STRICT,
    )

    schedule_id: str = Field(sa_column=Column(Text, primary_key=True))
    fire_at: int = Field(sa_column=Column(LONG, primary_key=True))
    run_id: str | None = Field(sa_column=text(nullable=True))
    created_at: int = Field(sa_column=instant(nullable=False))
    kind: str = Field(sa_column=text(default=OccurrenceKind.DUE.value))
    outcome: str = Field(sa_column=text(default=OccurrenceOutcome.STARTED.value))
    reason: str | None = Field(sa_column=text(nullable=True))
    revision: int = Field(sa_column=whole(default=1))
    count: int = Field(sa_column=whole(default=1))


class BackfillRow(Base, table=True):
    """A range of the past that is to be filled in, and how far that has come."""

    __tablename__ = "agentflow_backfill"
    __table_args__ = (
        CheckConstraint(one_of("overlap", Overlap), name="overlap"),
        partial("ix_agentflow_backfill_open", "created_at", "id", where="finished_at IS NULL"),
        Index("ix_agentflow_backfill_schedule_id_created_at", "schedule_id", "created_at"),
        STRICT,
    )

    id: str = Field(sa_column=Column(Text, primary_key=True))
    schedule_id: str = Field(sa_column=text())
    since: int = Field(sa_column=instant(nullable=False))
    until: int = Field(sa_column=instant(nullable=False))
    cursor: int = Field(sa_column=instant(nullable=False))
    overlap: str = Field(sa_column=text())
    started: int = Field(sa_column=whole())
    requested_by: str = Field(sa_column=text())
    created_at: int = Field(sa_column=instant(nullable=False))
    finished_at: int | None = Field(sa_column=instant())
    cancelled_by: str | None = Field(sa_column=text(nullable=True))


class ScheduleChangeRow(Base, table=True):
    """Who changed, paused or resumed a schedule, or asked it for more, when and why; appended to only."""

    __tablename__ = "agentflow_schedule_change"
    __table_args__ = (Index("ix_agentflow_schedule_change_schedule_id", "schedule_id", "id"), STRICT)

    id: int = Field(sa_column=Column(LONG, primary_key=True))
    schedule_id: str = Field(sa_column=text())
    change: str = Field(sa_column=text())
    changed_by: str = Field(sa_column=text())
    reason: str = Field(sa_column=text())
    at: int = Field(sa_column=instant(nullable=False))
