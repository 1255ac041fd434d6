"""The loop of an agent: models asked, tools called, and what is recorded of both."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel

from agentflow import Retry, gather, task
from agentflow.agents import (
    Agent,
    Finish,
    Message,
    ModelSettings,
    Role,
    ToolCall,
    ToolContext,
    tool,
)
from agentflow.errors import DefinitionError, ModelAnswerCutOff, ModelUnavailable, RunFailed, ToolError
from agentflow.states import EntryKind
from agentflow.testing import ScriptedModel
from tests.support.harnesses import OpenHarness

QUICK = Retry(max_attempts=2, min_delay="1ms", retry_on=(ModelUnavailable,))


@tool
def look(order: str) -> dict[str, Any]:
    """Look up an order.

    Args:
        order: The order's number.
    """
    if order == "lost":
        raise ToolError("there is no such order")
    return {"order": order, "total": 40}


@tool(name="look")
def other_look(order: str) -> str:
    """Look somewhere else.

    Args:
        order: The order's number.
    """
    return order


@dataclass
class Answer:
    text: str
    sure: bool


class Shop(BaseModel):
    name: str


async def test_an_agent_answers_with_what_its_tools_told_it(harness: OpenHarness) -> None:
    model = (
        ScriptedModel()
        .calls("look", {"order": "A1"}, text="let me see", last="where is A1?", offers=("look",))
        .says("it is 40", last='"total": 40')
    )
    agent = Agent("helper", model=model, instructions="Be brief.", tools=[look])
    async with harness(agent) as h:
        assert await h.run(agent, "where is A1?") == "it is 40"
    model.check()
    first, second = model.requests
    assert [one.role for one in first.messages] == [Role.SYSTEM, Role.USER]
    assert [one.role for one in second.messages] == [Role.SYSTEM, Role.USER, Role.ASSISTANT, Role.TOOL]
    assert second.messages[3].call_id == second.messages[2].calls[0].id


async def test_every_call_of_a_model_and_of_a_tool_is_one_entry(live: OpenHarness) -> None:
    agent = Agent("helper", model=ScriptedModel().calls("look", {"order": "A1"}).says("40"), tools=[look])
    async with live(agent) as h:
        run = await h.trigger(agent, "A1?")
        await h.until_idle()
        found = [(one.operation, one.key) for one in await h.journal(run) if one.kind is EntryKind.SUCCEEDED]
    assert found == [
        ("instructions", "instructions#1"),
        ("model", "model#1/scripted:model#1"),
        ("tool", "look#1"),
        ("model", "model#2/scripted:model#1"),
    ]


async def test_calls_asked_for_together_run_side_by_side_and_answer_in_their_order(harness: OpenHarness) -> None:
    model = (
        ScriptedModel()
        .calls("look", {"order": "A1"}, ("look", {"order": "lost"}), ("look", {"order": "A2"}))
        .says("done")
    )
    agent = Agent("helper", model=model, tools=[look])
    async with harness(agent) as h:
        assert await h.run(agent, "?") == "done"
    answers = model.requests[1].messages[-3:]
    assert [json.loads(one.text)["order"] for one in answers if not one.is_error] == ["A1", "A2"]
    assert answers[1].is_error
    assert "no such order" in answers[1].text


async def test_a_typed_answer_is_checked_and_asked_for_again_with_what_is_wrong(harness: OpenHarness) -> None:
    model = (
        ScriptedModel()
        .says("certainly!")
        .says_json({"text": "yes", "sure": "very"}, last="is not taken")
        .says_json({"text": "yes", "sure": True}, last="sure")
    )
    agent = Agent("judge", model=model, output_type=Answer)
    async with harness(agent) as h:
        assert await h.run(agent, "is it so?") == Answer("yes", True)
    assert model.requests[0].output is not None
    assert model.requests[0].output.name == "Answer"


async def test_an_answer_that_never_fits_ends_the_run(live: OpenHarness) -> None:
    model = ScriptedModel().says("1").says("2")
    agent = Agent("judge", model=model, output_type=Answer, output_retries=1)
    async with live(agent) as h:
        with pytest.raises(RunFailed, match="after 2 tries"):
            await h.run(agent, "?")
    model.check()


@pytest.mark.parametrize(("output_type", "answer"), [(int, 3), (list[str], ["a"]), (bool, True)])
async def test_what_is_no_object_is_asked_for_in_one(live: OpenHarness, output_type: Any, answer: Any) -> None:
    agent = Agent("counter", model=ScriptedModel().says_json({"value": answer}), output_type=output_type)
    async with live(agent) as h:
        assert await h.run(agent, "?") == answer


async def test_the_next_model_answers_where_one_fails_for_good(harness: OpenHarness) -> None:
    down = ScriptedModel("x:a").fails(ModelUnavailable("503", model="x:a"), times=2)
    up = ScriptedModel("y:b").says("here")
    agent = Agent("helper", model=down, models=[up], model_retry=QUICK)
    async with harness(agent) as h:
        run = await h.trigger(agent, "?")
        assert await h.result(run) == "here"
        kinds = [(one.kind, one.key) for one in await h.journal(run) if (one.key or "").startswith("model")]
    assert kinds == [
        (EntryKind.ATTEMPT_FAILED, "model#1/x:a#1"),
        (EntryKind.FAILED, "model#1/x:a#1"),
        (EntryKind.SUCCEEDED, "model#1/y:b#1"),
        (EntryKind.NOTED, "model#1"),
    ]
    down.check()
    up.check()


async def test_a_refusal_is_left_to_the_next_model_and_ends_the_run_where_there_is_none(live: OpenHarness) -> None:
    agent = Agent("helper", model=ScriptedModel("x:a").refuses("no"), models=[ScriptedModel("y:b").says("yes")])
    async with live(agent) as h:
        assert await h.run(agent, "?") == "yes"
    alone = Agent("alone", model=ScriptedModel().refuses("I would rather not"))
    async with live(alone) as h:
        with pytest.raises(RunFailed, match="I would rather not"):
            await h.run(alone, "?")


async def test_an_empty_answer_is_asked_for_again(harness: OpenHarness) -> None:
    model = ScriptedModel().says("").says(" \n").says("here")
    agent = Agent("helper", model=model, model_retry=Retry(max_attempts=3, min_delay="1ms", retry_on=ModelAnswerCutOff))
    async with harness(agent) as h:
        assert await h.run(agent, "?") == "here"
    model.check()


async def test_an_agent_that_is_cancelled_asks_no_more(live: OpenHarness) -> None:
    asked, model = asyncio.Event(), ScriptedModel().calls("wait", {})

    @tool(effect="read")
    async def wait() -> str:
        """Wait for what never comes."""
        asked.set()
        await asyncio.Event().wait()
        return "never"

    agent = Agent("helper", model=model, tools=[wait])
    async with live(agent) as h:
        run = await h.trigger(agent, "?")
        await asyncio.wait_for(asked.wait(), 60)
        await h.client.cancel(run.id, by="ada")
        assert await h.status(run) == "cancelled"
    model.check()


async def test_an_answer_its_policy_refuses_is_not_taken(live: OpenHarness) -> None:
    def refuse(reply: Any) -> str | None:
        return "it is in French" if "oui" in reply.message.text else None

    first, second = ScriptedModel("x:a").says("oui"), ScriptedModel("y:b").says("yes")
    agent = Agent("helper", model=first, models=[second], refuse=refuse)
    async with live(agent) as h:
        assert await h.run(agent, "?") == "yes"


async def test_an_unknown_tool_is_told_with_those_there_are(harness: OpenHarness) -> None:
    model = ScriptedModel().calls("lok", {}).says("sorry", last="did you mean 'look'")
    agent = Agent("helper", model=model, tools=[look])
    async with harness(agent) as h:
        assert await h.run(agent, "?") == "sorry"


@pytest.mark.parametrize("text", ['{"order": "A1"', '{"order": "A1",}', '{"order":"A1"}{"order":"A2"}', '{"nr": 1}'])
async def test_arguments_that_do_not_fit_reach_no_tool(live: OpenHarness, text: str) -> None:
    seen: list[str] = []

    @tool
    def note(order: str) -> str:
        """Note an order.

        Args:
            order: Its number.
        """
        seen.append(order)
        return "noted"

    model = ScriptedModel().calls("note", text).says("sorry", last="refused")
    agent = Agent("helper", model=model, tools=[note])
    async with live(agent) as h:
        assert await h.run(agent, "?") == "sorry"
    assert seen == []


async def test_two_calls_of_one_id_are_answered_each_by_its_own(live: OpenHarness) -> None:
    same = tuple(ToolCall(id="same", name="look", arguments=json.dumps({"order": one})) for one in ("A1", "A2"))
    model = ScriptedModel().replies(Message(role=Role.ASSISTANT, calls=same), finish=Finish.TOOL_CALLS).says("ok")
    agent = Agent("helper", model=model, tools=[look])
    async with live(agent) as h:
        assert await h.run(agent, "?") == "ok"
    asked, first, second = model.requests[1].messages[-3:]
    assert [first.call_id, second.call_id] == [call.id for call in asked.calls]
    assert first.call_id != second.call_id


async def test_in_a_task_an_agent_is_a_scope_of_the_run(harness: OpenHarness) -> None:
    agent = Agent("helper", model=ScriptedModel().calls("look", {"order": "A1"}).says("40").says("again"), tools=[look])

    @task
    async def both() -> list[str]:
        return [await agent("A1?"), await agent("?")]

    async with harness(both) as h:
        run = await h.trigger(both)
        assert await h.result(run) == ["40", "again"]
        keys = [one.key for one in await h.journal(run) if one.operation == "model"]
    assert keys == [
        "helper#1/model#1/scripted:model#1",
        "helper#1/model#2/scripted:model#1",
        "helper#2/model#1/scripted:model#1",
    ]


async def test_outside_of_runs_an_agent_just_works() -> None:
    agent = Agent("helper", model=ScriptedModel().calls("look", {"order": "A1"}).says("40"), tools=[look])
    assert await agent("A1?") == "40"


async def test_agents_and_tasks_are_tools_of_an_agent(harness: OpenHarness) -> None:
    inner = Agent("expert", model=ScriptedModel().says("42", last="what is it?"), description="Knows.")

    @task
    async def double(number: int) -> int:
        """Double a number.

        Args:
            number: Which.
        """
        return number * 2

    model = (
        ScriptedModel()
        .calls("expert", {"prompt": "what is it?"})
        .calls("double", {"number": 42}, last="42")
        .says("84", last="84")
    )
    outer = Agent("outer", model=model, tools=[inner, double])
    async with harness(outer) as h:
        assert await h.run(outer, "?") == "84"
    model.check()


async def test_agents_side_by_side_keep_to_themselves(harness: OpenHarness) -> None:
    names = ("a", "b", "c")
    models = [ScriptedModel(f"x:{one}").calls("look", {"order": one}).says(one) for one in names]
    agents = [Agent(one, model=model, tools=[look]) for one, model in zip(names, models, strict=True)]

    @task
    async def all_of_them() -> list[str]:
        return list(await gather(*(one("?") for one in agents)))

    async with harness(all_of_them) as h:
        assert await h.run(all_of_them) == ["a", "b", "c"]


async def test_the_context_reaches_tools_and_instructions_and_no_model(live: OpenHarness) -> None:
    @tool
    def whose(ctx: ToolContext[Shop]) -> str:
        """Whose shop it is."""
        return f"{ctx.context.name} {ctx.agent}"

    model = ScriptedModel().calls("whose", "").says("ok", last="Ada's helper")
    agent = Agent(
        "helper",
        model=model,
        tools=[whose],
        context_type=Shop,
        instructions=lambda given: f"You serve {given.context.name}.",
    )
    async with live(agent) as h:
        assert await h.run(agent, "?", context=Shop(name="Ada's")) == "ok"
    assert model.requests[0].messages[0].text == "You serve Ada's."
    assert model.requests[0].tools[0].schema.get("properties", {}) == {}


async def test_messages_and_settings_reach_the_model(live: OpenHarness) -> None:
    model = ScriptedModel().says("ok")
    agent = Agent("helper", model=model, settings=ModelSettings(temperature=0.0, max_tokens=5))
    async with live(agent) as h:
        asked = [Message(role=Role.USER, text="hi"), Message(role=Role.ASSISTANT, text="ho"), Message(role=Role.USER)]
        assert await h.run(agent, asked) == "ok"
    assert [one.text for one in model.requests[0].messages] == ["hi", "ho", ""]
    assert model.requests[0].settings.max_tokens == 5


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"model": "gpt-5"}, "openai:gpt-5"),
        ({"model": 3}, "is no model"),
        ({"tools": "look"}, "wanted a list of tools"),
        ({"tools": ["look"]}, "the name of a tool"),
        ({"tools": [look, other_look]}, "two tools are named 'look'"),
        ({"output_type": lambda: 0}, "has no JSON Schema"),
        ({"max_turns": 0}, "max_turns"),
        ({"budget": 5}, "RunBudget"),
        ({"instructions": 7}, "instructions"),
        ({"compact": list}, "compact_at"),
        ({"models": [ScriptedModel()]}, "twice"),
        ({"output_retries": -1}, "output_retries"),
    ],
)
def test_what_cannot_be_an_agent_is_refused_when_it_is_defined(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(DefinitionError, match=said):
        Agent("helper", **{"model": ScriptedModel(), **wrong})
