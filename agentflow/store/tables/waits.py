"""Waits, and what answers them: events, and callbacks that other systems complete."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Text
from sqlmodel import Field

from agentflow.states import CallbackStatus
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


class WaitRow(Base, table=True):
    """An open wait; deleted when it is answered or withdrawn. That for an approval is the pending approval itself."""

    __tablename__ = "agentflow_wait"
    __table_args__ = (
        partial("ix_agentflow_wait_subject", "subject", "kind", where="subject IS NOT NULL AND kind <> 'approval'"),
        partial("ix_agentflow_wait_due", "due_at", where="due_at IS NOT NULL AND kind IN ('event', 'message')"),
        STRICT | WITHOUT_ROWID,
    )

    run_id: str = Field(sa_column=Column(Text, ForeignKey("agentflow_run.id"), primary_key=True))
    key: str = Field(sa_column=Column(Text, primary_key=True))
    kind: str = Field(sa_column=text())
    subject: str | None = Field(sa_column=text(nullable=True))
    opened_at: int = Field(sa_column=instant(nullable=False))
    due_at: int | None = Field(sa_column=instant())


class EventRow(Base, table=True):
    """An event that was sent; `seq` counts those of one name and key from 1, `woken` names runs that waited for it."""

    __tablename__ = "agentflow_event"
    __table_args__ = (
        Index("uq_agentflow_event_name_key_seq", "name", "key", "seq", unique=True),
        Index("ix_agentflow_event_name_key_sent_at", "name", "key", "sent_at", "seq"),
        Index("ix_agentflow_event_sent_at", "sent_at", "id"),
        *blob_names("agentflow_event", "payload"),
        STRICT,
    )

    id: str = Field(sa_column=Column(Text, primary_key=True))
    name: str = Field(sa_column=text())
    key: str = Field(sa_column=text())
    seq: int = Field(sa_column=whole())
    payload: str = Field(sa_column=large_text())
    digest: str = Field(sa_column=text())
    sent_by: str = Field(sa_column=text())
    sent_at: int = Field(sa_column=instant(nullable=False))
    woken: str | None = Field(default=None, sa_column=text(nullable=True))


class CursorRow(Base, table=True):
    """How far a run has read the stream of messages of one name and key."""

    __tablename__ = "agentflow_cursor"
    __table_args__ = (Index("ix_agentflow_cursor_name_key", "name", "key"), STRICT)

    run_id: str = Field(sa_column=Column(Text, ForeignKey("agentflow_run.id"), primary_key=True))
    name: str = Field(sa_column=Column(Text, primary_key=True))
    key: str = Field(sa_column=Column(Text, primary_key=True))
    seq: int = Field(sa_column=whole())


class CallbackRow(Base, table=True):
    """A promise another system keeps by HTTP. `lapses_at` is the earlier of its deadline and its next heartbeat."""

    __tablename__ = "agentflow_callback"
    __table_args__ = (
        CheckConstraint(one_of("status", CallbackStatus), name="status"),
        Index("uq_agentflow_callback_token_digest", "token_digest", unique=True),
        Index("ix_agentflow_callback_run_id_key", "run_id", "key"),
        *blob_names("agentflow_callback", "output", "error", "details"),
        partial("ix_agentflow_callback_lapses_at", "lapses_at", where="status = 'pending' AND lapses_at IS NOT NULL"),
        STRICT,
    )

    id: str = Field(sa_column=Column(Text, primary_key=True))
    run_id: str = Field(sa_column=Column(Text, ForeignKey("agentflow_run.id"), nullable=False))
    key: str = Field(sa_column=text())
    token_digest: str = Field(sa_column=text())
    status: str = Field(sa_column=text())
    output: str | None = Field(sa_column=large_text(nullable=True))
    error: str | None = Field(sa_column=large_text(nullable=True))
    details: str | None = Field(sa_column=large_text(nullable=True))
    heartbeat_for: int | None = Field(sa_column=Column(LONG, nullable=True))
    due_at: int | None = Field(sa_column=instant())
    lapses_at: int | None = Field(sa_column=instant())
    created_at: int = Field(sa_column=instant(nullable=False))
    resolved_at: int | None = Field(sa_column=instant())


class HeartbeatRow(Base, table=True):
    """What a step last said of its progress, for its next attempt."""

    __tablename__ = "agentflow_heartbeat"
    __table_args__ = (*blob_names("agentflow_heartbeat", "details"), STRICT)

    run_id: str = Field(sa_column=Column(Text, ForeignKey("agentflow_run.id"), primary_key=True))
    key: str = Field(sa_column=Column(Text, primary_key=True))
    details: str = Field(sa_column=large_text())
    at: int = Field(sa_column=instant(nullable=False))
