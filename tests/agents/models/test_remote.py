"""A model over HTTP: what is sent where, what comes back, and what of it is shown on the way."""

from __future__ import annotations

import gzip
import json
import logging
from typing import Any

import httpx
import pytest

from agentflow.agents import Message, Request, Role
from agentflow.agents.models import ChatModel, model
from agentflow.errors import ModelAnswerCutOff, ModelNotAuthorized
from tests.agents.models.asking import ANSWER, HELLO, KEY, REALISTIC, Line, answering, chunk, events

STREAM = {"content-type": "text/event-stream; charset=utf-8"}


async def test_an_answer_in_one_piece_is_asked_for_and_read() -> None:
    line = answering()
    reply = await line.model().reply(HELLO)
    assert (reply.message.text, reply.usage.model, reply.usage.tokens) == ("Sunny.", "openai:gpt-5-mini", 1200)
    (request,) = line.requests
    assert (request.method, str(request.url)) == ("POST", "https://api.openai.com/v1/chat/completions")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["content-type"] == "application/json"
    assert line.bodies == [{"model": "gpt-5-mini", "messages": [{"role": "user", "content": HELLO.messages[0].text}]}]


async def test_what_is_shown_on_the_way_is_the_text_and_it_is_asked_for_piece_by_piece() -> None:
    line, shown = Line([httpx.Response(200, content=REALISTIC, headers=STREAM)]), list[str]()
    reply = await line.model().reply(HELLO, on_text=shown.append)
    assert shown == ["Let me look — ", "1 s 🌦"]
    assert "".join(shown) == reply.message.text
    assert line.bodies[0]["stream"] is True
    assert line.requests[0].headers["accept"] == "text/event-stream"


async def test_a_model_may_be_told_never_to_stream() -> None:
    line, shown = answering(), list[str]()
    await line.model(stream=False).reply(HELLO, on_text=shown.append)
    assert shown == ["Sunny."]
    assert "stream" not in line.bodies[0]


async def test_a_server_that_answers_in_one_piece_all_the_same_is_understood() -> None:
    shown: list[str] = []
    reply = await answering().model().reply(HELLO, on_text=shown.append)
    assert (shown, reply.message.text) == (["Sunny."], "Sunny.")


async def test_nothing_is_read_behind_the_end_of_a_stream() -> None:
    content = REALISTIC + events("{broken", chunk({"content": "more"}))
    reply = await Line([httpx.Response(200, content=content, headers=STREAM)]).model().reply(HELLO, on_text=print)
    assert len(reply.message.calls) == 2


async def test_an_error_of_whoever_listens_is_theirs() -> None:
    def refuse(_: str) -> None:
        raise KeyError("their own")

    with pytest.raises(KeyError, match="their own"):
        await Line([httpx.Response(200, content=REALISTIC, headers=STREAM)]).model().reply(HELLO, on_text=refuse)


async def test_headers_of_ones_own_are_sent() -> None:
    line = answering()
    await line.model(headers={"X-Gateway": "7", "authorization": "Basic abc"}).reply(HELLO)
    assert line.requests[0].headers["x-gateway"] == "7"
    assert line.requests[0].headers.get_list("authorization") == ["Basic abc"]


async def test_the_key_is_read_at_each_call_and_a_missing_one_is_told_by_its_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = Line([httpx.Response(200, json=ANSWER)] * 2)
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    asked = line.model("groq:llama-3.3-70b-versatile", key="")
    with pytest.raises(ModelNotAuthorized, match="set GROQ_API_KEY in the environment"):
        await asked.reply(HELLO)
    for key in ("gsk-old", "gsk-new"):
        monkeypatch.setenv("GROQ_API_KEY", key)
        await asked.reply(HELLO)
    assert [one.headers["authorization"] for one in line.requests] == ["Bearer gsk-old", "Bearer gsk-new"]


async def test_a_server_of_ones_own_is_asked_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OLLAMA_API_KEY", raising=False)
    line = answering()
    await line.model("ollama:qwen3", key="").reply(HELLO)
    assert "authorization" not in line.requests[0].headers


async def test_half_a_character_that_others_left_is_not_sent() -> None:
    line = answering()
    await line.model().reply(Request(messages=[Message(role=Role.USER, text="a\ud83cb")]))
    assert line.bodies[0]["messages"][0]["content"] == "a?b"


# -- answers that are too much, or none


async def test_an_answer_of_a_million_characters_is_read_whole() -> None:
    text = "é" * 1_000_000
    answer = ANSWER | {"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}
    assert (await answering(answer).model().reply(HELLO)).message.text == text
    pieces = events(*(chunk({"content": "é" * 100}) for _ in range(10_000)), chunk({}, "stop"), "[DONE]")
    line = Line([httpx.Response(200, content=pieces, headers=STREAM)])
    assert (await line.model().reply(HELLO, on_text=lambda _: None)).message.text == text


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_answer_beyond_its_limit_is_cut_off_and_not_used(streamed: bool) -> None:
    content = REALISTIC if streamed else json.dumps(ANSWER).encode()
    headers = STREAM if streamed else {"content-type": "application/json"}
    for size, is_cut in ((len(content), False), (len(content) - 1, True)):
        asked = Line([httpx.Response(200, content=content, headers=headers)]).model(max_size=size)
        on_text = (lambda _: None) if streamed else None
        if is_cut:
            with pytest.raises(ModelAnswerCutOff, match=f"is longer than max_size={size} bytes"):
                await asked.reply(HELLO, on_text=on_text)
        else:
            await asked.reply(HELLO, on_text=on_text)


async def test_a_small_answer_that_unpacks_to_a_large_one_is_cut_off() -> None:
    packed = gzip.compress(b'{"choices": [' + b" " * 5_000_000 + b"]}")
    assert len(packed) < 10_000
    line = Line([httpx.Response(200, content=packed, headers={"content-encoding": "gzip"})])
    with pytest.raises(ModelAnswerCutOff, match="is longer than"):
        await line.model(max_size=1_000_000).reply(HELLO)


@pytest.mark.parametrize(
    ("content", "headers", "said"),
    [
        (b'{"choices": [{"message": {"content": "caf\xe9"}}]}', {}, "is not UTF-8"),
        (json.dumps(ANSWER).encode("utf-16"), {}, "is not UTF-8"),
        (b'{"choices": [{"message": {"cont', {}, "is no JSON"),
        (b"[" * 500_000, {}, "is no JSON"),
        (b"1" * 5_000, {}, "is no JSON"),
        (b"", {}, "is no JSON"),
        (b"<html>Sign in</html>", {"content-type": "text/html"}, "web page; is the base URL right"),
        (b"not gzip", {"content-encoding": "gzip"}, "broke off"),
    ],
)
async def test_an_answer_that_cannot_be_read_is_none(content: bytes, headers: dict[str, str], said: str) -> None:
    line = Line([httpx.Response(200, stream=httpx.ByteStream(content), headers=headers)])
    with pytest.raises(ModelAnswerCutOff, match=said):
        await line.model().reply(HELLO)


async def test_a_stream_that_is_no_utf8_is_cut_off_before_any_wrong_text_is_used() -> None:
    stream = REALISTIC.replace("Ōsaka".encode(), b"\xd2saka")
    with pytest.raises(ModelAnswerCutOff, match="is not UTF-8"):
        await Line([httpx.Response(200, content=stream, headers=STREAM)]).model().reply(HELLO, on_text=lambda _: None)


# -- what is written of it elsewhere


async def test_no_log_holds_a_key_or_what_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        await answering().model().reply(HELLO)
        await (
            Line([httpx.Response(200, content=REALISTIC, headers=STREAM)]).model().reply(HELLO, on_text=lambda _: None)
        )
    assert KEY not in caplog.text
    assert "weather in Paris" not in caplog.text


def test_it_is_what_every_model_is() -> None:
    asked: Any = model("openai:gpt-5-mini")
    assert isinstance(asked, ChatModel)
    assert asked.name == "openai:gpt-5-mini"
