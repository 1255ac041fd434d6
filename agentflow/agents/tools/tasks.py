"""Tasks and agents as tools: a nested scope of the agent's run, or a run of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn, Unpack

from agentflow.agents.tools.bodies import FunctionBody
from agentflow.agents.tools.calling import ARGUMENTS
from agentflow.agents.tools.signatures import told
from agentflow.agents.tools.tool import Tool
from agentflow.errors import DefinitionError
from agentflow.tasks.task import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agentflow.agents.tools.calling import OneCall
    from agentflow.agents.tools.options import ToolOptions
    from agentflow.agents.tools.signatures import Told

    More = Callable[[Any], Mapping[str, Any]]

_OF_A_STEP: Final = ("timeout", "retry", "breaker", "undo", "lookup")


class TaskTool(Tool[..., Any]):
    """A task as a tool. A call of it is a scope under the task's own name, or with `run` a child run.

    `more` gives, for what the agent was called with, further arguments that no model sees.
    """

    def __init__(
        self,
        task: Task[..., Any],
        known: Told,
        *,
        run: bool = False,
        more: More | None = None,
        **options: Unpack[ToolOptions],
    ) -> None:
        odd = [name for name in _OF_A_STEP if name in options]
        if odd:
            raise DefinitionError(f"as_tool({task.id!r}) has {', '.join(odd)}=: say that of the task and of its steps")
        self.task = task
        self._run_apart = run
        self._more = more
        super().__init__(
            _TaskBody(known, task), name=known.name, description=known.description, schema=known.schema, **options
        )

    def step(self, context: Any = None, *, agent: str = "", given: Mapping[str, Any] | None = None) -> NoReturn:
        """Raises `DefinitionError`: a call of a task is no step, its own operations are recorded."""
        del context, agent, given
        raise DefinitionError(f"tool {self.name!r} is a task, which is no step; use perform")

    def _call(self, context: Any, agent: str, given: Mapping[str, Any]) -> OneCall:
        del agent, given

        async def call(call: Mapping[str, Any]) -> Any:
            more = {} if self._more is None else self._more(context)
            arguments = {**self.body.typed(call[ARGUMENTS]), **more}
            return await (self.task.trigger_and_wait if self._run_apart else self.task)(**arguments)

        call.__annotations__ = {"return": self.body.result}
        return call


class _TaskBody(FunctionBody):
    """What is behind a task's tool."""

    __slots__ = ()

    @property
    def origin(self) -> str:
        return f"task {self.function.id!r}" if isinstance(self.function, Task) else super().origin


def as_tool(
    task: Task[..., Any],
    *,
    name: str | None = None,
    description: str | None = None,
    run: bool = False,
    **options: Unpack[ToolOptions],
) -> Tool[..., Any]:
    """A task or an agent as a tool: what it does is recorded as a scope of the agent's own run.

    With `run=True` each call is a run of its own, which the agent's run waits for: it lines up in the task's queue and
    is retried by the task's policy. The name is the task's id, the description its docstring, unless given. Raises
    `DefinitionError`.
    """
    if not isinstance(task, Task):
        raise DefinitionError(f"as_tool({task!r}): wanted a task or an agent; a function is a tool by @tool")
    own: Callable[..., Tool[..., Any]] | None = getattr(task, "as_tool", None)
    if own is not None:
        return own(name=name, description=description, run=run, **options)
    known = told(task.function, name=name or task.id, description=description)
    if known.wants:
        raise DefinitionError(
            f"as_tool({task.id!r}): it wants {', '.join(known.wants)} injected, and a task's input is recorded: open "
            "it in a step of the task"
        )
    return TaskTool(task, known, run=run, **options)
