"""Catalogs: the definitions a worker or client was given."""

from __future__ import annotations

import difflib
from types import ModuleType
from typing import TYPE_CHECKING, Any

from agentflow.errors import DefinitionError, TaskNotFound, WebhookNotFound
from agentflow.tasks.task import Task

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agentflow.tasks.schedule import Schedule
    from agentflow.tasks.webhook import Webhook


class Catalog:
    """Tasks by id, with the schedules and webhooks that start them."""

    def __init__(self, tasks: Iterable[Task[..., Any]] = ()) -> None:
        self.tasks: dict[str, Task[..., Any]] = {}
        for task in tasks:
            self._add(task)

    @classmethod
    def collect(cls, *definitions: Any) -> Catalog:
        """The tasks in these modules, tasks, or collections of them.

        Raises `DefinitionError` for anything else, and for two different tasks with one id.
        """
        return cls(task for definition in definitions for task in _tasks_in(definition))

    def _add(self, task: Task[..., Any]) -> None:
        known = self.tasks.setdefault(task.id, task)
        if known is not task and known.function is not task.function:
            raise DefinitionError(
                f"two tasks have the id {task.id!r} ({_place(known)} and {_place(task)}); give one another id"
            )
        _ = task.signature  # a task whose annotations cannot be read is refused here, not at its first run

    @property
    def schedules(self) -> Sequence[Schedule]:
        """Every declared schedule."""
        return [schedule for task in self.tasks.values() for schedule in task.schedules]

    @property
    def webhooks(self) -> dict[str, Webhook]:
        """Every declared webhook by its path. Raises `DefinitionError` if two listen on one."""
        found: dict[str, Webhook] = {}
        for task in self.tasks.values():
            for webhook in task.webhooks:
                if webhook.path in found:
                    raise DefinitionError(f"two tasks have a webhook on {webhook.path}; give one another path")
                found[webhook.path] = webhook
        return found

    def task(self, task_id: str) -> Task[..., Any]:
        """The task with this id. Raises `TaskNotFound` naming the nearest."""
        if task_id not in self.tasks:
            raise TaskNotFound(f"there is no task {task_id!r}; {nearest(task_id, self.tasks)}")
        return self.tasks[task_id]

    def webhook(self, path: str) -> Webhook:
        """The webhook on this path. Raises `WebhookNotFound`."""
        found = self.webhooks.get(path)
        if found is None:
            raise WebhookNotFound(f"no webhook listens on {path!r}")
        return found


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence that says what was probably meant, or what there is."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=3)
    if close:
        return f"did you mean {' or '.join(map(repr, close))}?"
    return f"there are: {', '.join(names[:10])}" if names else "no task was given"


def _tasks_in(definition: Any) -> Iterable[Task[..., Any]]:
    if isinstance(definition, Task):
        return [definition]
    if isinstance(definition, ModuleType):
        return [value for value in vars(definition).values() if isinstance(value, Task)]
    if isinstance(definition, list | tuple | set | frozenset):
        return [task for item in definition for task in _tasks_in(item)]
    raise DefinitionError(f"{definition!r} is no task and no module with tasks")


def _place(task: Task[..., Any]) -> str:
    return f"{getattr(task, '__module__', '?')}.{getattr(task, '__qualname__', '?')}"
