"""The tool calls of one turn: checked, let through or decided by a person, made, and answered to the model.

Calls that a model asks for together run side by side, each a branch of the run with a gate of its own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from agentflow.agents.messages import Message, Role
from agentflow.approvals.digest import require_decided
from agentflow.errors import ArgumentsRefused, ToolError
from agentflow.payloads import canonical
from agentflow.runtime.parallel.gathering import gather
from agentflow.runtime.waiting.approvals import Approval, wait_for_approval
from agentflow.tasks.calling import durable
from agentflow.tasks.catalog import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentflow.agents.hooks import AgentHooks
    from agentflow.agents.messages import ToolCall
    from agentflow.agents.tools.tool import Tool

    AnyTool = Tool[..., Any]

MOST_QUESTIONS: Final = 3
"""How often a person is asked again about one call whose correction the tool's own type does not take."""
MOST_CALLS: Final = 128
"""Calls in one answer; a model that asks for more is told to do with less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turned:
    """The calls of one turn: which agent's, with what context, and what the model said along with them."""

    agent: str
    number: int
    context: Any
    said: str
    calls: Sequence[ToolCall]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answerer:
    """Answers the calls of a model with these tools."""

    tools: Mapping[str, AnyTool]
    hooks: AgentHooks

    async def answer(self, turn: Turned) -> list[Message]:
        """A tool message for each call, in their order. Raises what a tool raises that is to fail the run."""
        if len(turn.calls) == 1:
            return [await self._one(turn, 0)]
        if len(turn.calls) > MOST_CALLS:
            return [_told(call, f"not called: {len(turn.calls)} calls in one answer, of at most {MOST_CALLS}")
                    for call in turn.calls]  # fmt: skip
        return list(await gather(*(self._one(turn, place) for place in range(len(turn.calls)))))

    @durable
    async def _one(self, turn: Turned, place: int) -> Message:
        call = turn.calls[place]
        tool = self.tools.get(call.name)
        if tool is None:
            return _told(call, f"there is no tool {call.name!r}; {nearest(call.name, self.tools)}")
        try:
            arguments = tool.check(call.arguments)
            await self.hooks.call("before_tool", call.name, arguments)
            passed = await self._let_through(tool, turn, place, arguments)
        except ToolError as refused:
            return _told(call, str(refused))
        try:
            result = await tool.perform(call.id, passed, turn.context, agent=turn.agent)
            text = _corrected(arguments, passed) + tool.answer_text(result)
        except Exception as error:
            if not tool.tells(error):
                raise
            return _told(call, tool.failure_text(error))
        await self.hooks.call("after_tool", call.name, passed, text)
        return Message(role=Role.TOOL, call_id=call.id, text=text)

    async def _let_through(self, tool: AnyTool, turn: Turned, place: int, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments to call the tool with: as the model gave them, or as a person decided.

        Raises `ToolError` where a person did not let the call pass.
        """
        gate = await tool.gated(arguments, turn.context)
        if not gate:
            return arguments
        question, refused = tool.question(arguments, gate), ""
        for _ in range(MOST_QUESTIONS):
            decided = await self._ask(tool, question, turn, place, arguments)
            if not decided.approved:
                raise ToolError(_denial(tool.name, decided))
            try:
                passed = tool.check_plain(decided.data)
            except ArgumentsRefused as error:
                refused = str(error)
                question["reason"] = f"the correction before does not fit: {refused}"
                continue
            require_decided(passed, decided.digest, what=tool.name)
            return passed
        raise ToolError(f"not called: what was approved does not fit the tool: {refused}")

    async def _ask(
        self, tool: AnyTool, question: dict[str, Any], turn: Turned, place: int, arguments: dict[str, Any]
    ) -> Approval[dict[str, Any]]:
        tags = {"agent": turn.agent, "turn": str(turn.number), "call": str(place + 1), "of": str(len(turn.calls))}
        return await wait_for_approval(
            arguments,
            schema=dict(tool.schema),
            tool=tool.name,
            said=turn.said,
            key=f"{tool.name}.approval",
            tags={**tags, "effect": tool.effect.value},
            **question,
        )


def _told(call: ToolCall, text: str) -> Message:
    """What keeps a call from being made, told to the model."""
    return Message(role=Role.TOOL, call_id=call.id, text=text, is_error=True)


def _denial(name: str, decided: Approval[Any]) -> str:
    if decided.outcome == "timed_out":
        return f"{name} was not called: nobody decided in time whether it may be"
    comment = f": {decided.comment}" if decided.comment else ""
    return f"{name} was not called: a person rejected the call{comment}"


def _corrected(asked: Mapping[str, Any], passed: Mapping[str, Any]) -> str:
    """What the model has to know of a call that is not quite the one it asked for."""
    if passed == asked:
        return ""
    return f"A person changed the arguments to {canonical(passed)}; the call was made with those. Its result:\n"


def call_mark(call: ToolCall) -> str:
    """What makes one call the same as another: the tool, and the arguments whatever their order."""
    try:
        arguments = canonical(json.loads(call.arguments or "{}"))
    except (ValueError, RecursionError):
        arguments = call.arguments
    return f"{call.name} {arguments}"
