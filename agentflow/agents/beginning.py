"""What an agent call begins with, recorded once: its instructions as they were rendered, its tools, its budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from agentflow.agents.conversation import to_plain
from agentflow.agents.messages import Message, Role, ToolSpec
from agentflow.agents.prompts import PromptContext, fingerprint, rendered, source_of
from agentflow.agents.tools.sources import collect
from agentflow.clock import SystemClock
from agentflow.errors import UnsupportedAwait
from agentflow.requests import NewBudget
from agentflow.runtime.operations.leaf import InStep
from agentflow.runtime.operations.spending import keep, thread_length
from agentflow.tasks.calling import current_caller
from agentflow.tasks.step import Step

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentflow.agents.agent import Agent
    from agentflow.agents.tools.sources import ToolSource
    from agentflow.agents.tools.tool import Tool

SCOPE_OF: Final = "instructions#1"


@dataclass(frozen=True, slots=True)
class Begun:
    """How an agent call began: `thread_seq` is how far its conversation had come."""

    text: str
    tools: Mapping[str, Tool[..., Any]]
    thread: str | None = None
    thread_seq: int = 0


class BeginningStep(Step[..., dict[str, Any]]):
    """The one entry of the beginning."""

    operation = "instructions"

    @property
    def result(self) -> Any:
        return dict[str, Any]


class ListingStep(Step[..., list[ToolSpec]]):
    """The tools another server had when the run asked for them: they stay what they were for the whole run."""

    operation = "tools"

    @property
    def result(self) -> Any:
        return list[ToolSpec]


async def begin(agent: Agent[Any], prompt: str | Sequence[Message], context: Any, thread: str | None) -> Begun:
    """What the agent begins with. Raises what rendering its instructions or listing its tools raises."""
    if thread is not None and current_caller.get() is None:
        raise UnsupportedAwait("thread= outside a run: there is nothing that would keep the conversation")
    found_tools = list(agent.tools.values())
    for source in agent.sources:
        found_tools += await _listed(source)
    tools = collect(found_tools)

    async def beginning(thread_name: str | None) -> dict[str, Any]:
        text = await rendered(agent.instructions, _prompt_context(agent, context))
        if agent.budget is not None and _key() is not None:
            keep(_new_budget(agent))
        seq = 0 if thread_name is None else await thread_length(thread_name)
        return _entry(agent, prompt, text, tools) | {"thread": thread_name, "thread_seq": seq}

    found = await BeginningStep(beginning, name="instructions")(thread)
    return Begun(found["text"], tools, thread, found["thread_seq"])


async def _listed(source: ToolSource) -> list[Tool[..., Any]]:
    async def tools(_source: str) -> list[ToolSpec]:
        return list(await source.specs())

    return [source.tool(spec) for spec in await ListingStep(tools, name="tools")(source.name)]


def _prompt_context(agent: Agent[Any], context: Any) -> PromptContext:
    caller = current_caller.get()
    if isinstance(caller, InStep):
        return PromptContext(agent=agent.id, run_id=caller.turn.run.id, now=caller.turn.clock.now(), context=context)
    return PromptContext(agent=agent.id, run_id="", now=SystemClock().now(), context=context)


def _key() -> str | None:
    """The key of the agent call, "" where it is the run itself; None outside a run."""
    caller = current_caller.get()
    return caller.key.removesuffix(SCOPE_OF).rstrip("/") if isinstance(caller, InStep) else None


def _new_budget(agent: Agent[Any]) -> NewBudget:
    budget = agent.budget
    assert budget is not None
    return NewBudget(key=_key() or "", tokens=budget.tokens, cost=budget.cost, warn_at=budget.warn_at)


def _entry(
    agent: Agent[Any], prompt: str | Sequence[Message], text: str, tools: Mapping[str, Tool[..., Any]]
) -> dict[str, Any]:
    asked = [Message(role=Role.USER, text=prompt)] if isinstance(prompt, str) else list(prompt)
    return {
        "agent": agent.id,
        "text": text,
        "fingerprint": fingerprint(text),
        "source": source_of(agent.instructions),
        "prompt": [to_plain(one) for one in asked],
        "models": [model.name for model in agent.models],
        "tools": [
            {"name": one.name, "description": one.description, "effect": one.effect.value, "gated": bool(one.approval)}
            for one in tools.values()
        ],
        "budget": None if agent.budget is None else agent.budget.to_json(),
        "max_turns": agent.max_turns,
        "output": None if agent.output.spec is None else agent.output.spec.name,
    }
