"""Tasks, as far as whoever starts them needs to know."""

import inspect
from typing import Annotated, Any

from msgspec import Meta

from agentflow.tasks.task import Task
from approvals_ui.api.fields import JsonObject, QueueName, TaskId, Told


class TaskView(Told):
    """A task: what it says of itself, the queue its runs line up in, and the JSON Schema of its input."""

    id: TaskId
    version: Annotated[str, Meta(examples=["1"])]
    versions: list[Annotated[str, Meta(examples=["1"])]]
    description: Annotated[str, Meta(examples=["Reads an invoice."])]
    queue: QueueName
    input: JsonObject


class TaskList(Told):
    """Every task that may be started, by id."""

    items: list[TaskView]


def task_view(task: Task[..., Any], versions: list[str]) -> TaskView:
    """The task as the API shows it."""
    return TaskView(
        id=task.id,
        version=task.version,
        versions=versions,
        description=inspect.cleandoc(task.function.__doc__ or ""),
        queue=task.queue,
        input=task.signature.json_schema(),
    )
