"""Streamed answers of Chat Completions: whole or nothing, wherever they are cut and however servers piece them."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.agents import Finish, Reply
from agentflow.agents.models import ChatCompletions
from agentflow.agents.models.sse import EventReader
from agentflow.errors import ModelAnswerCutOff, ModelError, ModelRateLimited, ModelUnavailable
from agentflow.usage import Usage
from tests.agents.models.asking import HELLO, REALISTIC, Line, chunk, events, piece, usage

TEXT = "Let me look — 1 s 🌦"
CALLS = [("call_a", "weather", '{"city": "Paris"}'), ("call_b", "weather", '{"city": "Ōsaka"}')]
USAGE = Usage(model="p:m", input_tokens=812, output_tokens=57, cached_tokens=512)


def assembled(*parts: bytes, shown: list[str] | None = None, **wire: Any) -> Reply:
    """The reply that these bytes make, up to the end of the stream."""
    assembler, reader = ChatCompletions(provider="p", **wire).assembler(name="p:m"), EventReader()
    for part in parts:
        for event in reader.feed(part):
            text = assembler.feed(event.name, event.data)
            if shown is not None:
                shown.append(text)
            if assembler.ended:
                return assembler.reply()
    return assembler.reply()


def calls_of(reply: Reply) -> list[tuple[str, str, str]]:
    return [(one.id, one.name, one.arguments) for one in reply.message.calls]


def test_a_stream_of_text_and_parallel_calls_makes_the_answer_that_was_meant() -> None:
    shown: list[str] = []
    reply = assembled(REALISTIC, shown=shown)
    assert "".join(shown) == reply.message.text == TEXT
    assert calls_of(reply) == CALLS
    assert (reply.finish, reply.usage, reply.model, reply.response_id) == (
        Finish.TOOL_CALLS,
        USAGE,
        "gpt-5-mini",
        "chatcmpl-1",
    )


def test_nothing_is_made_of_a_stream_that_is_cut_at_any_byte() -> None:
    whole = assembled(REALISTIC)
    for at in range(len(REALISTIC)):
        shown: list[str] = []
        with pytest.raises(ModelAnswerCutOff, match="the stream ended before the answer did"):
            assembled(REALISTIC[:at], shown=shown)
        assert TEXT.startswith("".join(shown))
    assert assembled(REALISTIC) == whole


async def test_nothing_is_returned_by_a_model_whose_stream_ends_at_any_byte() -> None:
    """As above through all that lies between, with an end of the stream that looks like a proper one."""
    shown: list[str] = []
    stream = {"content-type": "text/event-stream"}
    line = Line([httpx.Response(200, content=REALISTIC[:at], headers=stream) for at in range(len(REALISTIC))])
    model = line.model()
    for _ in range(len(REALISTIC)):
        with pytest.raises(ModelAnswerCutOff):
            await model.reply(HELLO, on_text=shown.append)
    line.answers.append(httpx.Response(200, content=REALISTIC, headers=stream))
    assert calls_of(await model.reply(HELLO, on_text=shown.append)) == CALLS


@given(cuts=st.lists(st.integers(1, len(REALISTIC) - 1), max_size=30))
def test_the_answer_is_the_same_wherever_its_bytes_are_parted(cuts: list[int]) -> None:
    at = sorted({0, *cuts, len(REALISTIC)})
    assert assembled(*(REALISTIC[one:two] for one, two in pairwise(at))) == assembled(REALISTIC)


# -- the ways of servers


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (  # whole calls at once
            [[piece(0, id="a", name="f", arguments="{}"), piece(1, id="b", name="g", arguments="{}")]],
            [("a", "f", "{}"), ("b", "g", "{}")],
        ),
        (  # all at index 0, told apart by their ids
            [[piece(0, id="a", name="f", arguments="{}")], [piece(0, id="b", name="g", arguments="{}")]],
            [("a", "f", "{}"), ("b", "g", "{}")],
        ),
        (  # without an index, the arguments in pieces
            [
                [{"id": "a", "function": {"name": "f", "arguments": '{"x"'}}],
                [{"function": {"arguments": ": 1}"}}],
                [{"id": "b", "function": {"name": "g", "arguments": {"y": 2}}}],
            ],
            [("a", "f", '{"x": 1}'), ("b", "g", '{"y": 2}')],
        ),
        (  # id and name in every piece
            [
                [piece(0, id="a", name="f", arguments='{"x"')],
                [piece(0, id="a", name="f", arguments=": 1}")],
                [{"id": "b", "function": {"name": "g", "arguments": "{"}}],
                [{"id": "b", "function": {"name": "g", "arguments": "}"}}],
            ],
            [("a", "f", '{"x": 1}'), ("b", "g", "{}")],
        ),
        (  # the name in pieces, arguments null or missing
            [[piece(0, id="a", name="get_", arguments=None)], [piece(0, name="weather")]],
            [("a", "get_weather", "{}")],
        ),
    ],
    ids=["whole", "one index", "no index", "repeated", "name in pieces"],
)
def test_calls_are_put_together_from_the_pieces_servers_send(pieces: Any, expected: Any) -> None:
    chunks = [chunk({"tool_calls": one}) for one in pieces]
    assert calls_of(assembled(events(*chunks, chunk({}, "stop"), "[DONE]"))) == expected


def test_a_character_cut_in_two_is_shown_when_its_other_half_has_come() -> None:
    halves = ['{"choices":[{"delta":{"content":"a\\ud83c"}}]}', '{"choices":[{"delta":{"content":"\\udf26b"}}]}']
    shown: list[str] = []
    reply = assembled(events(*halves, chunk({}, "stop"), "[DONE]"), shown=shown)
    assert [one for one in shown if one] == ["a", "🌦b"]
    assert reply.message.text == "a🌦b"


def test_a_half_character_without_its_other_is_replaced() -> None:
    reply = assembled(
        events('{"choices":[{"delta":{"content":"a\\ud83c"}}]}', chunk({"content": "b"}, "stop"), "[DONE]")
    )
    assert reply.message.text == "a\ufffdb"


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ([chunk({"content": "Hi"}), chunk({}, "stop")], Usage(model="p:m")),
        (
            [chunk({"content": "Hi"}, "stop", usage={"prompt_tokens": 3, "completion_tokens": 1})],
            Usage(model="p:m", input_tokens=3, output_tokens=1),
        ),
        (
            [chunk({"content": "Hi"}, "stop", usage=None), usage(prompt_tokens=3), usage(prompt_tokens=4)],
            Usage(model="p:m", input_tokens=4),
        ),
        (
            [chunk({"content": "Hi"}, "stop", x_groq={"id": "r", "usage": {"prompt_tokens": 3}})],
            Usage(model="p:m", input_tokens=3),
        ),
        (
            [{"choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop", "usage": {"prompt_tokens": 3}}]}],
            Usage(model="p:m", input_tokens=3),
        ),
    ],
    ids=["none", "with the end", "several", "groq", "in the choice"],
)
def test_usage_is_found_where_servers_put_it(chunks: list[Any], expected: Usage) -> None:
    reply = assembled(events(*chunks, "[DONE]"))
    assert (reply.message.text, reply.usage) == ("Hi", expected)


def test_thoughts_to_be_handed_back_are_gathered() -> None:
    reply = assembled(
        events(
            chunk({"reasoning_content": "H", "reasoning_details": [{"text": "a"}]}),
            chunk({"reasoning_content": "m.", "reasoning_details": [{"text": "b"}]}),
            chunk({"tool_calls": [piece(0, id="a", name="f", arguments="{}", extra_content={})]}, "tool_calls"),
            "[DONE]",
        )
    )
    assert reply.message.carried is not None
    assert json.loads(reply.message.carried.content)["message"] == {
        "reasoning_content": "Hm.",
        "reasoning_details": [{"text": "a"}, {"text": "b"}],
    }


def test_a_refusal_is_one_and_is_not_shown_as_text() -> None:
    shown: list[str] = []
    reply = assembled(events(chunk({"refusal": "I "}), chunk({"refusal": "won't."}, "stop"), "[DONE]"), shown=shown)
    assert (reply.finish, reply.message.refusal, "".join(shown)) == (Finish.REFUSAL, "I won't.", "")


def test_a_stream_without_its_end_is_whole_only_where_the_provider_is_known_to_send_none() -> None:
    stream = events(chunk({"content": "Hi"}), chunk({}, "stop"))
    with pytest.raises(ModelAnswerCutOff):
        assembled(stream)
    assert assembled(stream, has_done=False).message.text == "Hi"
    with pytest.raises(ModelAnswerCutOff):
        assembled(events(chunk({"content": "Hi"})), has_done=False)
    with pytest.raises(ModelAnswerCutOff):
        assembled(events(chunk({"content": "Hi"}), "[DONE]"))


@pytest.mark.parametrize(
    ("stream", "kind", "said"),
    [
        (events("{not json"), ModelAnswerCutOff, "no JSON object"),
        (events("[1]"), ModelAnswerCutOff, "no JSON object"),
        (events("[" * 200_000), ModelAnswerCutOff, "no JSON object"),
        (events({"error": {"message": "slow down", "code": 429}}), ModelRateLimited, "slow down"),
        (events({"error": {"message": "oh", "code": "server_error"}}), ModelUnavailable, "oh"),
        (b'event: error\ndata: {"message": "overloaded"}\n\n', ModelUnavailable, "overloaded"),
        (events(chunk({"content": "Hi"}, "error"), "[DONE]"), ModelUnavailable, "gave up"),
        (
            events(chunk({"tool_calls": [piece(0, id="a", arguments="{}")]}, "tool_calls"), "[DONE]"),
            ModelAnswerCutOff,
            "without naming it",
        ),
    ],
)
def test_what_goes_wrong_within_a_stream_is_an_error(stream: bytes, kind: type[ModelError], said: str) -> None:
    with pytest.raises(kind, match=said) as raised:
        assembled(stream)
    assert type(raised.value) is kind


def test_a_stream_that_ended_early_has_its_whole_calls_and_no_half_one() -> None:
    pieces = [piece(0, id="a", name="f", arguments='{"x": 1}'), piece(1, id="b", name="g", arguments='{"y": ')]
    reply = assembled(events(chunk({"tool_calls": pieces}, "length"), "[DONE]"))
    assert calls_of(reply) == [("a", "f", '{"x": 1}')]
    assert reply.finish is Finish.LENGTH
