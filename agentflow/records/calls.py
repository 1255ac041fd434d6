"""Requests that came in, and those that go out: webhook deliveries, subscriptions and what is sent to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from agentflow.records.runs import Entry
    from agentflow.states import DeliveryOutcome, DispatchStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One authentic webhook request, or its redelivery by a person, and what became of it.

    `reason` was told the sender, `detail` is for operators. `headers` is a JSON list of pairs, without secrets. `body`
    is None where none is kept, and in listings; it is base64 where `encoding` says so.
    """

    id: str
    webhook: str
    delivery_id: str
    digest: str
    run_id: str | None
    received_at: datetime
    outcome: DeliveryOutcome
    reason: str | None
    detail: str | None
    headers: str
    body: str | None
    encoding: str
    redelivery_of: str | None
    requested_by: str | None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a request: its delivery, or the one of the same id and body that was `repeated`."""

    delivery: Delivery
    repeated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A URL that is told of what happens, with the JSON lists of patterns of `events` and `tasks` it wants.

    The secrets are for signing only: no listing, page or log shows them.
    """

    id: str
    url: str
    events: str
    tasks: str
    description: str
    secret: str = field(repr=False)
    previous_secret: str | None = field(repr=False)
    previous_until: datetime | None
    cursor: int
    created_at: datetime
    created_by: str
    disabled_at: datetime | None
    disabled_by: str | None
    disabled_reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """An event on its way to one subscriber; `id` is sent along, and stays the same at each attempt.

    `key` says what happened: a subscriber is told of it once. `run_id` is "" for a ping. `log` is a JSON list of the
    latest attempts: `at`, `status`, `error`, `took` in seconds.
    """

    id: str
    subscription_id: str
    event: str
    key: str
    run_id: str
    entry_id: int
    payload: str
    status: DispatchStatus
    attempts: int
    next_at: datetime | None
    log: str
    created_at: datetime
    delivered_at: datetime | None
    requested_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscriber:
    """A subscription that is enabled, and when the next of its dispatches is due, None where none waits."""

    subscription: Subscription
    next_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """What happened that subscribers may be told of, each entry with its run's task, up to a place in the journal."""

    entries: Sequence[tuple[Entry, str]]
    until: int
