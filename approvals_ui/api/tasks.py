"""/api/v1/tasks: what may be started, and with which input."""

from functools import partial

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from agentflow.errors import TaskNotFound
from approvals_ui.api.endpoint import endpoint, reply
from approvals_ui.api.shapes.tasks import TaskList, TaskView, task_view
from approvals_ui.desk import Desk

about = partial(endpoint, tag="tasks", scope="runs:read")


class TaskEndpoints(Controller):
    """Tasks."""

    path = "/tasks"

    @get(opt=about("listTasks", "List tasks", gives=TaskList))
    async def listing(self, desk: NamedDependency[Desk]) -> Response[bytes]:
        """Every task that this server may start, by id. Workers may serve others."""
        return reply(TaskList(items=[_view(desk, task_id) for task_id in sorted(desk.client.catalog.tasks)]))

    @get("/{task_id:str}", opt=about("getTask", "Get a task", gives=TaskView, raises=(TaskNotFound,)))
    async def one(self, desk: NamedDependency[Desk], task_id: FromPath[str]) -> Response[bytes]:
        """One task. `input` is the JSON Schema that the `input` of `startRun` has to fit."""
        return reply(_view(desk, task_id))


def _view(desk: Desk, task_id: str) -> TaskView:
    catalog = desk.client.catalog
    return task_view(catalog.task(task_id), list(catalog.versions(task_id)))
