"""/api/v1/queues: what is going on in queues, and steering them."""

from functools import partial
from typing import Final

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from agentflow.errors import InvalidSetting, QueueNotFound
from agentflow.limits import Budget, Limits, Rate
from approvals_ui.api.endpoint import endpoint, reply
from approvals_ui.api.reading import body_of, query_of
from approvals_ui.api.shapes.queues import (
    ChangeList,
    ChangesQuery,
    NewLimits,
    QueueList,
    QueueView,
    change_view,
    queue_view,
)
from approvals_ui.api.shapes.runs import Steering
from approvals_ui.caller import Caller
from approvals_ui.desk import Desk
from approvals_ui.views import Asked

about = partial(endpoint, tag="queues", gives=QueueView, raises=(QueueNotFound,))
steering = partial(
    about,
    scope="queues:write",
    takes=Steering,
    is_body_optional=True,
    examples={"why": {"reason": "the supplier is down"}},
)
LIMITED: Final = {"slower": {"concurrency": 4, "rate": "100/min", "reason": "their API is slow today"}}


class QueueEndpoints(Controller):
    """Queues."""

    path = "/queues"

    @get(opt=about("listQueues", "List queues", scope="queues:read", gives=QueueList, raises=()))
    async def listing(self, desk: NamedDependency[Desk]) -> Response[bytes]:
        """Every queue that was declared or has runs, by name."""
        return reply(QueueList(items=[queue_view(one) for one in await desk.client.queues()]))

    @get(
        "/{name:str}/changes",
        opt=about(
            "listQueueChanges",
            "List the changes of a queue",
            scope="queues:read",
            query=ChangesQuery,
            gives=ChangeList,
            raises=(),
        ),
    )
    async def changes(self, request: Asked, desk: NamedDependency[Desk], name: FromPath[str]) -> Response[bytes]:
        """Who changed the queue, when and why, newest first."""
        asked = query_of(request, ChangesQuery)
        found = await desk.client.queue_changes(name, limit=asked.limit)
        return reply(ChangeList(items=[change_view(one) for one in found]))

    @post("/{name:str}/pause", status_code=200, opt=steering("pauseQueue", "Pause a queue"))
    async def pause(
        self, request: Asked, desk: NamedDependency[Desk], caller: NamedDependency[Caller], name: FromPath[str]
    ) -> Response[bytes]:
        """Take no further run from the queue, in any process; those that run go on."""
        asked = await body_of(request, Steering)
        return reply(queue_view(await desk.client.pause_queue(name, by=caller.name, reason=asked.reason)))

    @post("/{name:str}/resume", status_code=200, opt=steering("resumeQueue", "Resume a queue"))
    async def resume(
        self, request: Asked, desk: NamedDependency[Desk], caller: NamedDependency[Caller], name: FromPath[str]
    ) -> Response[bytes]:
        """Serve the queue again."""
        asked = await body_of(request, Steering)
        return reply(queue_view(await desk.client.resume_queue(name, by=caller.name, reason=asked.reason)))

    @post("/{name:str}/reset", status_code=200, opt=steering("resetQueue", "Reset a queue's limits"))
    async def reset(
        self, request: Asked, desk: NamedDependency[Desk], caller: NamedDependency[Caller], name: FromPath[str]
    ) -> Response[bytes]:
        """Give the queue the limits back that its code declares."""
        asked = await body_of(request, Steering)
        return reply(queue_view(await desk.client.reset_queue(name, by=caller.name, reason=asked.reason)))

    @post(
        "/{name:str}/limits",
        status_code=200,
        opt=about(
            "setQueueLimits",
            "Set a queue's limits",
            scope="queues:write",
            takes=NewLimits,
            raises=(QueueNotFound, InvalidSetting),
            examples=LIMITED,
        ),
    )
    async def limit(
        self, request: Asked, desk: NamedDependency[Desk], caller: NamedDependency[Caller], name: FromPath[str]
    ) -> Response[bytes]:
        """Put these limits in place of all that the queue has, until they are reset."""
        asked = await body_of(request, NewLimits)
        limits = Limits(
            concurrency=asked.concurrency,
            per_key=asked.per_key,
            per_worker=asked.per_worker,
            rate=None if asked.rate is None else Rate.of(asked.rate),
            budget=None if asked.budget is None else Budget(asked.budget, asked.budget_rate or ""),
            backlog=asked.backlog,
            fair=asked.fair,
        )
        changed = await desk.client.set_queue_limits(name, limits, by=caller.name, reason=asked.reason)
        return reply(queue_view(changed))
