"""Requests that come in, and those that go out: webhook deliveries, subscriptions and what is sent to them."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Text
from sqlmodel import Field

from agentflow.states import DeliveryOutcome, DispatchStatus
from agentflow.store.tables.base import (
    LONG,
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


class DeliveryRow(Base, table=True):
    """One authentic webhook request, or its redelivery by a person.

    The first of a webhook with a delivery id counts; one of the same id with another body is kept as a conflict.
    `reason` was told the sender, `detail` is for operators; `headers` is JSON, without those that hold secrets.
    """

    __tablename__ = "agentflow_delivery"
    __table_args__ = (
        CheckConstraint(one_of("outcome", DeliveryOutcome), name="outcome"),
        partial(
            "uq_agentflow_delivery_delivery_id_webhook",
            "delivery_id",
            "webhook",
            where="outcome <> 'conflict' AND redelivery_of IS NULL",
            unique=True,
        ),
        partial(
            "ix_agentflow_delivery_others",
            "delivery_id",
            "webhook",
            "received_at",
            "id",
            where="outcome = 'conflict' OR redelivery_of IS NOT NULL",
        ),
        Index("ix_agentflow_delivery_received_at", "received_at", "id"),
        Index("ix_agentflow_delivery_outcome_received_at", "outcome", "received_at", "id"),
        Index("ix_agentflow_delivery_webhook_received_at", "webhook", "received_at", "id"),
        Index("ix_agentflow_delivery_webhook_outcome_received_at", "webhook", "outcome", "received_at", "id"),
        *blob_names("agentflow_delivery", "body"),
        STRICT,
    )

    id: str = Field(sa_column=Column(Text, primary_key=True))
    webhook: str = Field(sa_column=text())
    delivery_id: str = Field(sa_column=text())
    digest: str = Field(sa_column=text())
    run_id: str | None = Field(sa_column=text(nullable=True))
    received_at: int = Field(sa_column=instant(nullable=False))
    outcome: str = Field(sa_column=text(default=DeliveryOutcome.STARTED.value))
    reason: str | None = Field(sa_column=text(nullable=True))
    detail: str | None = Field(sa_column=text(nullable=True))
    headers: str = Field(sa_column=text(default="[]"))
    body: str | None = Field(sa_column=large_text(nullable=True))
    encoding: str = Field(sa_column=text(default="utf-8"))
    redelivery_of: str | None = Field(sa_column=text(nullable=True))
    requested_by: str | None = Field(sa_column=text(nullable=True))


class SubscriptionRow(Base, table=True):
    """A URL that is told of what happens. `cursor` is the journal entry of all runs up to which that has been done.

    `events` and `tasks` are JSON lists of patterns. For `previous_until` what is sent is signed with the secret before,
    too. A `secret` that begins with "env:" names an environment variable.
    """

    __tablename__ = "agentflow_subscription"
    __table_args__ = (STRICT,)

    id: str = Field(sa_column=Column(Text, primary_key=True))
    url: str = Field(sa_column=text())
    events: str = Field(sa_column=text())
    tasks: str = Field(sa_column=text(default="[]"))
    description: str = Field(sa_column=text(default=""))
    secret: str = Field(sa_column=text())
    previous_secret: str | None = Field(sa_column=text(nullable=True))
    previous_until: int | None = Field(sa_column=instant())
    cursor: int = Field(sa_column=Column(LONG, nullable=False))
    created_at: int = Field(sa_column=instant(nullable=False))
    created_by: str = Field(sa_column=text())
    disabled_at: int | None = Field(sa_column=instant())
    disabled_by: str | None = Field(sa_column=text(nullable=True))
    disabled_reason: str | None = Field(sa_column=text(nullable=True))


class DispatchRow(Base, table=True):
    """An event on its way to one subscriber. Its id is the message's, the same at each attempt.

    `key` says what happened, so that a subscriber is told of it once; `entry_id` is the journal's entry, 0 for a ping.
    Whoever sends it moves `next_at` on first, so that nobody else does meanwhile. `log` is JSON: the last attempts.
    """

    __tablename__ = "agentflow_dispatch"
    __table_args__ = (
        CheckConstraint(one_of("status", DispatchStatus), name="status"),
        Index("uq_agentflow_dispatch_subscription_id_key", "subscription_id", "key", unique=True),
        partial("ix_agentflow_dispatch_due", "subscription_id", "next_at", "entry_id", where="status = 'pending'"),
        partial("ix_agentflow_dispatch_undelivered", "created_at", "id", where="status <> 'delivered'"),
        Index("ix_agentflow_dispatch_created_at", "created_at", "id"),
        Index("ix_agentflow_dispatch_subscription_id_created_at", "subscription_id", "created_at", "id"),
        *blob_names("agentflow_dispatch", "payload"),
        STRICT,
    )

    id: str = Field(sa_column=Column(Text, primary_key=True))
    subscription_id: str = Field(sa_column=Column(Text, ForeignKey("agentflow_subscription.id"), nullable=False))
    event: str = Field(sa_column=text())
    key: str = Field(sa_column=text())
    run_id: str = Field(sa_column=text())
    entry_id: int = Field(sa_column=Column(LONG, nullable=False))
    payload: str = Field(sa_column=large_text())
    status: str = Field(sa_column=text())
    attempts: int = Field(sa_column=whole())
    next_at: int | None = Field(sa_column=instant())
    log: str = Field(sa_column=text(default="[]"))
    created_at: int = Field(sa_column=instant(nullable=False))
    delivered_at: int | None = Field(sa_column=instant())
    requested_by: str | None = Field(sa_column=text(nullable=True))
