"""Streams of Anthropic's Messages API."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agentflow.agents.messages import Finish
from agentflow.agents.models.anthropic import Anthropic
from agentflow.errors import ModelAnswerCutOff, ModelError, ModelRateLimited, ModelRequestRefused, ModelUnavailable
from tests.agents.models.test_anthropic import CALLED, HIDDEN, TEXT, THOUGHT, answer
from tests.agents.models.wires import assert_every_cut_is_noticed, heard, stream

WIRE = Anthropic()


def events(*blocks: dict[str, Any], stop: str | None = "end_turn", **ending: Any) -> list[dict[str, Any]]:
    """An answer told as the provider does: begun, block by block in pieces, why it ended, and its end."""
    begun = answer(stop=None, usage={"input_tokens": 12, "cache_read_input_tokens": 30, "output_tokens": 1})
    told: list[dict[str, Any]] = [{"type": "message_start", "message": begun}, {"type": "ping"}]
    for index, block in enumerate(blocks):
        empty, deltas = _pieces(block)
        told.append({"type": "content_block_start", "index": index, "content_block": empty})
        told += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        told.append({"type": "content_block_stop", "index": index})
    delta = {"stop_reason": stop, "stop_sequence": None} | ending
    told.append({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 6}})
    return [*told, {"type": "message_stop"}]


def _pieces(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    match block["type"]:
        case "text":
            text = block["text"]
            pieces = [text[at : at + 5] for at in range(0, len(text), 5)]
            return {"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in pieces]
        case "thinking":
            thought = {"type": "thinking_delta", "thinking": block["thinking"]}
            signature = {"type": "signature_delta", "signature": block["signature"]}
            return {"type": "thinking", "thinking": "", "signature": ""}, [thought, signature]
        case "tool_use" | "server_tool_use":
            written = json.dumps(block["input"])
            pieces = ["", written[:4], written[4:]] if block["input"] else []
            return block | {"input": {}}, [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    return block, []


def test_a_stream_shows_its_text_and_comes_to_what_the_whole_answer_says() -> None:
    reply, shown = heard(WIRE, stream(events(HIDDEN, THOUGHT, TEXT, CALLED, stop="tool_use")))

    assert shown == ["Let m", "e loo", "k."]
    assert reply.message == WIRE.reply(answer(HIDDEN, THOUGHT, TEXT, CALLED, stop="tool_use"), name="p:m").message
    assert (reply.finish, reply.response_id) == (Finish.TOOL_CALLS, "msg_1")
    assert (reply.usage.input_tokens, reply.usage.cached_tokens, reply.usage.output_tokens) == (42, 30, 6)


def test_a_call_without_arguments_has_an_empty_object_of_them() -> None:
    reply, _ = heard(WIRE, stream(events(CALLED | {"input": {}}, stop="tool_use")))

    assert [one.arguments for one in reply.message.calls] == ["{}"]


def test_arguments_stay_what_the_model_wrote_though_it_be_no_json() -> None:
    told = events(CALLED, stop="tool_use")
    told[-4]["delta"]["partial_json"] = '": "Par'

    assert heard(WIRE, stream(told))[0].message.calls[0].arguments == '{"ci": "Par'


def test_a_stream_cut_at_any_byte_gives_no_answer_and_no_call() -> None:
    assert_every_cut_is_noticed(WIRE, events(THOUGHT, {"type": "text", "text": "Çà"}, CALLED, stop="tool_use"))


def test_a_stream_that_ended_early_gives_no_call() -> None:
    reply, _ = heard(WIRE, stream(events(TEXT, CALLED, stop="max_tokens")))

    assert (reply.finish, reply.message.calls) == (Finish.LENGTH, [])


def test_a_refusal_in_a_stream_says_why() -> None:
    reply, _ = heard(WIRE, stream(events(TEXT, stop="refusal", stop_details={"explanation": "Not this."})))

    assert (reply.finish, reply.message.refusal, reply.message.text) == (Finish.REFUSAL, "Not this.", "")


def test_what_a_tool_at_the_provider_was_asked_goes_back_as_an_object() -> None:
    ran = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "rain"}}
    reply, _ = heard(WIRE, stream(events(ran, TEXT)))

    assert reply.message == WIRE.reply(answer(ran, TEXT), name="p:m").message


def test_nothing_is_read_after_the_end_and_events_of_later_versions_are_passed_over() -> None:
    told = stream(events(TEXT))
    later = stream([{"type": "something_new"}])

    assert heard(WIRE, later + told + b"event: error\ndata: {}\n\n")[0] == heard(WIRE, told)[0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "message_start"},
        {"type": "content_block_start", "index": 0},
        {"type": "content_block_start", "content_block": TEXT},
        {"type": "content_block_delta", "index": 7, "delta": {"type": "text_delta", "text": "lost"}},
        {"type": "content_block_stop", "index": 7},
        {"type": "message_stop"},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
    ],
    ids=json.dumps,
)
def test_a_stream_that_is_not_in_order_is_no_answer(wrong: dict[str, Any]) -> None:
    with pytest.raises(ModelAnswerCutOff, match="p:m"):
        heard(WIRE, stream([wrong, *events(TEXT)[1:]]))


def test_a_call_whose_block_has_not_ended_is_none_though_the_stream_has() -> None:
    told = [one for one in events(TEXT, CALLED, stop="tool_use") if one != {"type": "content_block_stop", "index": 1}]

    with pytest.raises(ModelAnswerCutOff):
        heard(WIRE, stream(told))


@pytest.mark.parametrize("data", ["", "nope", "[]", "7"])
def test_what_is_no_event_is_no_answer(data: str) -> None:
    with pytest.raises(ModelAnswerCutOff):
        heard(WIRE, f"data: {data}\n\n".encode())


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("overloaded_error", ModelUnavailable),
        ("api_error", ModelUnavailable),
        ("rate_limit_error", ModelRateLimited),
        ("invalid_request_error", ModelRequestRefused),
    ],
)
def test_an_error_in_the_stream_is_raised_whatever_came_before(kind: str, error: type[ModelError]) -> None:
    broken = {"type": "error", "error": {"type": kind, "message": "Sorry."}}

    with pytest.raises(error, match=r"Sorry\.") as raised:
        heard(WIRE, stream([*events(TEXT, CALLED, stop="tool_use")[:-1], broken]))
    assert type(raised.value) is error
