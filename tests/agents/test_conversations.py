"""Conversations of agents that really ran: the reading holds what the loop writes, replayed or not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from agentflow import task
from agentflow.agents import Agent, ToolError, tool
from agentflow.conversation import Said, request_of
from agentflow.errors import IllegalTransition, InvalidMessage, InvalidSetting, ModelRequestRefused, RunNotFound
from agentflow.testing import ScriptedModel

if TYPE_CHECKING:
    from agentflow.conversation import Conversation
    from tests.support.harnesses import OpenHarness


@tool(effect="read")
async def look_up(order: str) -> dict[str, Any]:
    """Look an order up."""
    if order == "A-18":
        raise ToolError("there is no order A-18")
    return {"order": order, "total": 12}


@tool(effect="irreversible", needs_approval=True)
async def refund(order: str, amount: int) -> str:
    """Refund an order."""
    return f"refunded {amount} for {order}"


def told(talk: Conversation) -> list[tuple[str, str, str | None]]:
    return [(use.tool, use.state, use.result) for use in talk.uses]


async def test_a_turn_of_parallel_calls_is_read_as_it_went(harness: OpenHarness) -> None:
    model = ScriptedModel("scripted:one", usage=(10, 5))
    model.calls("look_up", {"order": "A-17"}, ("look_up", {"order": "A-18"}), ("nope", {}), ("look_up", "{bad"))
    model.says("Done.")
    agent = Agent("refunds", model=model, instructions="Help.", tools=[look_up])
    async with harness(agent) as h:
        run = await h.trigger(agent, "Money back!")
        assert await h.result(run) == "Done."
        [talk] = await h.client.conversations(run.id)

    assert (talk.agent, talk.instructions, talk.state, talk.output) == ("refunds", "Help.", "done", '"Done."')
    assert [state for _, state, _ in told(talk)] == ["done", "failed", "skipped", "skipped"]
    assert json.loads(told(talk)[0][2] or "") == {"order": "A-17", "total": 12}
    assert [call.turn for call in talk.calls] == [1, 2]


async def test_a_gate_is_found_before_and_after_its_decision(harness: OpenHarness) -> None:
    model = ScriptedModel("scripted:one")
    model.calls("refund", {"order": "A", "amount": 9}, ("refund", {"order": "B", "amount": 5})).says("Done.")
    agent = Agent("refunds", model=model, tools=[refund])
    async with harness(agent) as h:
        run = await h.trigger(agent, "Money back!")
        await h.until_idle()
        [talk] = await h.client.conversations(run.id)
        assert [use.state for use in talk.uses] == ["waiting", "waiting"]
        for use in talk.uses:
            assert use.gate is not None
            if json.loads(use.arguments)["order"] == "A":
                await h.client.decide(use.gate.approval_id, "approve", by="mia", data={"order": "A", "amount": 8})
            else:
                await h.client.decide(use.gate.approval_id, "reject", by="tom", comment="not this one")
        await h.result(run)
        [talk] = await h.client.conversations(run.id)

    assert told(talk) == [("refund", "done", '"refunded 8 for A"'), ("refund", "denied", None)]
    first, second = (use.gate for use in talk.uses)
    assert first is not None
    assert second is not None
    assert (first.state, first.by, second.state, second.comment) == ("corrected", "mia", "rejected", "not this one")


async def test_a_hop_an_agent_inside_and_an_agent_in_a_task_are_told(harness: OpenHarness) -> None:
    policy = Agent("policy", model=ScriptedModel("scripted:inner").says("Within 30 days."), description="Knows rules.")
    first = ScriptedModel("scripted:first").fails(ModelRequestRefused("400: no", model="scripted:first"))
    second = ScriptedModel("scripted:second").calls("policy", {"prompt": "What?"})
    first.says("Done.")
    agent = Agent("refunds", model=first, models=[second], tools=[policy])

    @task
    async def outer() -> str:
        return await agent("Money back!")

    async with harness(outer) as h:
        run = await h.trigger(outer)
        assert await h.result(run) == "Done."
        talk, inner = await h.client.conversations(run.id)

    assert (talk.path, talk.within, talk.output) == ("refunds#1/", None, '"Done."')
    hops = next(talk.calls).hops
    assert [(hop.model, hop.state) for hop in hops] == [("scripted:first", "failed"), ("scripted:second", "answered")]
    [use] = talk.uses
    assert (use.inside, use.state, use.result) == (inner.path, "done", '"Within 30 days."')
    assert (inner.within, inner.state) == ("refunds#1/", "done")


async def test_the_request_of_a_call_is_put_together_to_the_letter(harness: OpenHarness) -> None:
    model = ScriptedModel("scripted:one").calls("look_up", {"order": "A-17"}).says("Well.").says("Again.")
    agent = Agent("refunds", model=model, instructions="Help.", tools=[look_up])
    async with harness(agent) as h:
        run = await h.trigger(agent, "Money back!", thread="t-1")
        await h.result(run)
        again = await h.trigger(agent, "And now?", thread="t-1")
        await h.result(again)
        [talk] = await h.client.conversations(run.id)
        [later] = await h.client.conversations(again.id)
        earlier = [one for part in await h.client.thread("t-1", upto=1) for one in json.loads(part.messages)]

    for call in talk.calls:
        messages, is_exact = request_of(talk, call)
        assert is_exact
        assert len(messages) == call.messages
    assert [one["role"] for one in messages] == ["system", "user", "assistant", "tool"]
    assert request_of(later, next(later.calls), earlier)[1]
    assert not request_of(later, next(later.calls))[1]


async def test_a_message_reaches_the_agent_and_is_told_as_read(harness: OpenHarness) -> None:
    model = ScriptedModel("scripted:one").calls("refund", {"order": "A", "amount": 9}).says("Gut.").says("Gut so.")
    agent = Agent("refunds", model=model, tools=[refund])
    async with harness(agent) as h:
        run = await h.trigger(agent, "Money back!")
        await h.until_idle()
        sent = await h.client.tell(run.id, "In German, please.", by="mia", id="m-1")
        assert (await h.client.tell(run.id, "In German, please.", by="mia", id="m-1")).repeated
        approval = await h.only_approval(run)
        await h.client.decide(approval.id, "approve", by="mia")
        await h.result(run)
        [talk] = await h.client.conversations(run.id)
        [said] = [line for line in talk.lines if isinstance(line, Said) and line.who == "person"]
        assert (said.text, said.by, said.event_id) == ("In German, please.", "mia", sent.id)
        with pytest.raises(IllegalTransition, match="is completed; it cannot be told anything"):
            await h.client.tell(run.id, "Too late.", by="mia")


async def test_what_cannot_be_told_or_granted_is_refused(live: OpenHarness) -> None:
    agent = Agent(
        "refunds", model=ScriptedModel("scripted:one").calls("refund", {"order": "A", "amount": 9}), tools=[refund]
    )
    async with live(agent) as h:
        run = await h.trigger(agent, "Money back!")
        await h.until_idle()
        for text in ("", "  \n", "x" * 20_001):
            with pytest.raises(InvalidMessage, match="nothing was sent"):
                await h.client.tell(run.id, text, by="mia")
        for amounts in ({}, {"tokens": -1}, {"cost": "free"}, {"cost": "-1"}, {"cost": "NaN"}, {"tokens": True}):
            with pytest.raises(InvalidSetting, match="Nothing was granted"):
                await h.client.grant_budget(run.id, by="mia", **amounts)
        with pytest.raises(RunNotFound):
            await h.client.grant_budget(run.id, by="mia", tokens=5)
        with pytest.raises(RunNotFound):
            await h.client.tell("run_nowhere", "Hello?", by="mia")
        assert await h.client.events() == []
