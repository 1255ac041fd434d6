"""Queues: what is going on in them, and their limits."""

import json
from typing import Annotated

from msgspec import Meta

from agentflow.limits import Limits, limits_document
from agentflow.records import QueueChange, QueueState
from approvals_ui.api.fields import Asked, Count, Instant, Json, Limit, QueueName, Reason, Seconds, Told, Who
from approvals_ui.api.shapes.reading import same

Many = Annotated[int, Meta(ge=1, le=10**9, examples=[8])]
RateText = Annotated[str, Meta(min_length=1, max_length=100, examples=["100/min"])]
BudgetName = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[\w.:@-]+$", examples=["openai-tokens"])]


class RateView(Told):
    """At most `amount` within any span of `per` seconds."""

    amount: Count
    per: Seconds


class BudgetView(Told):
    """A rate of costs that queues share by its name."""

    name: BudgetName
    amount: Count
    per: Seconds


class LimitsView(Told):
    """The limits of a queue; null where there is none."""

    concurrency: Many | None = None
    per_key: Many | None = None
    per_worker: Many | None = None
    rate: RateView | None = None
    budget: BudgetView | None = None
    backlog: Many | None = None
    fair: bool = False


class NewLimits(Asked):
    """Limits in place of all that a queue has. A rate is a text such as "100/min"."""

    concurrency: Many | None = None
    per_key: Many | None = None
    per_worker: Many | None = None
    rate: RateText | None = None
    budget: BudgetName | None = None
    budget_rate: RateText | None = None
    backlog: Many | None = None
    fair: bool = False
    reason: Reason = ""


class ChangesQuery(Asked):
    """How many."""

    limit: Limit = 50


class QueueView(Told):
    """A queue: the limits that hold and those its code declares, what stands in it, and its last change."""

    name: QueueName
    limits: LimitsView
    declared: LimitsView
    running: Count
    due: Count
    delayed: Count
    paused_at: Instant | None
    changed_by: str
    reason: str
    changed_at: Instant | None


class QueueList(Told):
    """Every queue, by name."""

    items: list[QueueView]


class ChangeView(Told):
    """A change by a person."""

    at: Instant
    changed_by: Who
    reason: str
    change: Json


class ChangeList(Told):
    """Changes, newest first."""

    items: list[ChangeView]


def queue_view(queue: QueueState) -> QueueView:
    """The queue as the API shows it."""
    return QueueView(
        **same(QueueView, queue, "limits", "declared"),
        limits=_limits_view(queue.limits),
        declared=_limits_view(queue.declared),
    )


def change_view(change: QueueChange) -> ChangeView:
    """The change as the API shows it."""
    return ChangeView(**same(ChangeView, change, "change"), change=json.loads(change.change))


def _limits_view(limits: Limits) -> LimitsView:
    known = limits_document(limits)
    for name, view in (("rate", RateView), ("budget", BudgetView)):
        if name in known:
            known[name] = view(**known[name])
    return LimitsView(**known)
