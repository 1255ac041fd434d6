"""What a program may do at the turns of an agent: watch it, stop a call, keep its memory small."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentflow.errors import DefinitionError
from agentflow.tasks.step import Step

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agentflow.agents.messages import Reply

    Hook = Callable[..., Awaitable[Any] | Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentHooks:
    """Functions that an agent calls as it goes, each once and recorded as a step; None costs nothing.

    `before_tool(name, arguments)` may raise `ToolError`: the call is not made then and the model is told why. What the
    others raise fails the agent. `after_reply(reply)` gets a `Reply`, `after_tool(name, arguments, answer)` the text
    the model is given, `at_end(output)` the checked output.
    """

    before_tool: Callable[[str, dict[str, Any]], Any] | None = None
    after_reply: Callable[[Reply], Any] | None = None
    after_tool: Callable[[str, dict[str, Any], str], Any] | None = None
    at_end: Callable[[Any], Any] | None = None

    def __post_init__(self) -> None:
        for name in ("before_tool", "after_reply", "after_tool", "at_end"):
            hook = getattr(self, name)
            if hook is not None and not callable(hook):
                raise DefinitionError(f"AgentHooks({name}={hook!r}): wanted a function, or None")

    async def call(self, name: str, *args: Any) -> None:
        """Call this hook, if there is one, as a step of the run."""
        hook = getattr(self, name)
        if hook is not None:
            await Step(hook, name=f"hook.{name}")(*args)
