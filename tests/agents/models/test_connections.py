"""Against a real server: time-outs, connections cut at any byte, and connections kept open and closed."""

from __future__ import annotations

import asyncio
import gc
import json
import warnings
from typing import Any

import pytest

from agentflow.agents.models import clients, model
from agentflow.agents.models.base import ChatModel
from agentflow.errors import ModelAnswerCutOff, ModelRequestRefused, ModelUnavailable
from tests.agents.models.asking import ANSWER, HELLO, REALISTIC
from tests.agents.models.servers import CHUNKED, CLOSED, chunked, serving, whole

JSON = json.dumps(ANSWER).encode()
NEVER = asyncio.Event


def asked(url: str, **options: Any) -> ChatModel:
    return model("local:m", base_url=url, **options)


async def test_a_connection_is_kept_open_for_the_next_call_streamed_or_not() -> None:
    answers = [whole(JSON), CHUNKED + chunked(REALISTIC) + b"0\r\n\r\n", whole(JSON)]

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(answers.pop(0))

    async with serving(answer) as server:
        await asked(server.url).reply(HELLO)
        await asked(server.url).reply(HELLO, on_text=lambda _: None)
        await asked(server.url).reply(HELLO)
        assert (server.connections, len(server.requests)) == (1, 3)


async def test_a_stream_that_is_never_closed_ends_with_its_answer() -> None:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + chunked(REALISTIC))

    async with serving(answer) as server:
        reply = await asked(server.url).reply(HELLO, on_text=lambda _: None)
        assert len(reply.message.calls) == 2


def test_connections_are_closed_when_their_loop_ends_and_nobody_is_warned() -> None:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(whole(JSON))

    async def program() -> Any:
        async with serving(answer) as server:
            await asyncio.gather(*(asked(server.url).reply(HELLO) for _ in range(3)))
            return (await clients.client_of(server.url),)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = [asyncio.run(program())[0] for _ in range(2)]  # a loop after a loop, each with a client of its own
        gc.collect()
    assert found[0] is not found[1]
    assert all(one.is_closed for one in found)
    assert [loop for loop in clients._CLIENTS if loop.is_closed()] == []


async def test_models_of_one_server_share_a_client_and_those_of_two_do_not() -> None:
    one = await clients.client_of("http://127.0.0.1:1/v1/chat/completions")
    assert await clients.client_of("http://127.0.0.1:1/other") is one
    assert await clients.client_of("http://127.0.0.1:2/v1") is not one


async def test_no_cookie_of_one_call_is_sent_with_the_next() -> None:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(whole(JSON, b"set-cookie: session=of-the-first; path=/"))

    async with serving(answer) as server:
        for _ in range(2):
            await asked(server.url).reply(HELLO)
        assert b"cookie:" not in server.requests[1].lower()


# -- time-outs


async def test_a_server_that_never_answers_is_given_up_after_the_whole_time() -> None:
    async def answer(_: asyncio.StreamWriter) -> None:
        await NEVER().wait()

    async with serving(answer) as server:
        with pytest.raises(ModelUnavailable, match="did not answer within 50ms"):
            await asked(server.url, timeout="50ms").reply(HELLO)


async def test_a_stream_that_falls_silent_is_given_up_after_that_silence() -> None:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + chunked(REALISTIC[:700]))
        await writer.drain()
        await NEVER().wait()

    shown: list[str] = []
    async with serving(answer) as server:
        with pytest.raises(ModelUnavailable, match="said nothing for 500ms"):
            await asked(server.url, read_timeout="500ms").reply(HELLO, on_text=shown.append)
    assert shown


async def test_a_stream_that_only_says_that_it_lives_is_given_up_after_the_whole_time() -> None:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED)
        while not writer.is_closing():
            writer.write(chunked(b": waiting\n\n"))
            await writer.drain()

    async with serving(answer) as server:
        with pytest.raises(ModelUnavailable, match="did not answer within 500ms"):
            await asked(server.url, timeout="500ms").reply(HELLO, on_text=lambda _: None)
        await server.gone.wait()


async def test_nobody_listening_is_told_at_once() -> None:
    async with serving(lambda _: NEVER().wait()) as server:  # type: ignore[arg-type, return-value]  never called
        url = server.url
    with pytest.raises(ModelUnavailable, match="local:m could not be reached: "):
        await asked(url).reply(HELLO)


async def test_a_call_that_is_cancelled_lets_go_of_its_connection() -> None:
    begun = asyncio.Event()

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + chunked(REALISTIC[:700]))
        begun.set()

    async with serving(answer) as server:
        calling = asyncio.create_task(asked(server.url).reply(HELLO, on_text=lambda _: None))
        await begun.wait()
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        await asyncio.wait_for(server.gone.wait(), 60)


# -- cut connections

CUTS = [*range(0, len(REALISTIC), 53), len(REALISTIC) - 2, len(REALISTIC) - 1]


@pytest.mark.parametrize("framing", ["chunked", "closed"])
async def test_an_answer_whose_connection_is_cut_is_none(framing: str) -> None:
    """Chunks end without the last, empty one; a stream that ends by being closed looks as if it had ended."""
    offsets = iter(CUTS)

    async def answer(writer: asyncio.StreamWriter) -> None:
        begun = REALISTIC[: next(offsets)]
        writer.write(CLOSED + begun if framing == "closed" else CHUNKED + (chunked(begun) if begun else b""))
        writer.close()

    async with serving(answer) as server:
        for _ in CUTS:
            with pytest.raises(ModelAnswerCutOff, match="nothing of it was used"):
                await asked(server.url).reply(HELLO, on_text=lambda _: None)


async def test_an_answer_in_one_piece_that_is_cut_is_none() -> None:
    offsets = iter(range(0, len(JSON), 11))

    async def answer(writer: asyncio.StreamWriter) -> None:
        content = whole(JSON)
        writer.write(content[: len(content) - len(JSON) + next(offsets)])
        writer.close()

    async with serving(answer) as server:
        for _ in range(0, len(JSON), 11):
            with pytest.raises(ModelAnswerCutOff, match="broke off"):
                await asked(server.url).reply(HELLO)


async def test_a_connection_cut_before_any_answer_is_no_cut_answer() -> None:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with serving(answer) as server:
        with pytest.raises(ModelUnavailable, match="before it answered"):
            await asked(server.url).reply(HELLO)


# -- proxies


async def test_the_environments_proxy_is_used_but_not_for_this_very_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(whole(JSON))

    for name in ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    async with serving(answer) as proxy, serving(answer) as own:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.removesuffix("/v1"))
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
        await asked("http://models.example/v1").reply(HELLO)
        await asked(own.url).reply(HELLO)
        assert proxy.requests[0].startswith(b"POST http://models.example/v1/chat/completions HTTP/1.1")
        assert (len(proxy.requests), len(own.requests)) == (1, 1)


@pytest.mark.parametrize("proxy", ["socks9://me:secret@proxy:1", "ftp://proxy:1"])
async def test_a_proxy_that_cannot_be_used_is_told_without_its_password(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, proxy)
    with pytest.raises(ModelRequestRefused, match="a proxy of HTTPS_PROXY, HTTP_PROXY or ALL_PROXY") as refused:
        await asked("http://models.example/v1").reply(HELLO)
    assert "secret" not in str(refused.value)
