"""OpenAI's Responses API: what is sent, and what its answers come to."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agentflow.agents.messages import Finish, Image, Message, ModelSettings, OutputSpec, Role
from agentflow.agents.models.responses import Responses
from agentflow.errors import ModelAnswerCutOff, ModelError, ModelRateLimited, ModelRequestRefused, ModelUnavailable
from tests.agents.models.wires import WEATHER, answered, asked, assistant, call, system, user

WIRE = Responses()
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA=="}
TEXT = {
    "type": "message",
    "id": "msg_1",
    "status": "completed",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "Let me look.", "annotations": []}],
}
CALLED = {
    "type": "function_call",
    "id": "fc_1",
    "status": "completed",
    "call_id": "call_1",
    "name": "weather",
    "arguments": '{"city":"Paris"}',
}
USAGE = {
    "input_tokens": 75,
    "input_tokens_details": {"cached_tokens": 25},
    "output_tokens": 1186,
    "output_tokens_details": {"reasoning_tokens": 1024},
    "total_tokens": 1261,
}


def answer(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    whole = {"id": "resp_1", "object": "response", "status": "completed", "model": "gpt-5-2025-08-07", "error": None}
    return whole | {"output": list(items), "usage": USAGE, "incomplete_details": None} | more


def body(*messages: Message, model: str = "gpt-5", stream: bool = False, **more: Any) -> dict[str, Any]:
    return WIRE.body(asked(*messages, **more), model, stream=stream)


# -- what is sent


def test_nothing_is_kept_at_the_provider_and_its_thoughts_are_asked_for() -> None:
    assert body() == {
        "model": "gpt-5",
        "input": [{"role": "user", "content": "Hello"}],
        "store": False,
        "include": ["reasoning.encrypted_content"],
    }
    assert body(stream=True)["stream"] is True


@pytest.mark.parametrize("model", ["gpt-4o-mini", "gpt-4.1", "chatgpt-4o-latest", "gpt-5-chat-latest"])
def test_a_model_that_does_not_think_is_not_asked_for_thoughts(model: str) -> None:
    assert "include" not in body(model=model)


def test_the_first_system_messages_are_the_instructions_and_later_ones_stay_where_they_are() -> None:
    said = body(system("Be brief."), system("Be kind."), user("Hello"), assistant("Hi."), system("Time is short."))

    assert said["instructions"] == "Be brief.\n\nBe kind."
    assert said["input"] == [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi."},
        {"role": "system", "content": "Time is short."},
    ]


def test_calls_and_their_answers_are_items_of_their_own() -> None:
    said = body(
        user("Weather?"),
        assistant("Let me look.", call("c1"), call("c2", arguments="{}")),
        answered("c1", "rain"),
        answered("c2", "no city", is_error=True),
    )

    assert said["input"][1:] == [
        {"role": "assistant", "content": "Let me look."},
        {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"city":"Paris"}'},
        {"type": "function_call", "call_id": "c2", "name": "weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "rain"},
        {"type": "function_call_output", "call_id": "c2", "output": "no city"},
    ]


def test_an_id_that_another_provider_made_is_put_into_the_usual_letters_on_both_sides() -> None:
    items = body(assistant("", call("functions.weather:0")), answered("functions.weather:0", "rain"))["input"]

    assert items[0]["call_id"] == items[1]["call_id"]
    assert items[0]["call_id"].isalnum()


def test_pictures_go_beside_the_text_and_into_the_answers_of_tools() -> None:
    pictures = [Image(url="https://example.test/a.png"), Image(content="aGk=", media_type="image/png")]
    shown = [
        {"type": "input_image", "detail": "auto", "image_url": "https://example.test/a.png"},
        {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,aGk="},
    ]
    said = body(Message(role=Role.USER, text="What is it?", images=pictures), answered("c1", "", images=pictures))

    assert said["input"][0]["content"] == [{"type": "input_text", "text": "What is it?"}, *shown]
    assert said["input"][1]["output"] == shown


def test_tools_keep_their_optional_arguments() -> None:
    assert body(tools=[WEATHER])["tools"] == [
        {
            "type": "function",
            "name": "weather",
            "description": "The weather in a city.",
            "parameters": WEATHER.schema,
            "strict": False,
        }
    ]


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        ("weather", {"type": "function", "name": "weather"}),
    ],
)
def test_which_tool_to_call_is_said_in_the_wires_own_form(choice: str, said: Any) -> None:
    settings = ModelSettings(tool_choice=choice, parallel_tool_calls=False)

    with_tools = body(tools=[WEATHER], settings=settings)
    assert (with_tools["tool_choice"], with_tools["parallel_tool_calls"]) == (said, False)
    assert not {"tool_choice", "parallel_tool_calls"} & body(settings=settings).keys()


def test_settings_have_the_wires_own_names_and_extra_goes_in_last() -> None:
    settings = ModelSettings(
        temperature=0.5,
        top_p=0.9,
        max_tokens=100,
        stop=["END"],
        seed=7,
        reasoning_effort="low",
        extra={"store": True, "service_tier": "flex"},
    )
    said = body(settings=settings)

    assert said["temperature"] == 0.5
    assert said["top_p"] == 0.9
    assert said["max_output_tokens"] == 100
    assert said["reasoning"] == {"effort": "low"}
    assert (said["store"], said["service_tier"]) == (True, "flex")
    assert not {"stop", "seed", "max_tokens"} & said.keys()


def test_an_answer_of_a_schema_is_bound_to_it() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "default": 1}}}
    said = body(output=OutputSpec(name="My answer", schema=schema))

    assert said["text"]["format"] == {
        "type": "json_schema",
        "name": "My_answer",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"n": {"type": "integer"}},
            "required": ["n"],
            "additionalProperties": False,
        },
    }


def test_the_key_is_a_bearer_token_and_none_is_no_header() -> None:
    assert WIRE.headers("sk-1") == {"Authorization": "Bearer sk-1"}
    assert WIRE.headers("") == {}


# -- what comes back


def test_an_answer_is_its_text_and_its_usage() -> None:
    reply = WIRE.reply(answer(TEXT), name="openai-responses:gpt-5")

    assert (reply.message.role, reply.message.text) == (Role.ASSISTANT, "Let me look.")
    assert (reply.message.calls, reply.message.carried) == ([], None)
    assert reply.finish is Finish.STOP
    assert (reply.model, reply.response_id) == ("gpt-5-2025-08-07", "resp_1")
    assert reply.usage.model == "openai-responses:gpt-5"
    assert (reply.usage.input_tokens, reply.usage.cached_tokens) == (75, 25)
    assert (reply.usage.output_tokens, reply.usage.reasoning_tokens) == (1186, 1024)
    assert reply.usage.cost is None


def test_thoughts_go_back_in_their_place_with_what_followed_them() -> None:
    second = CALLED | {"id": "fc_2", "call_id": "call_2"}
    reply = WIRE.reply(answer(THOUGHT, TEXT, CALLED, second), name="p:m")

    assert reply.finish is Finish.TOOL_CALLS
    assert [one.id for one in reply.message.calls] == ["call_1", "call_2"]
    assert body(reply.message)["input"] == [THOUGHT, TEXT, CALLED, second]
    assert reply.message.carried is not None
    assert "Let me look." not in reply.message.carried.content, "a text is kept once"


def test_thoughts_go_back_to_nobody_else() -> None:
    reply = WIRE.reply(answer(THOUGHT, TEXT), name="p:m")

    other = Responses(provider="azure-responses").body(asked(reply.message), "gpt-5", stream=False)
    assert other["input"] == [{"role": "assistant", "content": "Let me look."}]


def test_a_message_that_was_changed_keeps_its_thoughts_before_what_it_says_now() -> None:
    message = WIRE.reply(answer(THOUGHT, TEXT, CALLED), name="p:m").message
    changed = Message(role=Role.ASSISTANT, text="Shortened.", carried=message.carried)

    assert body(changed)["input"] == [THOUGHT, {"role": "assistant", "content": "Shortened."}]


def test_a_thought_that_led_to_nothing_is_not_sent() -> None:
    reply = WIRE.reply(
        answer(THOUGHT, status="incomplete", incomplete_details={"reason": "max_output_tokens"}), name="p:m"
    )

    assert reply.finish is Finish.LENGTH
    assert body(user("Go on."), reply.message)["input"] == [{"role": "user", "content": "Go on."}]


def test_remarks_on_the_way_are_no_part_of_the_final_answer_but_go_back() -> None:
    remark = TEXT | {"phase": "commentary"}
    final = TEXT | {
        "phase": "final_answer",
        "content": [{"type": "output_text", "text": '{"n": 1}', "annotations": []}],
    }
    reply = WIRE.reply(answer(remark, final), name="p:m")

    assert reply.message.text == '{"n": 1}'
    first, last = body(reply.message)["input"]
    assert first == remark
    assert (last["phase"], last["content"][0]["text"]) == ("final_answer", '{"n": 1}')


def test_remarks_alone_are_what_was_said_with_the_calls() -> None:
    assert WIRE.reply(answer(TEXT | {"phase": "commentary"}, CALLED), name="p:m").message.text == "Let me look."


def test_a_refusal_is_no_text() -> None:
    refused = TEXT | {"content": [{"type": "refusal", "refusal": "I cannot help with that."}]}
    reply = WIRE.reply(answer(refused), name="p:m")

    assert reply.finish is Finish.REFUSAL
    assert (reply.message.text, reply.message.refusal) == ("", "I cannot help with that.")
    assert body(reply.message)["input"] == [{"role": "assistant", "content": "I cannot help with that."}]


@pytest.mark.parametrize(
    ("reason", "finish"), [("max_output_tokens", Finish.LENGTH), ("content_filter", Finish.FILTERED)]
)
def test_an_answer_that_ended_early_gives_no_calls(reason: str, finish: Finish) -> None:
    half = CALLED | {"status": "incomplete", "arguments": '{"city":'}
    said = answer(TEXT, CALLED, half, status="incomplete", incomplete_details={"reason": reason})
    reply = WIRE.reply(said, name="p:m")

    assert reply.finish is finish
    assert reply.message.text == "Let me look."
    assert reply.message.calls == []


@pytest.mark.parametrize(
    "said",
    [
        None,
        "<html>",
        [],
        {},
        {"output": None},
        answer(status="in_progress"),
        answer(status="incomplete", incomplete_details=None),
        answer(status="cancelled"),
        answer({"type": "message"}),
        answer({"type": "message", "content": [None]}),
        answer({"type": "message", "content": [{"type": "output_text", "text": None}]}),
        answer({"type": "function_call"}),
        answer(CALLED | {"name": None}),
        answer(CALLED | {"call_id": ""}),
        answer(CALLED | {"status": "incomplete"}),
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
    ("code", "error"),
    [
        ("server_error", ModelUnavailable),
        ("rate_limit_exceeded", ModelRateLimited),
        ("invalid_prompt", ModelRequestRefused),
        ("image_content_policy_violation", ModelRequestRefused),
        (None, ModelUnavailable),
    ],
)
def test_a_failure_under_status_200_is_the_error_its_code_says(code: str | None, error: type[ModelError]) -> None:
    said = answer(status="failed", error={"code": code, "message": "It went wrong."})

    with pytest.raises(error, match=r"It went wrong\.") as raised:
        WIRE.reply(said, name="p:m")
    assert type(raised.value) is error
    assert raised.value.model == "p:m"


def test_the_providers_words_are_found() -> None:
    said = {"error": {"message": "Unknown model.", "type": "invalid_request_error", "code": "model_not_found"}}

    assert "Unknown model." in WIRE.problem(404, said)
    assert WIRE.problem(502, None) == ""
