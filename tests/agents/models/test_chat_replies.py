"""What is made of whole answers of Chat Completions, with the liberties that servers take."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from agentflow.agents import Finish, Reply
from agentflow.agents.models import ChatCompletions
from agentflow.errors import (
    ModelAnswerCutOff,
    ModelError,
    ModelRateLimited,
    ModelRequestRefused,
    ModelUnavailable,
)
from agentflow.usage import Usage

WIRE = ChatCompletions(provider="p")


def reply(message: dict[str, Any], finish: Any = "stop", **more: Any) -> Reply:
    choice = {"index": 0, "message": {"role": "assistant"} | message, "finish_reason": finish}
    return WIRE.reply({"id": "c1", "model": "m-1", "choices": [choice]} | more, name="p:m")


def call(name: str = "weather", arguments: Any = "{}", **more: Any) -> dict[str, Any]:
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}} | more


@pytest.mark.parametrize(
    ("message", "finish", "text", "expected"),
    [
        ({"content": "Hi"}, "stop", "Hi", Finish.STOP),
        ({"content": None}, "stop", "", Finish.STOP),
        ({}, None, "", Finish.STOP),
        ({"content": "Hi"}, "some new reason", "Hi", Finish.STOP),
        ({"content": "Hi"}, "length", "Hi", Finish.LENGTH),
        ({"content": "Hi"}, "model_length", "Hi", Finish.LENGTH),
        ({"content": ""}, "content_filter", "", Finish.FILTERED),
        ({"content": None, "refusal": "No."}, "stop", "", Finish.REFUSAL),
        ({"content": None, "tool_calls": [call()]}, "tool_calls", "", Finish.TOOL_CALLS),
        ({"content": "Wait", "tool_calls": [call()]}, "stop", "Wait", Finish.TOOL_CALLS),
        ({"content": [{"type": "thinking", "text": "x"}, {"type": "text", "text": "Hi"}]}, "stop", "Hi", Finish.STOP),
        ({"content": "\ud83c\udf26 \ud83c"}, "stop", "🌦 \ufffd", Finish.STOP),
        ({"content": 7}, ["stop"], "", Finish.STOP),
    ],
)
def test_an_answer_is_read(message: dict[str, Any], finish: Any, text: str, expected: Finish) -> None:
    found = reply(message, finish)
    assert (found.message.text, found.finish) == (text, expected)
    assert (found.model, found.response_id) == ("m-1", "c1")


def test_parallel_calls_keep_their_order_and_the_very_text_of_their_arguments() -> None:
    found = reply(
        {"tool_calls": [call(arguments='{"a": 1,}', id="x"), call("time", '{"tz":"UTC"}{"tz":"CET"}', id="y")]},
        "tool_calls",
    )
    assert [(one.id, one.name, one.arguments) for one in found.message.calls] == [
        ("x", "weather", '{"a": 1,}'),
        ("y", "time", '{"tz":"UTC"}{"tz":"CET"}'),
    ]


@pytest.mark.parametrize(
    ("arguments", "expected"), [("", "{}"), (None, "{}"), ({"a": "é"}, '{"a": "é"}'), (" ", "{}"), ([1], "[1]")]
)
def test_arguments_may_be_missing_or_no_text(arguments: Any, expected: str) -> None:
    assert reply({"tool_calls": [call(arguments=arguments)]}).message.calls[0].arguments == expected


def test_calls_without_an_id_get_one_each() -> None:
    found = reply({"tool_calls": [call(id=""), call(id=None)]})
    assert len({one.id for one in found.message.calls}) == 2


def test_of_an_answer_that_ended_early_only_whole_calls_are_taken() -> None:
    calls = [call(arguments='{"a": 1}', id="whole"), call(arguments='{"a": ', id="half"), call(arguments="", id="none")]
    found = reply({"tool_calls": calls}, "length")
    assert [one.id for one in found.message.calls] == ["whole"]
    assert found.finish is Finish.LENGTH


def test_what_the_provider_wants_back_is_kept_with_calls_and_only_then() -> None:
    thought = {"reasoning_content": "Hm.", "content": "Hi"}
    assert reply(thought).message.carried is None
    found = reply(thought | {"tool_calls": [call(extra_content={"google": {"sign": "x"}})]}).message.carried
    assert found is not None
    assert found.provider == "p"
    assert json.loads(found.content) == {
        "message": {"reasoning_content": "Hm."},
        "calls": {"0": {"extra_content": {"google": {"sign": "x"}}}},
    }


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (None, Usage(model="p:m")),
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 20,
                "total_tokens": 120,
                "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 8, "accepted_prediction_tokens": 0},
            },
            Usage(model="p:m", input_tokens=100, output_tokens=20, cached_tokens=64, reasoning_tokens=8),
        ),
        (
            {"prompt_tokens": 100, "completion_tokens": 20, "prompt_cache_hit_tokens": 60},
            Usage(model="p:m", input_tokens=100, output_tokens=20, cached_tokens=60),
        ),
        (
            {  # thoughts that are counted in the total only
                "prompt_tokens": 100,
                "completion_tokens": 20,
                "total_tokens": 150,
                "completion_tokens_details": {"reasoning_tokens": 30},
            },
            Usage(model="p:m", input_tokens=100, output_tokens=50, reasoning_tokens=30),
        ),
        (
            {"prompt_tokens": 100, "completion_tokens": 20, "cost": 0.00125},
            Usage(model="p:m", input_tokens=100, output_tokens=20, cost=Decimal("0.00125")),
        ),
        (
            {"prompt_tokens": -5, "completion_tokens": 2.5, "prompt_tokens_details": None, "cost": "free"},
            Usage(model="p:m"),
        ),
        ({"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 9}, "cost": True}, 3),
    ],
)
def test_usage_is_read_as_each_provider_tells_it(said: Any, expected: Any) -> None:
    found = reply({"content": "Hi"}, usage=said).usage
    if expected == 3:  # more cached than there was
        expected = Usage(model="p:m", input_tokens=3, cached_tokens=3)
    assert found == expected


@pytest.mark.parametrize(
    "answer",
    [None, [], "text", 3, {}, {"choices": []}, {"choices": [{}]}, {"choices": None}, {"choices": [{"text": "old"}]}],
)
def test_what_is_no_answer_is_cut_off(answer: Any) -> None:
    with pytest.raises(ModelAnswerCutOff, match=r"^p:m "):
        WIRE.reply(answer, name="p:m")


@pytest.mark.parametrize("function", [None, {}, {"name": ""}, {"name": 3}])
def test_a_call_without_a_name_is_no_answer(function: Any) -> None:
    with pytest.raises(ModelAnswerCutOff, match="without naming it"):
        reply({"tool_calls": [{"id": "x", "function": function}]})


@pytest.mark.parametrize("finish", ["error", "insufficient_system_resource", "abort"])
def test_a_server_that_gave_up_has_not_answered(finish: str) -> None:
    with pytest.raises(ModelUnavailable, match="gave up"):
        reply({"content": "Half of"}, finish)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "slow down", "code": 429}, ModelRateLimited),
        ({"message": "slow down", "type": "rate_limit_error", "code": None}, ModelRateLimited),
        ({"message": "bad gateway", "code": 502}, ModelUnavailable),
        ({"message": "too long", "code": "context_length_exceeded"}, ModelRequestRefused),
        ({"message": "what?"}, ModelUnavailable),
        ("what?", ModelUnavailable),
    ],
)
def test_an_error_under_status_200_is_that_error(error: Any, kind: type[ModelError]) -> None:
    with pytest.raises(kind) as raised:
        WIRE.reply({"error": error}, name="p:m")
    assert type(raised.value) is kind
    assert (error["message"] if isinstance(error, dict) else error) in str(raised.value)
