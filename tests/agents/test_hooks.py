"""What stands between a model's call of a tool and the call: hooks and gates, and what becomes of their errors."""

from __future__ import annotations

from typing import Any

import pytest

from agentflow.agents import Agent, AgentHooks, ApprovalPolicy, tool
from agentflow.errors import RunFailed, ToolError
from agentflow.testing import ScriptedModel
from tests.support.harnesses import OpenHarness


@tool(effect="read")
def look(order: str) -> str:
    """Look up an order.

    Args:
        order: The order's number.
    """
    return f"{order} is on its way"


async def test_hooks_watch_and_may_stop_a_call(harness: OpenHarness) -> None:
    seen: list[str] = []

    def before(name: str, arguments: dict[str, Any]) -> None:
        if arguments["order"] == "A2":
            raise ToolError("A2 is none of your business")
        seen.append(f"before {name}")

    hooks = AgentHooks(before_tool=before, at_end=lambda output: seen.append(f"end {output}"))
    model = (
        ScriptedModel()
        .calls("look", {"order": "A1"})
        .calls("look", {"order": "A2"})
        .says("ok", last="none of your business")
    )
    agent = Agent("helper", model=model, tools=[look], hooks=hooks)
    async with harness(agent) as h:
        assert await h.run(agent, "?") == "ok"
    assert seen == ["before look", "end ok"]


async def test_what_a_hook_raises_that_is_no_word_for_the_model_fails_the_run(live: OpenHarness) -> None:
    def before(name: str, arguments: dict[str, Any]) -> None:
        raise ValueError(f"no ledger for {name}")

    agent = Agent(
        "helper",
        model=ScriptedModel().calls("look", {"order": "A1"}),
        tools=[look],
        hooks=AgentHooks(before_tool=before),
    )
    async with live(agent) as h:
        with pytest.raises(RunFailed, match="of helper failed: ValueError: no ledger for look"):
            await h.run(agent, "?")


async def test_a_gate_that_is_to_raise_when_nobody_answers_fails_the_run_and_calls_nothing(live: OpenHarness) -> None:
    paid: list[str] = []

    @tool(effect="irreversible", needs_approval=ApprovalPolicy(timeout="1h", on_timeout="raise"))
    def pay(order: str) -> str:
        """Pay for an order.

        Args:
            order: The order's number.
        """
        paid.append(order)
        return "paid"

    agent = Agent("helper", model=ScriptedModel().calls("pay", {"order": "A1"}), tools=[pay])
    async with live(agent) as h:
        run = await h.trigger(agent, "?")
        await h.until_idle()
        await h.advance("61m")
        with pytest.raises(RunFailed, match="of helper failed: ApprovalTimedOut"):
            await h.result(run)
    assert paid == []
