"""Streams of OpenAI's Responses API."""

from __future__ import annotations

from typing import Any

import pytest

from agentflow.agents.messages import Finish
from agentflow.agents.models.responses import Responses
from agentflow.errors import ModelAnswerCutOff, ModelError, ModelRateLimited, ModelRequestRefused, ModelUnavailable
from tests.agents.models.test_responses import CALLED, TEXT, THOUGHT, answer
from tests.agents.models.wires import assert_every_cut_is_noticed, heard, stream

WIRE = Responses()


def events(*items: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    """An answer told as the provider does: begun, item by item in pieces, and whole at the end."""
    last = answer(*items, **more)
    told: list[dict[str, Any]] = [
        {"type": "response.created", "response": answer(status="in_progress", usage=None)},
        {"type": "response.in_progress", "response": answer(status="in_progress", usage=None)},
    ]
    for index, item in enumerate(items):
        place = {"output_index": index, "item_id": item["id"]}
        told.append({"type": "response.output_item.added", "item": item | {"status": "in_progress"}} | place)
        told += [one | place for one in _pieces(item)]
        told.append({"type": "response.output_item.done", "item": item} | place)
    told.append({"type": f"response.{last['status']}", "response": last})
    return [one | {"sequence_number": number} for number, one in enumerate(told)]


def _pieces(item: dict[str, Any]) -> list[dict[str, Any]]:
    if item["type"] == "message":
        text = item["content"][0]["text"]
        deltas = [{"type": "response.output_text.delta", "delta": text[at : at + 5]} for at in range(0, len(text), 5)]
        return [*deltas, {"type": "response.output_text.done", "text": text}]
    if item["type"] == "function_call":
        arguments = item["arguments"]
        halves = (arguments[:6], arguments[6:])
        deltas = [{"type": "response.function_call_arguments.delta", "delta": half} for half in halves]
        return [*deltas, {"type": "response.function_call_arguments.done", "arguments": arguments}]
    return [{"type": "response.reasoning_summary_text.delta", "delta": "Hm."}]


def test_a_stream_shows_its_text_and_comes_to_what_the_whole_answer_says() -> None:
    reply, shown = heard(WIRE, stream(events(THOUGHT, TEXT, CALLED)))

    assert shown == ["Let m", "e loo", "k."]
    assert reply == WIRE.reply(answer(THOUGHT, TEXT, CALLED), name="p:m")


def test_a_stream_that_ended_early_says_so() -> None:
    half = events(TEXT, CALLED, status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    reply, _ = heard(WIRE, stream(half))

    assert (reply.finish, reply.message.calls) == (Finish.LENGTH, [])


def test_a_stream_cut_at_any_byte_gives_no_answer_and_no_call() -> None:
    assert_every_cut_is_noticed(
        WIRE, events(THOUGHT, TEXT | {"content": [{"type": "output_text", "text": "Çà"}]}, CALLED)
    )


def test_nothing_is_read_after_the_end() -> None:
    sent = stream(events(TEXT))

    assert heard(WIRE, sent + b"event: error\ndata: {}\n\n")[0] == heard(WIRE, sent)[0]


def test_items_told_one_by_one_are_the_answer_where_the_last_event_leaves_them_out() -> None:
    told = events(THOUGHT, TEXT, CALLED)
    told[-1]["response"]["output"] = []

    assert heard(WIRE, stream(told))[0] == WIRE.reply(answer(THOUGHT, TEXT, CALLED), name="p:m")


def test_a_done_sign_of_another_wire_and_events_of_later_versions_are_passed_over() -> None:
    told = events(TEXT)
    later = stream([{"type": "response.something.new", "sequence_number": 0}])

    assert heard(WIRE, b"data: [DONE]\n\n" + later + stream(told))[0] == heard(WIRE, stream(told))[0]


@pytest.mark.parametrize("data", ["", "nope", "[]", "7", '{"type": "response.completed"}'])
def test_what_is_no_event_is_no_answer(data: str) -> None:
    with pytest.raises(ModelAnswerCutOff):
        heard(WIRE, f"data: {data}\n\n".encode())


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ({"type": "error", "code": "server_error", "message": "Sorry."}, ModelUnavailable),
        ({"type": "error", "code": None, "message": "Sorry."}, ModelUnavailable),
        ({"type": "error", "error": {"code": "rate_limit_exceeded", "message": "Sorry."}}, ModelRateLimited),
        ({"type": "error", "code": "invalid_prompt", "message": "Sorry."}, ModelRequestRefused),
        (
            {
                "type": "response.failed",
                "response": answer(status="failed", error={"code": "server_error", "message": "Sorry."}),
            },
            ModelUnavailable,
        ),
    ],
)
def test_an_error_in_the_stream_is_raised_whatever_came_before(event: dict[str, Any], error: type[ModelError]) -> None:
    with pytest.raises(error, match=r"Sorry\.") as raised:
        heard(WIRE, stream([*events(TEXT, CALLED)[:-1], event]))
    assert type(raised.value) is error
