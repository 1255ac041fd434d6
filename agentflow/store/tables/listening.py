"""Tasks that events start, and which event started what."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Text
from sqlmodel import Field

from agentflow.states import MatchStatus
from agentflow.store.tables.base import STRICT, Base, instant, one_of, partial, text


class ListenerRow(Base, table=True):
    """A task that is started by events whose name fits `pattern`; `declared_at` is when its code last said so."""

    __tablename__ = "agentflow_listener"
    __table_args__ = (STRICT,)

    id: str = Field(sa_column=Column(Text, primary_key=True))
    task: str = Field(sa_column=text())
    pattern: str = Field(sa_column=text())
    created_at: int = Field(sa_column=instant(nullable=False))
    declared_at: int = Field(sa_column=instant(nullable=False))


class MatchRow(Base, table=True):
    """An event and a listener whose pattern it fits; its primary key is what makes it start one run.

    Stored with the event; what the listener's code says of it is found out by a process that has that code.
    """

    __tablename__ = "agentflow_match"
    __table_args__ = (
        CheckConstraint(one_of("status", MatchStatus), name="status"),
        partial("ix_agentflow_match_pending", "created_at", "event_id", "listener_id", where="status = 'pending'"),
        partial("ix_agentflow_match_failed", "created_at", "event_id", where="status = 'failed'"),
        Index("ix_agentflow_match_created_at", "created_at", "event_id"),
        Index("ix_agentflow_match_listener_id_created_at", "listener_id", "created_at", "event_id"),
        STRICT,
    )

    event_id: str = Field(
        sa_column=Column(Text, ForeignKey("agentflow_event.id", ondelete="CASCADE"), primary_key=True)
    )
    listener_id: str = Field(sa_column=Column(Text, primary_key=True))
    status: str = Field(sa_column=text())
    run_id: str | None = Field(sa_column=text(nullable=True))
    reason: str | None = Field(sa_column=text(nullable=True))
    created_at: int = Field(sa_column=instant(nullable=False))
    settled_at: int | None = Field(sa_column=instant())
