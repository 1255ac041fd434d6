"""/api/v1/runs/{id}/cancel and its like: steer runs."""

from typing import Any

from litestar import Controller, Response, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import UNSET

from approvals_ui.api.shapes import Forking, Resuming, RunView, Steering, run_view
from approvals_ui.desk import Desk


class SteeringEndpoints(Controller):
    """What people do to runs. Each answers 409 where the run is in no state for it, and nothing was changed then."""

    path = "/runs"
    tags = ("runs",)

    @post("/{run_id:str}/cancel", status_code=200, operation_id="cancelRun")
    async def cancel(
        self, desk: NamedDependency[Desk], run_id: FromPath[str], data: JSONBody[Steering | None] = None
    ) -> RunView:
        """Cancel the run with its approvals and children. One with steps to undo is queued to undo them first."""
        return run_view(await desk.client.cancel(run_id, by=desk.reviewer, reason=_reason(data)))

    @post("/{run_id:str}/pause", status_code=200, operation_id="pauseRun")
    async def pause(
        self, desk: NamedDependency[Desk], run_id: FromPath[str], data: JSONBody[Steering | None] = None
    ) -> RunView:
        """Pause the run; one that is being executed stops at its next checkpoint."""
        return run_view(await desk.client.pause(run_id, by=desk.reviewer, reason=_reason(data)))

    @post("/{run_id:str}/resume", status_code=200, operation_id="resumeRun")
    async def resume(
        self, desk: NamedDependency[Desk], run_id: FromPath[str], data: JSONBody[Resuming | None] = None
    ) -> RunView:
        """Queue the run again after it was paused or needed attention."""
        given: dict[str, Any] = {} if data is None or data.output is UNSET else {"output": data.output}
        return run_view(await desk.client.resume(run_id, by=desk.reviewer, **given))

    @post("/{run_id:str}/retry", status_code=200, operation_id="retryRun")
    async def retry(
        self, desk: NamedDependency[Desk], run_id: FromPath[str], data: JSONBody[Steering | None] = None
    ) -> RunView:
        """Have a run that failed, expired or was cancelled tried again. 409 too if its steps have been undone."""
        return run_view(await desk.client.retry(run_id, by=desk.reviewer, reason=_reason(data)))

    @post("/{run_id:str}/fork", operation_id="forkRun")
    async def fork(
        self, desk: NamedDependency[Desk], run_id: FromPath[str], data: JSONBody[Forking | None] = None
    ) -> Response[RunView]:
        """Make a run that goes on from a point of this one's journal. 404 for a key not in it, 422 for a bad patch."""
        asked = data or Forking()
        made = await desk.client.fork(
            run_id,
            by=desk.reviewer,
            from_=asked.from_key,
            patch=asked.patch,
            version=asked.version,
            reason=asked.reason,
        )
        return Response(run_view(made), status_code=201, headers={"location": f"/api/v1/runs/{made.id}"})


def _reason(data: Steering | None) -> str:
    return data.reason if data else ""
