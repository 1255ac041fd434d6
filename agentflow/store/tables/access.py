"""Who may call: tokens of the API, and the sessions of those who signed in with one."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Text
from sqlmodel import Field

from agentflow.store.tables.base import STRICT, Base, instant, partial, text


class ApiTokenRow(Base, table=True):
    """A token of the API: its digest, never the token. `scopes` is a JSON list."""

    __tablename__ = "agentflow_api_token"
    __table_args__ = (partial("uq_agentflow_api_token_name", "name", where="revoked_at IS NULL", unique=True), STRICT)

    id: str = Field(sa_column=Column(Text, primary_key=True))
    name: str = Field(sa_column=text())
    digest: str = Field(sa_column=text())
    scopes: str = Field(sa_column=text())
    created_at: int = Field(sa_column=instant(nullable=False))
    created_by: str = Field(sa_column=text())
    expires_at: int | None = Field(sa_column=instant())
    revoked_at: int | None = Field(sa_column=instant())
    revoked_by: str | None = Field(sa_column=text(nullable=True))
    last_used_at: int | None = Field(sa_column=instant())


class SessionRow(Base, table=True):
    """A browser somebody signed in with; `id` is a digest of what it holds. The row goes when they sign out."""

    __tablename__ = "agentflow_session"
    __table_args__ = (Index("ix_agentflow_session_created_at", "created_at"), STRICT)

    id: str = Field(sa_column=Column(Text, primary_key=True))
    token_id: str = Field(sa_column=Column(Text, ForeignKey("agentflow_api_token.id"), nullable=False))
    created_at: int = Field(sa_column=instant(nullable=False))
    seen_at: int = Field(sa_column=instant(nullable=False))
