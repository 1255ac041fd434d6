"""How the runs of a task line up, as its definition says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, get_origin

from agentflow.errors import DefinitionError, InvalidDuration, InvalidSetting
from agentflow.tasks.options import CHECKS, Lining
from agentflow.tasks.queue import Batch, Conflict, Debounce, Queue
from agentflow.tasks.reading import Reading, parameters_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from agentflow.tasks.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How the runs of a task line up, as its definition says."""

    task: str
    queue: Queue
    declares: Queue | str
    queue_key: Reading | None = None
    cost: int | Reading = 1
    ttl: timedelta | None = None
    priority: int = 0
    singleton: Conflict | None = None
    singleton_key: Reading | None = None
    debounce: Debounce | None = None
    batch: Batch | None = None

    @classmethod
    def of(cls, task: str, function: Callable[..., Any], queue: Queue | str, given: Lining) -> Self:
        """The terms of a task of this id. Raises `DefinitionError` for what cannot work."""
        unknown = set(given) - set(Lining.__annotations__)
        if unknown:
            raise TypeError(f"@task got unexpected options: {', '.join(sorted(unknown))}")
        try:
            found = cls(task=task, queue=Queue.of(queue), declares=queue, **_checked(task, function, given))
        except (InvalidSetting, InvalidDuration) as error:
            raise DefinitionError(f"task {task!r}: {error}") from error
        if found.singleton_key is not None and found.singleton is None:
            raise DefinitionError(f'task {task!r}: singleton_key= needs singleton="skip", "replace" or "join"')
        require_one_way(found.singleton, found.debounce, found.batch, DefinitionError)
        for collecting in (found.debounce, found.batch):
            if collecting is not None:
                Reading.of("key", collecting.key, task, function)
        if found.batch is not None and len(parameters_of(function)) != 1:
            raise DefinitionError(f"task {task!r} has batch=, so it takes one list, and no other parameter")
        return found


def _checked(task: str, function: Callable[..., Any], given: Lining) -> dict[str, Any]:
    values: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    for name in ("queue_key", "singleton_key", "cost"):
        if name in values and not (name == "cost" and not callable(values[name])):
            values[name] = Reading.of(name, values[name], task, function)
    plain = {name: CHECKS[name](name, value) for name, value in values.items() if not isinstance(value, Reading)}
    return values | plain


def require_batch_of_list(task: Task[..., Any]) -> None:
    """Raise `DefinitionError` unless a task that gathers its triggers takes a list."""
    if task.terms.batch is None:
        return
    [only] = task.signature.parameters.values()
    if (get_origin(only.annotation) or only.annotation) is not list:
        raise DefinitionError(
            f"task {task.id!r} has batch=, so its parameter {only.name!r} is a list of what is gathered; "
            f"annotate it, as `{only.name}: list[str]`"
        )


def require_one_way(
    singleton: Conflict | None, debounce: Debounce | None, batch: Batch | None, error: type[Exception]
) -> None:
    """Raise the error where two options say what becomes of a second trigger."""
    given = [name for name, one in (("singleton", singleton), ("debounce", debounce), ("batch", batch)) if one]
    if len(given) > 1:
        raise error(f"{'= and '.join(given)}= each say what becomes of a second trigger; give one of them")
