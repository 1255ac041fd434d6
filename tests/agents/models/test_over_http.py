"""All three wires over real HTTP, against a server that we did not write: what it understood of what we sent."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from agentflow.agents.messages import Finish, ModelSettings, OutputSpec
from agentflow.agents.models import model
from agentflow.errors import (
    ModelAnswerCutOff,
    ModelError,
    ModelNotAuthorized,
    ModelRateLimited,
    ModelRequestRefused,
    ModelUnavailable,
)
from tests.agents.models.wires import WEATHER, answered, asked, system, user

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentflow.agents.models.base import ChatModel
    from tests.support.aimock import Aimock

NAMES = {
    "openai:gpt-5-mini": "/v1/chat/completions",
    "openai-responses:gpt-5-mini": "/v1/responses",
    "anthropic:claude-sonnet-4-5": "/v1/messages",
}
PARIS = {"id": "call_paris", "name": "weather", "arguments": '{"city":"Paris"}'}
OSLO = {"id": "call_oslo", "name": "weather", "arguments": '{"city":"Oslo"}'}


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    """`provider:model`, of each wire in turn."""
    found: str = request.param
    return found


@pytest.fixture
def chat(aimock: Aimock, name: str) -> ChatModel:
    """The model of that name; the server is found by the settings in the environment."""
    assert aimock.url
    return model(name)


def of_model(name: str) -> str:
    return name.partition(":")[2]


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_a_text_is_answered(chat: ChatModel, name: str, aimock: Aimock, is_streamed: bool) -> None:
    aimock.says("It is raining in Paris, and will not stop.", userMessage="Weather?")
    shown: list[str] = []

    reply = await chat.reply(
        asked(system("Be brief."), user("Weather?")), on_text=shown.append if is_streamed else None
    )

    assert (reply.message.text, reply.finish) == ("It is raining in Paris, and will not stop.", Finish.STOP)
    assert reply.usage.model == name
    assert (len(shown) > 1, "".join(shown)) == ((True, reply.message.text) if is_streamed else (False, ""))
    [sent] = aimock.journal()
    assert (sent["method"], sent["path"], sent["response"]["status"]) == ("POST", NAMES[name], 200)
    assert sent["body"]["model"] == of_model(name)
    assert sent["body"]["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Weather?"},
    ]
    assert bool(sent["body"].get("stream")) is is_streamed
    assert sent["headers"]["content-type"] == "application/json"


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_parallel_calls_come_with_their_answers_to_a_last_word(
    chat: ChatModel, aimock: Aimock, is_streamed: bool
) -> None:
    aimock.says("Rain there, sun here.", toolCallId="call_oslo")
    aimock.answers({"content": "Let me look.", "toolCalls": [PARIS, OSLO]}, userMessage="Weather?")
    on_text = (lambda _: None) if is_streamed else None

    first = await chat.reply(asked(user("Weather?"), tools=[WEATHER]), on_text=on_text)
    told = [answered("call_paris", "rain"), answered("call_oslo", "sun")]
    last = await chat.reply(asked(user("Weather?"), first.message, *told, tools=[WEATHER]), on_text=on_text)

    assert first.finish is Finish.TOOL_CALLS
    assert [(one.id, one.name, json.loads(one.arguments)) for one in first.message.calls] == [
        ("call_paris", "weather", {"city": "Paris"}),
        ("call_oslo", "weather", {"city": "Oslo"}),
    ]
    assert (last.message.text, last.finish) == ("Rain there, sun here.", Finish.STOP)
    _, second = aimock.journal()
    assert second["body"]["tools"][0]["function"] == {
        "name": "weather",
        "description": "The weather in a city.",
        "parameters": WEATHER.schema,
    }
    assert [told for one in second["body"]["messages"] for told in _told(one)] == [
        ("user", "Weather?"),
        ("assistant", "Let me look."),
        ("call", "call_paris"),
        ("call", "call_oslo"),
        ("call_paris", "rain"),
        ("call_oslo", "sun"),
    ]


def _told(message: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if message["content"]:
        yield message.get("tool_call_id") or message["role"], message["content"]
    yield from (("call", one["id"]) for one in message.get("tool_calls") or ())


async def test_an_answer_of_a_schema_is_asked_for_and_given(chat: ChatModel, aimock: Aimock) -> None:
    schema = {"type": "object", "properties": {"degrees": {"type": "integer"}}, "required": ["degrees"]}
    aimock.says('{"degrees": 7}', userMessage="Weather?")

    reply = await chat.reply(asked(user("Weather?"), output=OutputSpec(name="weather", schema=schema)))

    assert json.loads(reply.message.text) == {"degrees": 7}
    assert len(aimock.asked()) == 1


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_too_many_requests_are_told_with_the_time_to_wait(
    chat: ChatModel, name: str, aimock: Aimock, is_streamed: bool
) -> None:
    aimock.says("Never said.", userMessage="Hello")
    aimock.faults(rateLimitRate=1)

    with pytest.raises(ModelRateLimited) as raised:
        await chat.reply(asked(), on_text=(lambda _: None) if is_streamed else None)

    assert (raised.value.status, raised.value.model) == (429, name)
    assert raised.value.retry_after == timedelta(seconds=1)
    assert aimock.asked() == [(of_model(name), 429)], "a model asks once; to ask again is the step's business"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, ModelRequestRefused),
        (401, ModelNotAuthorized),
        (403, ModelNotAuthorized),
        (404, ModelRequestRefused),
        (408, ModelUnavailable),
        (500, ModelUnavailable),
        (503, ModelUnavailable),
        (529, ModelUnavailable),
    ],
)
async def test_a_status_is_the_error_it_stands_for(
    chat: ChatModel, name: str, aimock: Aimock, status: int, error: type[ModelError]
) -> None:
    aimock.says("Hello again.", userMessage="Hello")
    aimock.fails_once(status, "Out of order.")

    with pytest.raises(error, match=r"Out of order\.") as raised:
        await chat.reply(asked())
    again = await chat.reply(asked())

    assert type(raised.value) is error
    assert raised.value.status == status
    assert again.message.text == "Hello again."
    assert aimock.asked() == [(of_model(name), status), (of_model(name), 200)]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("dropRate", ModelUnavailable),
        ("malformedRate", ModelAnswerCutOff),
        ("disconnectRate", ModelUnavailable),
    ],
)
@pytest.mark.parametrize("is_streamed", [False, True])
async def test_a_server_that_breaks_down_gives_no_answer(
    chat: ChatModel, aimock: Aimock, fault: str, error: type[ModelError], is_streamed: bool
) -> None:
    aimock.answers({"toolCalls": [PARIS]}, userMessage="Hello")
    aimock.faults(**{fault: 1})

    with pytest.raises(error) as raised:
        await chat.reply(asked(tools=[WEATHER]), on_text=(lambda _: None) if is_streamed else None)
    assert type(raised.value) is error


async def test_a_model_nobody_knows_is_refused(chat: ChatModel, aimock: Aimock) -> None:
    with pytest.raises(ModelRequestRefused):
        await chat.reply(asked())
    assert len(aimock.asked()) == 1


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_what_the_model_thought_is_handed_back_with_its_signature(aimock: Aimock, is_streamed: bool) -> None:
    chat = model("anthropic:claude-sonnet-4-5", headers={"X-AIMock-Strict": "true"})
    aimock.says("Rain.", toolCallId="call_paris")
    thought = {"reasoning": "Look first.", "reasoningSignature": "c2ln", "redactedThinking": ["aGlkZGVu"]}
    aimock.answers({"toolCalls": [PARIS]} | thought, userMessage="Hello")
    on_text = (lambda _: None) if is_streamed else None
    settings = ModelSettings(extra={"thinking": {"type": "enabled", "budget_tokens": 1024}})
    told = answered("call_paris", "rain")

    first = await chat.reply(asked(tools=[WEATHER], settings=settings), on_text=on_text)
    last = await chat.reply(asked(user("Hello"), first.message, told, settings=settings), on_text=on_text)
    without = replace(first.message, carried=None)

    assert last.message.text == "Rain."
    with pytest.raises(ModelRequestRefused, match="thinking"):
        await chat.reply(asked(user("Hello"), without, told, settings=settings))


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_encrypted_thoughts_are_asked_for_and_given(aimock: Aimock, is_streamed: bool) -> None:
    aimock.answers({"toolCalls": [PARIS], "reasoning": "Look first."}, userMessage="Hello")

    reply = await model("openai-responses:gpt-5").reply(asked(), on_text=(lambda _: None) if is_streamed else None)

    assert reply.message.carried is not None
    thought = json.loads(reply.message.carried.content)[0]["own"]
    assert (thought["type"], bool(thought["encrypted_content"])) == ("reasoning", True)
    assert [one.id for one in reply.message.calls] == ["call_paris"]
