"""Language models by script."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from agentflow import Retry
from agentflow.agents import Agent, Finish, Message, Request, Role, tool
from agentflow.agents.messages import OutputSpec
from agentflow.agents.models import ChatModel, model
from agentflow.errors import (
    DefinitionError,
    Fatal,
    ModelAnswerCutOff,
    ModelRateLimited,
    ModelRequestRefused,
    ModelUnavailable,
    RunFailed,
)
from agentflow.testing import Effects, Harness, ScriptedModel, crash_test
from agentflow.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Open = Callable[..., Harness]
    Make = Callable[..., ScriptedModel]

QUICK = Retry(max_attempts=2, min_delay="1ms", retry_on=(ModelUnavailable,))
HELLO = Request(messages=[Message(role=Role.SYSTEM, text="Be brief."), Message(role=Role.USER, text="Hello")])


@tool
def look(order: str) -> str:
    """Look up an order.

    Args:
        order: Its number.
    """
    return f"{order}: 40 EUR"


@pytest.fixture(params=[False, True], ids=["live", "replayed"])
def opened(request: pytest.FixtureRequest, agentflow_harness: Open) -> Open:
    return lambda *tasks, **options: agentflow_harness(*tasks, replay_always=request.param, **options)


# -- a script


async def test_steps_come_in_their_order_as_a_model_gives_them() -> None:
    scripted = (
        ScriptedModel("lab:small").says("One.").says_json({"n": 2}).refuses("No.").says("Thr", finish=Finish.LENGTH)
    )

    first, second, third, fourth = [await scripted.reply(HELLO) for _ in range(4)]

    assert isinstance(scripted, ChatModel)
    assert (first.message.text, first.finish, first.model) == ("One.", Finish.STOP, "lab:small")
    assert second.message.text == '{"n": 2}'
    assert (third.message.refusal, third.finish) == ("No.", Finish.REFUSAL)
    assert fourth.finish is Finish.LENGTH
    assert scripted.requests == [HELLO] * 4
    scripted.check()


async def test_calls_have_ids_of_their_own_and_arguments_that_need_not_be_json() -> None:
    scripted = ScriptedModel().calls("look", {"order": "Ä"}, ("look", "{oops"), text="Wait.").calls("look")

    first, second = await scripted.reply(HELLO), await scripted.reply(HELLO)

    assert (first.message.text, first.finish) == ("Wait.", Finish.TOOL_CALLS)
    calls = [*first.message.calls, *second.message.calls]
    assert [(one.name, one.arguments) for one in calls] == [
        ("look", '{"order": "Ä"}'),
        ("look", "{oops"),
        ("look", "{}"),
    ]
    assert len({one.id for one in calls}) == 3


async def test_any_message_can_be_a_step() -> None:
    nothing = Message(role=Role.ASSISTANT)
    reply = await ScriptedModel().replies(nothing, finish=Finish.FILTERED).reply(HELLO)

    assert (reply.message, reply.finish) == (nothing, Finish.FILTERED)


async def test_a_text_is_shown_in_pieces_and_breaks_off_before_an_error() -> None:
    scripted = ScriptedModel().says(" It is raining,\nagain. ").fails(ModelAnswerCutOff("cut"), after="It is")
    shown: list[str] = []

    reply = await scripted.reply(HELLO, on_text=shown.append)
    assert (len(shown) > 3, "".join(shown)) == (True, reply.message.text)

    shown.clear()
    with pytest.raises(ModelAnswerCutOff):
        await scripted.reply(HELLO, on_text=shown.append)
    assert "".join(shown) == "It is"


@pytest.mark.parametrize(
    ("of_model", "of_step", "used"),
    [((10, 5), None, (10, 5)), ((7, 3), None, (7, 3)), ((7, 3), (1, 2), (1, 2))],
)
async def test_what_a_step_uses_can_be_said(of_model: Any, of_step: Any, used: tuple[int, int]) -> None:
    own = {} if of_step is None else {"usage": of_step}
    usage = (await ScriptedModel("lab:small", usage=of_model).says("Hi.", **own).reply(HELLO)).usage

    assert usage == Usage(model="lab:small", input_tokens=used[0], output_tokens=used[1])


async def test_a_usage_is_of_this_model_whatever_it_says() -> None:
    usage = Usage(model="another:one", input_tokens=9, cached_tokens=4)

    assert (await ScriptedModel("lab:small").says("Hi.", usage=usage).reply(HELLO)).usage == Usage(
        model="lab:small", input_tokens=9, cached_tokens=4
    )


@pytest.mark.parametrize("name", ["", "small", ":small", "lab:"])
def test_a_name_is_that_of_a_provider_and_a_model(name: str) -> None:
    with pytest.raises(DefinitionError, match="provider:model"):
        ScriptedModel(name)


def test_it_stands_where_a_name_would() -> None:
    scripted = ScriptedModel()
    assert model(scripted) is scripted


# -- what it objects to


async def test_a_call_beyond_the_script_shows_the_conversation() -> None:
    scripted = ScriptedModel().says("Hi.")
    await scripted.reply(HELLO)

    with pytest.raises(Fatal, match=r"its script of 1 steps has ended"):
        await scripted.reply(HELLO)
    with pytest.raises(AssertionError, match=r"system: Be brief\.\n  user: Hello"):
        scripted.check()


async def test_a_step_nobody_asked_for_is_named() -> None:
    scripted = ScriptedModel().says("Hi.").calls("look", {"order": "A-17"})
    await scripted.reply(HELLO)

    with pytest.raises(AssertionError, match=r'1 of its 2 steps .* calls look\({"order": "A-17"}\)'), scripted:
        pass
    assert [step.said for step in scripted.left] == ['calls look({"order": "A-17"})']


@pytest.mark.parametrize(
    ("expected", "wrong"),
    [
        ({"last": "Goodbye"}, "'Goodbye' is not in its last message"),
        ({"offers": ["look"]}, "it offers the tools none, and not look"),
        ({"that": lambda request: request.output is not None}, "`that` says"),
    ],
)
async def test_another_request_than_expected_is_objected_to(expected: Any, wrong: str) -> None:
    scripted = ScriptedModel().says("Hi.", **expected)

    with pytest.raises(Fatal, match=wrong):
        await scripted.reply(HELLO)
    with pytest.raises(AssertionError, match=wrong):
        scripted.check()


async def test_the_request_that_is_expected_is_answered() -> None:
    wanted = Request(
        messages=HELLO.messages, tools=[look.spec], output=OutputSpec(name="answer", schema={"type": "object"})
    )
    scripted = ScriptedModel().says(
        "Hi.", last="Hello", offers=["look"], that=lambda request: request.output is not None
    )

    await scripted.reply(wanted)
    scripted.check()


async def test_an_error_within_its_block_is_not_hidden_by_what_is_left() -> None:
    with pytest.raises(ZeroDivisionError), ScriptedModel().says("Hi."):
        _ = 1 / 0


async def test_it_can_start_over() -> None:
    scripted = ScriptedModel().says("One.").says("Two.")
    await scripted.reply(HELLO)
    scripted.begin()

    assert (await scripted.reply(HELLO)).message.text == "One."
    assert len(scripted.requests) == 1


# -- in agents


async def test_a_replay_takes_nothing_from_the_script(opened: Open, agentflow_model: Make) -> None:
    scripted = agentflow_model().calls("look", {"order": "A-17"}, offers=["look"]).says("40 EUR.", last="A-17: 40 EUR")
    agent = Agent("helper", model=scripted, tools=[look])

    async with opened(agent) as h:
        assert await h.run(agent, "What is A-17?") == "40 EUR."
    assert len(scripted.requests) == 2


async def test_the_run_fails_for_what_the_script_does_not_have(opened: Open) -> None:
    scripted = ScriptedModel().calls("look", {"order": "A-17"})
    agent = Agent("helper", model=scripted, models=[ScriptedModel("lab:other").says("never")], tools=[look])

    async with opened(agent) as h:
        with pytest.raises(RunFailed, match="its script of 1 steps has ended"):
            await h.run(agent, "What is A-17?")
    with pytest.raises(AssertionError, match=r"in operation model#2/scripted:model#1 of run run_(?s:.*)A-17: 40 EUR"):
        scripted.check()


async def test_models_of_a_chain_are_asked_in_their_order(opened: Open, agentflow_model: Make) -> None:
    first = agentflow_model("lab:first").fails(ModelUnavailable("503"), times=2).fails(ModelRequestRefused("too long"))
    second = (
        agentflow_model("lab:second").fails(ModelRateLimited("429")).calls("look", {"order": "A-17"}).says("40 EUR.")
    )
    agent = Agent("helper", model=first, models=[second], tools=[look], model_retry=QUICK)

    async with opened(agent) as h:
        assert await h.run(agent, "What is A-17?") == "40 EUR."


async def test_a_call_that_a_crash_cut_off_gets_the_same_step_again(agentflow_harness: Open) -> None:
    begun, release = asyncio.Event(), asyncio.Event()

    class Slow(ScriptedModel):
        async def reply(self, request: Request, **more: Any) -> Any:
            reply = await super().reply(request, **more)
            begun.set()
            await release.wait()
            return reply

    scripted = Slow().says("One.")
    agent = Agent("helper", model=scripted)
    async with agentflow_harness(agent) as h:
        run = await h.trigger(agent, "Hello")
        await begun.wait()
        await h.crash()
        release.set()
        assert await h.result(run) == "One."
    scripted.check()
    assert len(scripted.requests) == 1


async def test_a_crash_test_begins_the_script_anew_each_time(tmp_path: Path) -> None:
    effects = Effects()

    @tool
    def refund(order: str) -> str:
        """Refund an order.

        Args:
            order: Its number.
        """
        effects.record("refund")
        return f"{order} refunded"

    first = ScriptedModel("lab:first").fails(ModelRequestRefused("too long"), times=2)
    second = ScriptedModel("lab:second").calls("refund", {"order": "A-17"}).says("Done.", last="A-17 refunded")
    agent = Agent("helper", model=first, models=[second], tools=[refund])

    report = await crash_test(
        agent,
        "Refund A-17",
        effects=effects,
        scripts=[first, second],
        expect="Done.",
        folder=tmp_path,
    )
    assert report.count("kill") > 10


async def test_a_crash_test_sees_a_script_that_is_too_long(tmp_path: Path) -> None:
    scripted = ScriptedModel().says("Done.").says("Never.")

    with pytest.raises(AssertionError, match=r"1 of its 2 steps were not asked for"):
        await crash_test(Agent("helper", model=scripted), "Hello", scripts=[scripted], folder=tmp_path)
