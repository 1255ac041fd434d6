"""What is sent over Chat Completions, as the providers document it."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any

import pytest

from agentflow.agents import Image, Message, ModelSettings, Request, Role, ToolCall
from agentflow.agents.messages import Carried, OutputSpec, ToolSpec
from agentflow.agents.models import ChatCompletions
from agentflow.agents.models.known import PROVIDERS

WEATHER = ToolSpec(
    name="weather",
    description="The weather in a city.",
    schema={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
CALL = ToolCall(id="call_1", name="weather", arguments='{"city": "Paris"}')


def said(*messages: Message, wire: ChatCompletions | None = None) -> Any:
    return (wire or ChatCompletions()).body(Request(messages=messages), "m", stream=False)["messages"]


def body(wire: ChatCompletions | None = None, *, stream: bool = False, **request: Any) -> dict[str, Any]:
    messages = [Message(role=Role.USER, text="hi")]
    return (wire or ChatCompletions()).body(Request(messages=messages, **request), "m", stream=stream)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (Message(role=Role.SYSTEM, text="Be brief."), {"role": "system", "content": "Be brief."}),
        (Message(role=Role.USER, text="hi"), {"role": "user", "content": "hi"}),
        (
            Message(
                role=Role.USER,
                text="look",
                images=[Image(url="https://x/a.png"), Image(content="AAAA", media_type="image/png")],
            ),
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "look"},
                    {"type": "image_url", "image_url": {"url": "https://x/a.png"}},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                ],
            },
        ),
        (Message(role=Role.ASSISTANT, text="Hello."), {"role": "assistant", "content": "Hello."}),
        (Message(role=Role.ASSISTANT), {"role": "assistant", "content": ""}),
        (Message(role=Role.ASSISTANT, refusal="I won't."), {"role": "assistant", "content": "I won't."}),
        (
            Message(role=Role.ASSISTANT, calls=[CALL]),
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "weather", "arguments": '{"city": "Paris"}'},
                    }
                ],
            },
        ),
        (
            Message(role=Role.TOOL, text="Sunny", call_id="call_1"),
            {"role": "tool", "tool_call_id": "call_1", "content": "Sunny"},
        ),
    ],
    ids=["system", "user", "pictures", "assistant", "nothing said", "refusal", "call", "tool"],
)
def test_each_message_has_its_shape(message: Message, expected: dict[str, Any]) -> None:
    assert said(message) == [expected]


def test_pictures_in_tools_answers_follow_all_the_answers_of_one_turn() -> None:
    shown = said(
        Message(role=Role.TOOL, text="a chart", call_id="a", images=[Image(url="https://x/1.png")]),
        Message(role=Role.TOOL, text="a table", call_id="b", images=[Image(url="https://x/2.png")]),
        Message(role=Role.USER, text="and?"),
    )
    assert [one["role"] for one in shown] == ["tool", "tool", "user", "user"]
    assert [part["image_url"]["url"] for part in shown[2]["content"]] == ["https://x/1.png", "https://x/2.png"]


@pytest.mark.parametrize("arguments", ["", "{", "[1]", '{"a": 1}{"a": 2}', '{"a": 1,}', "[" * 100_000])
def test_arguments_that_are_no_object_are_put_into_one_since_servers_read_them(arguments: str) -> None:
    (message,) = said(Message(role=Role.ASSISTANT, calls=[ToolCall(id="a", name="t", arguments=arguments)]))
    assert json.loads(message["tool_calls"][0]["function"]["arguments"]) == {"not_json": arguments}


@pytest.mark.parametrize(
    ("wire", "call_id"),
    [
        (ChatCompletions(has_short_ids=True), "call_abcdefghijklmnopqrst"),
        (ChatCompletions(), "x" * 41),
        (ChatCompletions(), "functions.weather:0"),
        (ChatCompletions(), ""),
    ],
)
def test_ids_of_another_provider_are_made_fit_the_same_in_the_call_and_its_answer(
    wire: ChatCompletions, call_id: str
) -> None:
    call, answer = said(
        Message(role=Role.ASSISTANT, calls=[ToolCall(id=call_id, name="t", arguments="{}")]),
        Message(role=Role.TOOL, call_id=call_id, text="x"),
        wire=wire,
    )
    sent = call["tool_calls"][0]["id"]
    assert sent == answer["tool_call_id"] != call_id
    assert len(sent) == 9
    assert sent.isalnum()


def test_what_a_provider_wants_back_goes_back_to_it_alone() -> None:
    kept = {"message": {"reasoning_content": "Hm."}, "calls": {"0": {"extra_content": {"google": {"sign": "xyz"}}}}}
    message = Message(role=Role.ASSISTANT, calls=[CALL], carried=Carried(provider="deepseek", content=json.dumps(kept)))
    (own,) = said(message, wire=ChatCompletions(provider="deepseek"))
    assert own["reasoning_content"] == "Hm."
    assert own["tool_calls"][0]["extra_content"] == {"google": {"sign": "xyz"}}
    (others,) = said(message, wire=ChatCompletions(provider="groq"))
    assert set(others) == {"role", "content", "tool_calls"}
    assert set(others["tool_calls"][0]) == {"id", "type", "function"}


# -- tools, outputs and settings


def test_tools_are_told_with_their_schema() -> None:
    assert body(tools=[WEATHER])["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "weather",
                "description": "The weather in a city.",
                "parameters": WEATHER.schema,
            },
        }
    ]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (ModelSettings(), {}),
        (ModelSettings(temperature=0.0, top_p=0.9, seed=0), {"temperature": 0.0, "top_p": 0.9, "seed": 0}),
        (ModelSettings(max_tokens=50), {"max_completion_tokens": 50}),
        (ModelSettings(stop=("END",)), {"stop": ["END"]}),
        (ModelSettings(reasoning_effort="low"), {"reasoning_effort": "low"}),
        (ModelSettings(tool_choice="required", parallel_tool_calls=False), {}),  # there are no tools
        (ModelSettings(extra={"logprobs": True, "model": "n"}), {"logprobs": True, "model": "n"}),
    ],
)
def test_settings_are_sent_where_they_are_set(settings: ModelSettings, expected: dict[str, Any]) -> None:
    plain = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    assert body(settings=settings) == plain | expected


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", "auto"),
        ("required", "required"),
        ("none", "none"),
        ("weather", {"type": "function", "function": {"name": "weather"}}),
    ],
)
def test_a_choice_of_tool_is_one_of_three_words_or_a_tool(choice: str, expected: Any) -> None:
    sent = body(tools=[WEATHER], settings=ModelSettings(tool_choice=choice, parallel_tool_calls=False))
    assert (sent["tool_choice"], sent["parallel_tool_calls"]) == (expected, False)


CLOSED = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}


def test_an_output_is_bound_to_its_schema() -> None:
    sent = body(output=OutputSpec(name="Answer[int]", schema=CLOSED))
    assert sent["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "Answer_int_", "schema": CLOSED, "strict": True},
    }


def test_a_schema_that_no_provider_can_bind_to_is_asked_for_without_binding() -> None:
    loose = {"type": "object", "properties": {"a": {"type": "object", "additionalProperties": {"type": "string"}}}}
    sent = body(output=OutputSpec(name="Answer", schema=loose))
    assert sent["response_format"]["json_schema"] == {"name": "Answer", "schema": loose, "strict": False}


@pytest.mark.parametrize(("output", "form"), [("json_object", {"type": "json_object"}), ("words", None)])
def test_where_a_provider_has_no_schemas_the_schema_is_in_words(output: Any, form: Any) -> None:
    wire = ChatCompletions(output=output)
    spec = OutputSpec(name="Answer", schema=CLOSED)
    own = body(wire, output=spec)
    assert own.get("response_format") == form
    assert [one["role"] for one in own["messages"]] == ["system", "user"]
    messages = [Message(role=Role.SYSTEM, text="Be brief."), Message(role=Role.USER, text="hi")]
    joined = wire.body(Request(messages=messages, output=spec), "m", stream=False)["messages"]
    assert len(joined) == 2
    assert joined[0]["content"].startswith("Be brief.\n\n")
    assert json.dumps(CLOSED) in joined[0]["content"]


def test_a_stream_is_asked_to_tell_its_usage_where_that_can_be_asked() -> None:
    assert body(stream=True).items() >= {"stream": True, "stream_options": {"include_usage": True}}.items()
    assert "stream_options" not in body(ChatCompletions(asks_for_usage=False), stream=True)
    assert "stream" not in body()


def test_frozen_mappings_in_schemas_and_settings_are_taken() -> None:
    frozen = MappingProxyType({"type": "object", "properties": MappingProxyType({})})
    sent = body(
        tools=[ToolSpec(name="t", description="d", schema=frozen)],
        settings=ModelSettings(extra=MappingProxyType({"top_k": 3})),
    )
    assert sent["top_k"] == 3
    assert sent["tools"][0]["function"]["parameters"] == frozen


def test_each_provider_is_spoken_to_in_its_own_dialect() -> None:
    settings = ModelSettings(max_tokens=5, seed=7)
    found = {
        name: PROVIDERS[name].make_wire().body(Request(messages=[], settings=settings), "m", stream=True)
        for name in ("openai", "azure", "groq", "mistral", "ollama")
    }
    assert {name for name, sent in found.items() if "max_completion_tokens" in sent} == {"openai", "azure"}
    assert found["mistral"] == {"model": "m", "messages": [], "stream": True, "max_tokens": 5, "random_seed": 7}
    assert found["ollama"]["seed"] == 7
