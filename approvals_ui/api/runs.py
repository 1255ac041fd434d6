"""/api/v1/runs: start runs, read them."""

from typing import Annotated, Final

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from agentflow.states import RunStatus
from approvals_ui.api.shapes import (
    JournalPage,
    LogView,
    NewRun,
    RunPage,
    RunView,
    entry_view,
    log_view,
    run_view,
)
from approvals_ui.desk import Desk

Limit = Annotated[int, QueryParameter(ge=1, le=200)]
MOST_ENTRIES: Final = 1000


class RunEndpoints(Controller):
    """Runs."""

    path = "/runs"
    tags = ("runs",)

    @post(operation_id="startRun")
    async def start(self, desk: NamedDependency[Desk], data: JSONBody[NewRun]) -> Response[RunView]:
        """Start a run. 201 means that it is recorded and will happen; the same key again names the same run."""
        run = await desk.client.trigger_json(
            data.task,
            data.input or {},
            idempotency_key=data.idempotency_key,
            delay=data.delay,
            at=data.at,
            priority=data.priority,
            ttl=data.ttl,
            queue_key=data.queue_key,
        )
        return Response(run_view(run), status_code=201, headers={"location": f"/api/v1/runs/{run.id}"})

    @get(operation_id="listRuns")
    async def listing(
        self,
        *,
        desk: NamedDependency[Desk],
        status: FromQuery[list[RunStatus] | None] = None,
        task: FromQuery[str | None] = None,
        parent: FromQuery[str | None] = None,
        q: FromQuery[str | None] = None,
        cursor: FromQuery[str | None] = None,
        limit: Limit = 50,
    ) -> RunPage:
        """Runs, newest first."""
        found = await desk.client.runs(
            statuses=status or (), task=task, parent_id=parent, search=q, cursor=cursor, limit=limit
        )
        return RunPage(items=[run_view(run) for run in found.items], next_cursor=found.next_cursor)

    @get("/stuck", operation_id="listStuckRuns")
    async def stuck(self, desk: NamedDependency[Desk], limit: Limit = 50) -> list[RunView]:
        """Open runs that nothing and nobody would ever move on. There should be none: raise an alarm for them."""
        return [run_view(run) for run in await desk.client.stuck(limit=limit)]

    @get("/{run_id:str}", operation_id="getRun")
    async def one(self, desk: NamedDependency[Desk], run_id: FromPath[str]) -> RunView:
        """One run, with the sentence that says why it is where it is."""
        return run_view(await desk.client.run(run_id), why=await desk.client.why(run_id))

    @get("/{run_id:str}/journal", operation_id="getJournal")
    async def journal(
        self,
        desk: NamedDependency[Desk],
        run_id: FromPath[str],
        after: FromQuery[int] = 0,
        limit: Annotated[int, QueryParameter(ge=1, le=MOST_ENTRIES)] = 200,
    ) -> JournalPage:
        """What happened to the run, in order."""
        await desk.client.run(run_id)
        entries = await desk.client.journal(run_id, after=after, limit=limit + 1)
        return JournalPage(items=[entry_view(entry) for entry in entries[:limit]], more=len(entries) > limit)

    @get("/{run_id:str}/logs", operation_id="getLogs")
    async def logs(self, desk: NamedDependency[Desk], run_id: FromPath[str]) -> list[LogView]:
        """What the run logged, oldest first."""
        await desk.client.run(run_id)
        return [log_view(line) for line in await desk.client.logs(run_id)]
