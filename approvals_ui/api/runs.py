"""/api/v1/runs: start runs, list them, look at one."""

from functools import partial
from typing import Any, Final

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from agentflow.client import BatchItem as Started
from agentflow.client import NewTrigger
from agentflow.errors import (
    IdempotencyMismatch,
    InvalidDuration,
    InvalidInput,
    InvalidSetting,
    PayloadTooLarge,
    QueueFull,
    RunNotFound,
    SingletonTaken,
    TaskNotFound,
)
from approvals_ui.api.endpoint import endpoint, reply
from approvals_ui.api.reading import body_of, query_of
from approvals_ui.api.shapes.approvals import ApprovalPage, approval_view
from approvals_ui.api.shapes.runs import (
    BatchItem,
    BatchReply,
    NewRun,
    NewRuns,
    Refusal,
    RunList,
    RunPage,
    RunsQuery,
    RunView,
    StuckQuery,
    run_view,
)
from approvals_ui.desk import Desk
from approvals_ui.problems import describe
from approvals_ui.views import Asked

MOST_APPROVALS: Final = 200
STARTING: Final = (
    TaskNotFound,
    InvalidInput,
    InvalidDuration,
    InvalidSetting,
    IdempotencyMismatch,
    SingletonTaken,
    PayloadTooLarge,
)
NUMBER: Final = {"task": "double", "input": {"number": 21}}
about = partial(endpoint, tag="runs")


class RunEndpoints(Controller):
    """Runs."""

    path = "/runs"

    @post(
        opt=about(
            "startRun",
            "Start a run",
            scope="runs:write",
            takes=NewRun,
            gives={201: RunView},
            said={201: "The run is recorded and will happen. `Location` is where to read it."},
            raises=(*STARTING, QueueFull),
            examples={
                "once": {**NUMBER, "idempotency_key": "invoice-2026-114"},
                "later": {**NUMBER, "delay": "2h", "tags": ["nightly"], "metadata": {"customer": 7}},
            },
        )
    )
    async def start(self, request: Asked, desk: NamedDependency[Desk]) -> Response[bytes]:
        """Start a run of a task. The same `idempotency_key` names the run it made before, and makes no second one."""
        wanted = await body_of(request, NewRun)
        run = await desk.client.trigger_json(wanted.task, wanted.input or {}, **_options(wanted))
        return reply(run_view(run), status=201, location=f"/runs/{run.id}")

    @post(
        "/batch",
        opt=about(
            "startRuns",
            "Start several runs",
            scope="runs:write",
            takes=NewRuns,
            gives={200: BatchReply},
            said={200: "What became of each, in the order they were asked for."},
            examples={"two": {"items": [NUMBER, {"task": "double", "input": {"number": 4}, "tags": ["late"]}]}},
        ),
        status_code=200,
    )
    async def start_many(self, request: Asked, desk: NamedDependency[Desk]) -> Response[bytes]:
        """Start up to 100 runs, each by itself: one that is refused says why, and the others are started."""
        wanted = await body_of(request, NewRuns)
        items = [NewTrigger(task=one.task, input=one.input or {}, options=_options(one)) for one in wanted.items]
        made = await desk.client.trigger_batch(items)
        return reply(BatchReply(items=[_item(one) for one in made]))

    @get(
        opt=about(
            "listRuns",
            "List runs",
            scope="runs:read",
            query=RunsQuery,
            gives=RunPage,
            raises=(InvalidSetting,),
        )
    )
    async def listing(self, request: Asked, desk: NamedDependency[Desk]) -> Response[bytes]:
        """Runs, newest first; `q` is the start of an id, or part of a task's id.

        An input or output of more than 128 KiB is a stand-in that says how large it is; `getRun` gives it whole.
        """
        asked = query_of(request, RunsQuery)
        found = await desk.client.runs(
            statuses=asked.status,
            task=asked.task,
            queue=asked.queue,
            tags=asked.tag,
            origin=asked.origin,
            parent_id=asked.parent,
            created_from=asked.created_from,
            created_until=asked.created_until,
            search=asked.q,
            cursor=asked.cursor,
            limit=asked.limit,
        )
        return reply(RunPage(items=[run_view(run) for run in found.items], next_cursor=found.next_cursor))

    @get("/stuck", opt=about("listStuckRuns", "List stuck runs", scope="runs:read", query=StuckQuery, gives=RunList))
    async def stuck(self, request: Asked, desk: NamedDependency[Desk]) -> Response[bytes]:
        """Open runs that nothing and nobody would ever move on. There should be none: raise an alarm for them."""
        asked = query_of(request, StuckQuery)
        return reply(RunList(items=[run_view(run) for run in await desk.client.stuck(limit=asked.limit)]))

    @get("/{run_id:str}", opt=about("getRun", "Get a run", scope="runs:read", gives=RunView, raises=(RunNotFound,)))
    async def one(self, desk: NamedDependency[Desk], run_id: FromPath[str]) -> Response[bytes]:
        """One run, with the sentence that says why it is where it is."""
        return reply(run_view(await desk.client.run(run_id), why=await desk.client.why(run_id)))

    @get(
        "/{run_id:str}/approvals",
        opt=about(
            "listRunApprovals",
            "List the approvals of a run",
            scope="approvals:read",
            gives=ApprovalPage,
            raises=(RunNotFound,),
        ),
    )
    async def approvals(self, desk: NamedDependency[Desk], run_id: FromPath[str]) -> Response[bytes]:
        """Whatever the run has asked people, decided or not, up to 200; `listApprovals` goes on from `next_cursor`."""
        await desk.client.run(run_id)
        found = await desk.client.approvals(pending=None, run_id=run_id, limit=MOST_APPROVALS)
        return reply(ApprovalPage(items=[approval_view(one) for one in found.items], next_cursor=found.next_cursor))


def _options(wanted: NewRun) -> Any:
    given = {name: getattr(wanted, name) for name in wanted.__struct_fields__ if name not in ("task", "input")}
    return {name: value for name, value in given.items() if value is not None}


def _item(one: Started) -> BatchItem:
    if one.run is not None:
        return BatchItem(run=run_view(one.run), error=None)
    assert one.error is not None
    said = describe(one.error)
    return BatchItem(run=None, error=Refusal(type=said.type, title=said.title, status=said.status, detail=said.detail))
