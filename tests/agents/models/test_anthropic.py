"""Anthropic's Messages API: what is sent, and what its answers come to."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from agentflow.agents.messages import Finish, Image, Message, ModelSettings, OutputSpec, Role
from agentflow.agents.models.anthropic import Anthropic
from agentflow.errors import (
    ModelAnswerCutOff,
    ModelError,
    ModelNotAuthorized,
    ModelRateLimited,
    ModelRequestRefused,
    ModelUnavailable,
)
from tests.agents.models.wires import WEATHER, answered, asked, assistant, call, system, user

WIRE = Anthropic()
THOUGHT = {"type": "thinking", "thinking": "Rain, perhaps.", "signature": "EqQB"}
HIDDEN = {"type": "redacted_thinking", "data": "EmwK"}
TEXT = {"type": "text", "text": "Let me look."}
CALLED = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Paris"}}


def answer(*blocks: dict[str, Any], stop: str | None = "end_turn", **more: Any) -> dict[str, Any]:
    whole = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5-20250929"}
    ending = {"stop_reason": stop, "stop_sequence": None, "usage": {"input_tokens": 12, "output_tokens": 6}}
    return whole | {"content": list(blocks)} | ending | more


def body(*messages: Message, stream: bool = False, **more: Any) -> dict[str, Any]:
    return WIRE.body(asked(*messages, **more), "claude-sonnet-4-5", stream=stream)


# -- what is sent


def test_a_limit_of_tokens_is_always_given() -> None:
    hello = {"role": "user", "content": [{"type": "text", "text": "Hello"}]}

    assert body() == {"model": "claude-sonnet-4-5", "max_tokens": 16_000, "messages": [hello]}
    assert body(settings=ModelSettings(max_tokens=100))["max_tokens"] == 100
    assert body(stream=True)["stream"] is True


def test_the_system_stands_apart_and_what_it_says_later_is_told_in_its_place() -> None:
    said = body(system("Be brief."), system("Be kind."), user("Hello"), assistant("Hi."), system("Time is short."))

    assert said["system"] == "Be brief.\n\nBe kind."
    assert [one["role"] for one in said["messages"]] == ["user", "assistant", "user"]
    assert said["messages"][2]["content"] == [{"type": "text", "text": "Time is short."}]


def test_the_answers_of_parallel_calls_are_one_message_and_come_before_anything_else() -> None:
    said = body(
        user("Weather?"),
        assistant("Let me look.", call("c1"), call("c2", arguments="")),
        answered("c1", "rain"),
        user("Hurry!"),
        answered("c2", "no city", is_error=True),
        answered("c3", ""),
    )["messages"]

    assert said[1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Let me look."},
                {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Paris"}},
                {"type": "tool_use", "id": "c2", "name": "weather", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "rain"},
                {"type": "tool_result", "tool_use_id": "c2", "content": "no city", "is_error": True},
                {"type": "tool_result", "tool_use_id": "c3"},
                {"type": "text", "text": "Hurry!"},
            ],
        },
    ]


@pytest.mark.parametrize("arguments", ['{"city":', "[1]", "null", '"Paris"'])
def test_arguments_that_are_no_object_are_shown_to_the_model_as_it_wrote_them(arguments: str) -> None:
    block = body(assistant("", call(arguments=arguments)))["messages"][0]["content"][0]

    assert block["input"] == {"INVALID_JSON": arguments}


def test_an_id_that_another_provider_made_is_put_into_the_usual_letters_on_both_sides() -> None:
    said = body(assistant("", call("functions.weather:0")), answered("functions.weather:0", "rain"))["messages"]

    assert said[0]["content"][0]["id"] == said[1]["content"][0]["tool_use_id"]
    assert said[0]["content"][0]["id"].isalnum()


def test_a_text_of_nothing_is_no_block_and_a_message_of_nothing_no_message() -> None:
    assert body(user(" \n"), assistant(""), user("Hello"))["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "Hello"}]}
    ]


def test_pictures_come_before_the_text_and_go_into_the_answers_of_tools() -> None:
    pictures = [Image(url="https://example.test/a.png"), Image(content="aGk=", media_type="image/png")]
    shown = [
        {"type": "image", "source": {"type": "url", "url": "https://example.test/a.png"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
    ]
    said = body(Message(role=Role.USER, text="What is it?", images=pictures))["messages"]
    told = body(answered("c1", "seen", images=pictures))["messages"]

    assert said[0]["content"] == [*shown, {"type": "text", "text": "What is it?"}]
    assert told[0]["content"][0]["content"] == [*shown, {"type": "text", "text": "seen"}]


def test_tools_are_told_with_their_schemas() -> None:
    assert body(tools=[WEATHER])["tools"] == [
        {"name": "weather", "description": "The weather in a city.", "input_schema": WEATHER.schema}
    ]


@pytest.mark.parametrize(
    ("choice", "parallel", "said"),
    [
        (None, None, None),
        ("auto", None, {"type": "auto"}),
        ("none", None, {"type": "none"}),
        ("none", False, {"type": "none"}),
        ("required", None, {"type": "any"}),
        ("weather", None, {"type": "tool", "name": "weather"}),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        ("required", True, {"type": "any", "disable_parallel_tool_use": False}),
    ],
)
def test_which_tool_to_call_is_said_in_the_wires_own_form(choice: str | None, parallel: bool | None, said: Any) -> None:
    settings = ModelSettings(tool_choice=choice, parallel_tool_calls=parallel)

    assert body(tools=[WEATHER], settings=settings).get("tool_choice") == said
    assert "tool_choice" not in body(settings=settings)


def test_settings_have_the_wires_own_names_and_extra_goes_in_last() -> None:
    settings = ModelSettings(
        temperature=0.5,
        top_p=0.9,
        stop=["END"],
        seed=7,
        reasoning_effort="low",
        extra={"thinking": {"type": "enabled", "budget_tokens": 2000}, "max_tokens": 5000},
    )
    said = body(settings=settings)

    assert (said["temperature"], said["top_p"], said["stop_sequences"]) == (0.5, 0.9, ["END"])
    assert said["output_config"] == {"effort": "low"}
    assert (said["thinking"], said["max_tokens"]) == ({"type": "enabled", "budget_tokens": 2000}, 5000)
    assert not {"stop", "seed"} & said.keys()


def test_an_answer_of_a_schema_is_bound_to_it() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}, "required": ["n"]}

    assert body(output=OutputSpec(name="answer", schema=schema))["output_config"]["format"] == {
        "type": "json_schema",
        "schema": {
            "type": "object",
            "properties": {"n": {"type": "integer", "description": "(minimum: 1)"}},
            "required": ["n"],
            "additionalProperties": False,
        },
    }


def test_a_schema_that_no_model_can_be_bound_to_is_asked_for_in_words() -> None:
    schema = {"type": "object", "additionalProperties": {"type": "integer"}}
    said = body(system("Be brief."), user("Hello"), output=OutputSpec(name="answer", schema=schema))

    assert said["system"].startswith("Be brief.\n\n")
    assert json.dumps(schema) in said["system"]
    assert "output_config" not in said


def test_the_key_and_the_version_are_headers() -> None:
    assert WIRE.headers("sk-1") == {"anthropic-version": "2023-06-01", "x-api-key": "sk-1"}
    assert WIRE.headers("") == {"anthropic-version": "2023-06-01"}


# -- what comes back


def test_an_answer_is_its_text_and_its_usage() -> None:
    usage = {
        "input_tokens": 10,
        "cache_creation_input_tokens": 200,
        "cache_read_input_tokens": 3000,
        "output_tokens": 50,
        "output_tokens_details": {"thinking_tokens": 20},
    }
    reply = WIRE.reply(answer(TEXT, {"type": "text", "text": " Done."}, usage=usage), name="anthropic:claude")

    assert (reply.message.text, reply.message.calls, reply.message.carried) == ("Let me look. Done.", [], None)
    assert (reply.finish, reply.model, reply.response_id) == (Finish.STOP, "claude-sonnet-4-5-20250929", "msg_1")
    assert reply.usage.model == "anthropic:claude"
    assert (reply.usage.input_tokens, reply.usage.cached_tokens) == (3210, 3000)
    assert (reply.usage.output_tokens, reply.usage.reasoning_tokens) == (50, 20)


def test_thoughts_go_back_in_their_place_with_their_signatures() -> None:
    second = CALLED | {"id": "toolu_2"}
    blocks = [HIDDEN, THOUGHT, TEXT, THOUGHT | {"signature": "Zg=="}, CALLED, second]
    reply = WIRE.reply(answer(*blocks, stop="tool_use"), name="p:m")

    assert reply.finish is Finish.TOOL_CALLS
    assert [(one.id, json.loads(one.arguments)) for one in reply.message.calls] == [
        ("toolu_1", {"city": "Paris"}),
        ("toolu_2", {"city": "Paris"}),
    ]
    assert body(reply.message)["messages"] == [{"role": "assistant", "content": blocks}]
    assert reply.message.carried is not None
    assert "Let me look." not in reply.message.carried.content, "a text is kept once"


def test_thoughts_go_back_to_nobody_else() -> None:
    reply = WIRE.reply(answer(THOUGHT, TEXT), name="p:m")

    other = Anthropic(provider="elsewhere").body(asked(reply.message), "claude", stream=False)
    assert other["messages"][0]["content"] == [TEXT]


def test_a_message_that_was_changed_keeps_its_thoughts_before_what_it_says_now() -> None:
    message = WIRE.reply(answer(THOUGHT, TEXT, CALLED, stop="tool_use"), name="p:m").message
    changed = Message(role=Role.ASSISTANT, text="Shortened.", carried=message.carried)

    assert body(changed)["messages"][0]["content"] == [THOUGHT, {"type": "text", "text": "Shortened."}]
    again = body(replace(message, text="Let me look at it."))["messages"][0]["content"]
    assert again == [THOUGHT, {"type": "text", "text": "Let me look at it."}, CALLED]


def test_a_thought_that_led_to_nothing_is_not_sent() -> None:
    reply = WIRE.reply(answer(THOUGHT, stop="max_tokens"), name="p:m")

    assert [one["role"] for one in body(user("Go on."), reply.message)["messages"]] == ["user"]


def test_what_a_tool_at_the_provider_did_goes_back_as_it_came() -> None:
    ran = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "rain"}}
    reply = WIRE.reply(answer(TEXT, ran, stop="pause_turn"), name="p:m")

    assert reply.finish is Finish.LENGTH
    assert body(reply.message)["messages"][0]["content"] == [TEXT, ran]


@pytest.mark.parametrize(
    ("stop", "finish"),
    [
        ("stop_sequence", Finish.STOP),
        ("max_tokens", Finish.LENGTH),
        ("model_context_window_exceeded", Finish.LENGTH),
        ("pause_turn", Finish.LENGTH),
    ],
)
def test_an_answer_that_ended_early_gives_no_calls(stop: str, finish: Finish) -> None:
    reply = WIRE.reply(answer(TEXT, CALLED | {"input": {}}, stop=stop), name="p:m")

    assert reply.finish is finish
    assert (reply.message.text, reply.message.calls) == ("Let me look.", [])


@pytest.mark.parametrize("stop", ["end_turn", "tool_use"])
def test_an_answer_with_calls_is_one_for_its_calls_whatever_it_says(stop: str) -> None:
    assert WIRE.reply(answer(CALLED, stop=stop), name="p:m").finish is Finish.TOOL_CALLS


@pytest.mark.parametrize(
    ("details", "refusal"),
    [
        ({"type": "refusal", "category": "cyber", "explanation": "Not this."}, "Not this."),
        ({"explanation": None}, "Let me look."),
        (None, "Let me look."),
    ],
)
def test_a_refusal_is_no_text(details: Any, refusal: str) -> None:
    reply = WIRE.reply(answer(TEXT, CALLED, stop="refusal", stop_details=details), name="p:m")

    assert reply.finish is Finish.REFUSAL
    assert (reply.message.text, reply.message.refusal, reply.message.calls) == ("", refusal, ())
    assert body(reply.message)["messages"][0]["content"] == [{"type": "text", "text": refusal}]


def test_a_refusal_without_a_word_is_one_all_the_same() -> None:
    assert WIRE.reply(answer(stop="refusal"), name="p:m").message.refusal


@pytest.mark.parametrize(
    "said",
    [
        None,
        "<html>",
        [],
        {},
        {"content": None},
        answer(TEXT, stop=None),
        answer(TEXT, stop="a reason of tomorrow"),
        answer(TEXT, stop="tool_use"),
        answer({"type": "text"}),
        answer({"type": "text", "text": None}),
        answer("text"),  # type: ignore[arg-type]
        answer({"type": "tool_use"}, stop="tool_use"),
        answer(CALLED | {"name": ""}, stop="tool_use"),
        answer(CALLED | {"id": None}, stop="tool_use"),
    ],
    ids=lambda said: json.dumps(said)[:60],
)
def test_what_is_no_whole_answer_is_none_at_all(said: Any) -> None:
    with pytest.raises(ModelAnswerCutOff, match="p:m"):
        WIRE.reply(said, name="p:m")


@pytest.mark.parametrize("usage", [None, {}, [], {"input_tokens": "many"}, {"output_tokens": -1, "input_tokens": True}])
def test_usage_that_is_not_told_is_nought(usage: Any) -> None:
    assert WIRE.reply(answer(TEXT, usage=usage), name="p:m").usage.tokens == 0


@pytest.mark.parametrize(
    ("kind", "error", "status"),
    [
        ("overloaded_error", ModelUnavailable, 529),
        ("api_error", ModelUnavailable, 500),
        ("timeout_error", ModelUnavailable, 504),
        ("rate_limit_error", ModelRateLimited, 429),
        ("authentication_error", ModelNotAuthorized, 401),
        ("permission_error", ModelNotAuthorized, 403),
        ("billing_error", ModelNotAuthorized, 402),
        ("invalid_request_error", ModelRequestRefused, 400),
        ("request_too_large", ModelRequestRefused, 413),
        ("an_error_of_tomorrow", ModelUnavailable, None),
    ],
)
def test_an_error_under_status_200_is_the_one_its_type_says(kind: str, error: type[ModelError], status: Any) -> None:
    with pytest.raises(error, match=r"Sorry\.") as raised:
        WIRE.reply({"type": "error", "error": {"type": kind, "message": "Sorry."}}, name="p:m")
    assert type(raised.value) is error
    assert (raised.value.status, raised.value.model) == (status, "p:m")


def test_the_providers_words_are_found() -> None:
    said = {"type": "error", "error": {"type": "not_found_error", "message": "model: claude-x"}, "request_id": "req_1"}

    assert "model: claude-x" in WIRE.problem(404, said)
    assert WIRE.problem(502, None) == ""
