"""/api/v1/runs/{id}/cancel and its like: steer runs."""

from functools import partial
from typing import Any, Final

from litestar import Controller, Response, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import UNSET

from agentflow.errors import (
    ForkRefused,
    IllegalTransition,
    KeyNotRecorded,
    NotRecordable,
    PayloadTooLarge,
    RunNotFound,
    SingletonTaken,
)
from approvals_ui.api.endpoint import endpoint, reply
from approvals_ui.api.reading import body_of
from approvals_ui.api.shapes.runs import Forking, Resuming, RunView, Steering, run_view
from approvals_ui.caller import Caller
from approvals_ui.desk import Desk
from approvals_ui.views import Asked

about = partial(endpoint, tag="runs", scope="runs:write", is_body_optional=True)
WHY: Final = {"why": {"reason": "the customer withdrew"}}
MOVED: Final = (RunNotFound, IllegalTransition)


class SteeringEndpoints(Controller):
    """What people do to runs. Each answers 409 where the run is in no state for it, and nothing was changed then."""

    path = "/runs/{run_id:str}"

    @post(
        "/cancel",
        status_code=200,
        opt=about("cancelRun", "Cancel a run", takes=Steering, gives=RunView, raises=MOVED, examples=WHY),
    )
    async def cancel(
        self, request: Asked, desk: NamedDependency[Desk], caller: NamedDependency[Caller], run_id: FromPath[str]
    ) -> Response[bytes]:
        """Cancel the run with its approvals and children. One with steps to undo is queued to undo them first."""
        asked = await body_of(request, Steering)
        return reply(run_view(await desk.client.cancel(run_id, by=caller.name, reason=asked.reason)))

    @post(
        "/pause",
        status_code=200,
        opt=about("pauseRun", "Pause a run", takes=Steering, gives=RunView, raises=MOVED, examples=WHY),
    )
    async def pause(
        self, request: Asked, desk: NamedDependency[Desk], caller: NamedDependency[Caller], run_id: FromPath[str]
    ) -> Response[bytes]:
        """Pause the run; one that is being executed stops at its next checkpoint."""
        asked = await body_of(request, Steering)
        return reply(run_view(await desk.client.pause(run_id, by=caller.name, reason=asked.reason)))

    @post(
        "/resume",
        status_code=200,
        opt=about(
            "resumeRun",
            "Resume a run",
            takes=Resuming,
            gives=RunView,
            raises=(*MOVED, NotRecordable, PayloadTooLarge),
            examples={"with a result": {"output": {"receipt": "r-17"}}, "again": {}},
        ),
    )
    async def resume(
        self, request: Asked, desk: NamedDependency[Desk], caller: NamedDependency[Caller], run_id: FromPath[str]
    ) -> Response[bytes]:
        """Queue the run again after it was paused or needed attention."""
        asked = await body_of(request, Resuming)
        given: dict[str, Any] = {} if asked.output is UNSET else {"output": asked.output}
        return reply(run_view(await desk.client.resume(run_id, by=caller.name, **given)))

    @post(
        "/retry",
        status_code=200,
        opt=about(
            "retryRun",
            "Retry a run",
            takes=Steering,
            gives=RunView,
            raises=(*MOVED, SingletonTaken),
            examples=WHY,
        ),
    )
    async def retry(
        self, request: Asked, desk: NamedDependency[Desk], caller: NamedDependency[Caller], run_id: FromPath[str]
    ) -> Response[bytes]:
        """Have a run that failed, expired or was cancelled tried again. 409 too if its steps have been undone."""
        asked = await body_of(request, Steering)
        return reply(run_view(await desk.client.retry(run_id, by=caller.name, reason=asked.reason)))

    @post(
        "/fork",
        opt=about(
            "forkRun",
            "Fork a run",
            takes=Forking,
            gives={201: RunView},
            said={201: "The new run is recorded. `Location` is where to read it."},
            raises=(RunNotFound, KeyNotRecorded, ForkRefused, NotRecordable, PayloadTooLarge),
            examples={"corrected": {"patch": {"fetch#1": {"total": 9}}, "reason": "the total was wrong"}},
        ),
    )
    async def fork(
        self, request: Asked, desk: NamedDependency[Desk], caller: NamedDependency[Caller], run_id: FromPath[str]
    ) -> Response[bytes]:
        """Make a run that goes on from a point of this one's journal; the run itself stays as it is."""
        asked = await body_of(request, Forking)
        made = await desk.client.fork(
            run_id,
            by=caller.name,
            from_=asked.from_key,
            patch=asked.patch,
            version=asked.version,
            reason=asked.reason,
        )
        return reply(run_view(made), status=201, location=f"/runs/{made.id}")
