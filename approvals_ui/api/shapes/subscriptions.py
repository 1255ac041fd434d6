"""Subscriptions, and what is on its way to subscribers."""

from typing import Annotated

from msgspec import Meta

from agentflow.records import Dispatch, Subscription
from agentflow.states import DispatchStatus
from approvals_ui.api.fields import (
    Asked,
    Count,
    Cursor,
    DispatchId,
    Instant,
    Json,
    Limit,
    Span,
    SubscriptionId,
    Told,
    Who,
)
from approvals_ui.api.shapes.reading import parsed, same

Url = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=2000,
        pattern=r"^https?://[^\s]+$",
        examples=["https://hooks.example.com/agentflow"],
        description="Where it is told, by POST.",
    ),
]
EventPattern = Annotated[str, Meta(min_length=1, max_length=200, examples=["run.*"])]
EventPatterns = Annotated[
    list[EventPattern],
    Meta(max_length=50, examples=[["run.failed", "approval.*"]], description="Types of events, or patterns of them."),
]
TaskPatterns = Annotated[
    list[EventPattern],
    Meta(max_length=50, examples=[["invoice.*"]], description="Tasks, or patterns of them; none for every task."),
]
Description = Annotated[str, Meta(max_length=500, examples=["the billing system"])]
GivenSecret = Annotated[
    str, Meta(min_length=1, max_length=500, description='A secret of your own, or "env:NAME"; else one is made.')
]


class NewSubscription(Asked):
    """A URL that is to be told of what happens from now on."""

    url: Url
    events: Annotated[EventPatterns, Meta(min_length=1)]
    tasks: TaskPatterns = []  # noqa: RUF012  msgspec gives each its own
    description: Description = ""
    secret: GivenSecret | None = None


class SubscriptionChange(Asked):
    """What is to be changed; whatever is left out stays."""

    url: Url | None = None
    events: EventPatterns | None = None
    tasks: TaskPatterns | None = None
    description: Description | None = None


class Rotation(Asked):
    """For how long events are signed with the secret before, too: up to 7 days."""

    keep_for: Span = "24h"
    secret: GivenSecret | None = None


class DispatchesQuery(Asked):
    """Which dispatches: to one subscription, in one status, or all."""

    subscription: SubscriptionId | None = None
    status: DispatchStatus | None = None
    cursor: Cursor | None = None
    limit: Limit = 50


class SubscriptionView(Told):
    """A subscription; never its secret."""

    id: SubscriptionId
    url: Annotated[str, Meta(examples=["https://hooks.example.com/agentflow"])]
    events: EventPatterns
    tasks: TaskPatterns
    description: str
    previous_until: Instant | None
    created_at: Instant
    created_by: Who
    disabled_at: Instant | None
    disabled_by: Who | None
    disabled_reason: str | None


class SubscriptionSecret(SubscriptionView):
    """A subscription with its new `secret`, which is shown this once."""

    secret: Annotated[str, Meta(examples=["whsec_…"])]


class SubscriptionList(Told):
    """Every subscription, the oldest first."""

    items: list[SubscriptionView]


class DispatchView(Told):
    """An event on its way to one subscriber; its `id` is sent along, and stays the same at each attempt."""

    id: DispatchId
    subscription_id: SubscriptionId
    event: Annotated[str, Meta(examples=["run.completed"])]
    run_id: Annotated[str, Meta(examples=["run_01kajx5q9b2m8v0d7t3y"], description='The run it is about; "" for none.')]
    payload: Json
    status: DispatchStatus
    attempts: Count
    next_at: Instant | None
    log: Annotated[
        list[Json],
        Meta(
            description="The latest attempts: `at`, `status`, `error`, `took` in seconds.",
            examples=[[{"at": "2026-11-23T09:00:00Z", "status": 503, "error": "", "took": 0.2}]],
        ),
    ]
    created_at: Instant
    delivered_at: Instant | None
    requested_by: Who | None


class DispatchPage(Told):
    """Some dispatches, newest first, without large payloads; `next_cursor` fetches what follows."""

    items: list[DispatchView]
    next_cursor: Cursor | None


def subscription_view(subscription: Subscription) -> SubscriptionView:
    """The subscription as the API shows it."""
    return SubscriptionView(
        **same(SubscriptionView, subscription, "events", "tasks"),
        events=parsed(subscription.events),
        tasks=parsed(subscription.tasks),
    )


def with_secret(subscription: Subscription) -> SubscriptionSecret:
    """The subscription as it is shown to whoever made its secret."""
    return SubscriptionSecret(
        **same(SubscriptionSecret, subscription, "events", "tasks"),
        events=parsed(subscription.events),
        tasks=parsed(subscription.tasks),
    )


def dispatch_view(dispatch: Dispatch) -> DispatchView:
    """The dispatch as the API shows it."""
    return DispatchView(
        **same(DispatchView, dispatch, "payload", "log"),
        payload=parsed(dispatch.payload or None),
        log=parsed(dispatch.log),
    )
