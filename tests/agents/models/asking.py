"""Models over a transport of the test's own, and what is asked of them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import httpx

from agentflow.agents import Message, Request, Role
from agentflow.agents.models import model
from agentflow.agents.models.base import ChatModel

KEY = "sk-live-0123456789abcdef"
HELLO = Request(messages=[Message(role=Role.USER, text="Hello there, what is the weather in Paris?")])
ANSWER: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "gpt-5-mini-2025-08-07",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Sunny."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200},
}


@dataclass
class Line:
    """Answers every request with the next of its answers, and keeps what it was asked."""

    answers: list[httpx.Response | Exception]
    requests: list[httpx.Request] = field(default_factory=list)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(one.content) for one in self.requests]

    def model(self, name: str = "openai:gpt-5-mini", **options: Any) -> ChatModel:
        client = httpx.AsyncClient(transport=httpx.MockTransport(self))
        return model(name, **{"key": KEY, "http": client} | options)


def answering(answer: Any = ANSWER, **response: Any) -> Line:
    """A line with one answer of JSON."""
    return Line([httpx.Response(200, json=answer, **response)])


def events(*chunks: dict[str, Any] | str) -> bytes:
    """A stream of chunks, as providers write it."""
    return b"".join(
        b"data: " + (one if isinstance(one, str) else json.dumps(one, ensure_ascii=False)).encode() + b"\n\n"
        for one in chunks
    )


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    """One chunk of a stream."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "gpt-5-mini", "choices": [choice]} | more


def usage(**counts: Any) -> dict[str, Any]:
    """The chunk that tells what was used."""
    return {"id": "chatcmpl-1", "model": "gpt-5-mini", "choices": [], "usage": counts}


def piece(index: int, **function: Any) -> dict[str, Any]:
    """A piece of a tool call, as it is streamed."""
    named = {key: function.pop(key) for key in ("id", "type") if key in function}
    return {"index": index, **named, "function": function}


REALISTIC = events(
    {"id": "", "object": "", "model": "", "choices": [], "prompt_filter_results": [{"prompt_index": 0}]},
    chunk({"role": "assistant", "content": "", "refusal": None}),
    chunk({"content": "Let me look — "}),
    chunk({"content": "1 s 🌦"}),
    chunk({"tool_calls": [piece(0, id="call_a", type="function", name="weather", arguments="")]}),
    chunk({"tool_calls": [piece(0, arguments='{"city": "Pa')]}),
    chunk({"tool_calls": [piece(1, id="call_b", type="function", name="weather", arguments="")]}),
    chunk({"tool_calls": [piece(0, arguments='ris"}'), piece(1, arguments='{"city":')]}),
    chunk({"tool_calls": [piece(1, arguments=' "Ōsaka"}')]}),
    chunk({}, "tool_calls"),
    usage(prompt_tokens=812, completion_tokens=57, total_tokens=869, prompt_tokens_details={"cached_tokens": 512}),
    "[DONE]",
)
