"""Listeners as declared in code: a pattern of event names, and the task that each event of such a name starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack

from agentflow.errors import DefinitionError, InvalidName
from agentflow.requests import DeclareListener
from agentflow.requests.patterns import event_pattern, fits
from agentflow.tasks.payload_functions import PayloadFunction
from agentflow.tasks.step import operation_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from typing import TypeVar

    from agentflow.tasks.catalog import Catalog
    from agentflow.tasks.task import Task

    AnyTask = TypeVar("AnyTask", bound=Task[..., Any])

LONGEST_ID: Final = 300


class ListenerOptions(TypedDict, total=False):
    """What `@task.on` takes besides the pattern; see `Listener`."""

    where: Callable[..., Any] | None
    input: Callable[..., Any] | None
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedEvent:
    """What is known of an event besides its payload."""

    id: str
    name: str
    key: str
    sent_by: str
    sent_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True, init=False)
class Listener:
    """Starts `task`, a task or the id of one, once for each event whose name fits `pattern`.

    A pattern is a name as it is, or one in which `*` stands for a part between dots, and at the end for all that
    follows: `"invoice.*"`. `where` says of a payload whether it is to start a run, and `input` what of it the task is
    given: its parameters by name, or the value of its only one. Each is a function, `async` or not, of the payload,
    converted to what its parameter is annotated with, and if it has a second parameter of the `ReceivedEvent`. Without
    `input` a task of one parameter gets the payload, one of several its members by name. `id` is what events are
    counted under; unless given it changes with the task's id and the pattern. It hears what is sent after a worker
    that has it has started for the first time. Raises `DefinitionError` for what cannot work.
    """

    pattern: str
    task: str
    where: PayloadFunction | None = field(repr=False)
    input: PayloadFunction | None = field(repr=False)
    id: str

    def __init__(
        self,
        pattern: str,
        *,
        task: Task[..., Any] | str,
        where: Callable[..., Any] | None = None,
        input: Callable[..., Any] | None = None,
        id: str = "",
    ) -> None:
        task_id = task if isinstance(task, str) else getattr(task, "id", None)
        if not isinstance(task_id, str):
            raise DefinitionError(f"a listener for {pattern!r} starts {task!r}; wanted a task, or the id of one")
        named = f"listener for {str(pattern)[:60]!r} of task {task_id!r}"
        try:
            heard = event_pattern(pattern, of=named)
        except InvalidName as error:
            raise DefinitionError(str(error)) from error
        for name, value in (
            ("pattern", heard),
            ("task", operation_name(task_id)),
            ("where", _function(where, f"where= of the {named}")),
            ("input", _function(input, f"input= of the {named}")),
            ("id", _id(id or f"{task_id}:{heard}", named)),
        ):
            object.__setattr__(self, name, value)

    def fits(self, name: str) -> bool:
        """Whether an event of this name is for it."""
        return fits(self.pattern, name)

    def declared(self) -> DeclareListener:
        """What a store is told of it."""
        return DeclareListener(id=self.id, task=self.task, pattern=self.pattern)

    def check(self) -> None:
        """Raise `DefinitionError` for an annotation of its functions that cannot be resolved. Called at start-up."""
        for one in (self.where, self.input):
            if one is not None:
                one.check()


def on(pattern: str, **options: Unpack[ListenerOptions]) -> Callable[[AnyTask], AnyTask]:
    """The task it is put above, started by each event whose name fits `pattern`; see `Listener`."""

    def add(task: AnyTask) -> AnyTask:
        if not hasattr(task, "add_listener"):
            name = getattr(task, "__qualname__", repr(task))
            raise DefinitionError(f"@task.on({pattern!r}) is on {name}, which is no task; put it above @task")
        task.add_listener(Listener(pattern, task=task, **options))
        return task

    return add


def listeners_of(catalog: Catalog) -> Sequence[Listener]:
    """Every listener of the catalog, by id. Raises `DefinitionError` for two with one id, or one that cannot work."""
    for one in catalog.listeners:
        one.check()
    return sorted(catalog.listeners, key=lambda one: one.id)


def _function(function: Callable[..., Any] | None, name: str) -> PayloadFunction | None:
    return None if function is None else PayloadFunction.of(function, name=name)


def _id(id: str, named: str) -> str:
    if not isinstance(id, str) or len(id) > LONGEST_ID or not id.isprintable() or id != id.strip():
        raise DefinitionError(
            f"the {named} has the id {str(id)[:60]!r}; wanted 1 to {LONGEST_ID} printable characters, no space around"
        )
    return id
