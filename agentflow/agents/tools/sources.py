"""Where an agent's tools come from: what a list of them may hold, and what is only known when a run asks."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from agentflow.agents.tools.tasks import as_tool
from agentflow.agents.tools.tool import Tool, function_tool
from agentflow.errors import DefinitionError
from agentflow.tasks.step import Step
from agentflow.tasks.task import Task

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agentflow.agents.messages import ToolSpec


@runtime_checkable
class ToolSource(Protocol):
    """Something that offers tools of which it is not known beforehand which: another program, a document.

    A run asks once for its `specs` and records them; `tool` makes a tool of one, also in a replay where the source may
    be gone, and so it must not ask anything.
    """

    @property
    def name(self) -> str:
        """What the journal calls it."""
        ...

    async def specs(self) -> Sequence[ToolSpec]:
        """The tools that there are now."""
        ...

    def tool(self, spec: ToolSpec) -> Tool[..., Any]:
        """The tool that was told of so."""
        ...


def sources(given: Iterable[Any]) -> tuple[ToolSource, ...]:
    """The sources in a list of tools, in their order. Raises `DefinitionError` for two of one name."""
    found: dict[str, ToolSource] = {}
    for one in given:
        if is_source(one) and found.setdefault(one.name, one) is not one:
            raise DefinitionError(f"tools=: two sources are named {one.name!r}; give one another name")
    return tuple(found.values())


def collect(given: Iterable[Any]) -> dict[str, Tool[..., Any]]:
    """The tools of a list by name, sources left out: tools, functions, tasks and agents.

    Raises `DefinitionError` for what is none of them, and for two of one name.
    """
    if isinstance(given, str) or callable(given):
        raise DefinitionError(f"tools={given!r}: wanted a list of tools")
    found: dict[str, Tool[..., Any]] = {}
    for one in given:
        if is_source(one):
            continue
        made = _tool(one)
        other = found.setdefault(made.name, made)
        if other is not made and other.body.origin != made.body.origin:
            raise DefinitionError(
                f"tools=: two tools are named {made.name!r}, {other.body.origin} and {made.body.origin}; give one "
                "another name="
            )
        if other is not made:
            raise DefinitionError(f"tools=: {made.body.origin} is there twice, as {made.name!r}; leave one out")
    return found


def is_source(one: Any) -> bool:
    """Whether this offers tools rather than being one."""
    return not isinstance(one, Tool | Task | type) and isinstance(one, ToolSource)


def _tool(one: Any) -> Tool[..., Any]:
    if isinstance(one, Tool):
        return one
    if isinstance(one, Task):
        return as_tool(one)
    if isinstance(one, Step):
        raise DefinitionError(f"tools=: {one!r} is a step; write @tool instead of @step, which is one too")
    if inspect.isfunction(one) or inspect.ismethod(one) or (callable(one) and not isinstance(one, type)):
        return function_tool(one)
    found = "the name of a tool" if isinstance(one, str) else f"a {type(one).__name__}"
    raise DefinitionError(
        f"tools=: found {one!r}, {found}; wanted the tool itself: what @tool made, a typed function, a task, an agent, "
        "or a source of tools"
    )
