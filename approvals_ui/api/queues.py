"""/api/v1/queues: what is going on in queues, and steering them."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from agentflow.limits import Budget, Limits, Rate, limits_document
from agentflow.records import QueueChange, QueueState
from approvals_ui.api.shapes import Steering
from approvals_ui.desk import Desk


@dataclass(frozen=True, slots=True, kw_only=True)
class RateView:
    """At most `amount` within any span of `per` seconds."""

    amount: int
    per: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetView:
    """A rate of costs that queues share by its name."""

    name: str
    amount: int
    per: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsView:
    """The limits of a queue; null where there is none."""

    concurrency: int | None = None
    per_key: int | None = None
    per_worker: int | None = None
    rate: RateView | None = None
    budget: BudgetView | None = None
    backlog: int | None = None
    fair: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLimits:
    """Limits in place of all that a queue has. A rate is a text such as "100/min"."""

    concurrency: int | None = None
    per_key: int | None = None
    per_worker: int | None = None
    rate: str | None = None
    budget: str | None = None
    budget_rate: str | None = None
    backlog: int | None = None
    fair: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueView:
    """A queue: the limits that hold and those its code declares, what stands in it, and its last change."""

    name: str
    limits: LimitsView
    declared: LimitsView
    running: int
    due: int
    delayed: int
    paused_at: datetime | None
    changed_by: str
    reason: str
    changed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeView:
    """A change of a queue by a person."""

    at: datetime
    changed_by: str
    reason: str
    change: Any


class QueueEndpoints(Controller):
    """Queues."""

    path = "/queues"
    tags = ("queues",)

    @get(operation_id="listQueues")
    async def listing(self, desk: NamedDependency[Desk]) -> list[QueueView]:
        """Every queue that was declared or has runs, by name."""
        return [queue_view(one) for one in await desk.client.queues()]

    @get("/{name:str}/changes", operation_id="getQueueChanges")
    async def changes(
        self,
        desk: NamedDependency[Desk],
        name: FromPath[str],
        limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
    ) -> list[ChangeView]:
        """Who changed the queue, when and why, newest first."""
        return [change_view(one) for one in await desk.client.queue_changes(name, limit=limit)]

    @post("/{name:str}/pause", status_code=200, operation_id="pauseQueue")
    async def pause(
        self, desk: NamedDependency[Desk], name: FromPath[str], data: JSONBody[Steering | None] = None
    ) -> QueueView:
        """Take no further run from the queue, in any process; those that run go on."""
        return queue_view(await desk.client.pause_queue(name, by=desk.reviewer, reason=data.reason if data else ""))

    @post("/{name:str}/resume", status_code=200, operation_id="resumeQueue")
    async def resume(
        self, desk: NamedDependency[Desk], name: FromPath[str], data: JSONBody[Steering | None] = None
    ) -> QueueView:
        """Serve the queue again."""
        return queue_view(await desk.client.resume_queue(name, by=desk.reviewer, reason=data.reason if data else ""))

    @post("/{name:str}/reset", status_code=200, operation_id="resetQueue")
    async def reset(
        self, desk: NamedDependency[Desk], name: FromPath[str], data: JSONBody[Steering | None] = None
    ) -> QueueView:
        """Give the queue the limits back that its code declares."""
        return queue_view(await desk.client.reset_queue(name, by=desk.reviewer, reason=data.reason if data else ""))

    @post("/{name:str}/limits", status_code=200, operation_id="setQueueLimits")
    async def limit(self, desk: NamedDependency[Desk], name: FromPath[str], data: JSONBody[NewLimits]) -> QueueView:
        """Put these limits in place of all that the queue has, until they are reset. 400 for one nothing could meet."""
        limits = Limits(
            concurrency=data.concurrency,
            per_key=data.per_key,
            per_worker=data.per_worker,
            rate=None if data.rate is None else Rate.of(data.rate),
            budget=None if data.budget is None else Budget(data.budget, data.budget_rate or ""),
            backlog=data.backlog,
            fair=data.fair,
        )
        return queue_view(await desk.client.set_queue_limits(name, limits, by=desk.reviewer, reason=data.reason))


def queue_view(queue: QueueState) -> QueueView:
    """The queue as the API shows it."""
    return QueueView(
        name=queue.name,
        limits=_limits_view(queue.limits),
        declared=_limits_view(queue.declared),
        running=queue.running,
        due=queue.due,
        delayed=queue.delayed,
        paused_at=queue.paused_at,
        changed_by=queue.changed_by,
        reason=queue.reason,
        changed_at=queue.changed_at,
    )


def change_view(change: QueueChange) -> ChangeView:
    """The change as the API shows it."""
    return ChangeView(
        at=change.at, changed_by=change.changed_by, reason=change.reason, change=json.loads(change.change)
    )


def _limits_view(limits: Limits) -> LimitsView:
    known = limits_document(limits)
    for name, view in (("rate", RateView), ("budget", BudgetView)):
        if name in known:
            known[name] = view(**known[name])
    return LimitsView(**known)
