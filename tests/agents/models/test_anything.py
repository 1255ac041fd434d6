"""Whatever JSON comes back is an answer or a `ModelError`, and never anything else."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agentflow.agents import Reply
from agentflow.agents.models import ChatCompletions
from agentflow.agents.models.problems import of_status, tidy
from agentflow.errors import ModelError

WIRE = ChatCompletions(provider="p")
KEYS = [
    *("id", "model", "choices", "message", "delta", "index", "finish_reason", "content", "refusal", "tool_calls"),
    *("function", "name", "arguments", "usage", "prompt_tokens", "completion_tokens_details", "reasoning_tokens"),
    *("error", "code", "type", "text", "reasoning_content", "reasoning_details", "extra_content", "x_groq", "cost"),
    *("total_tokens", "metadata", "raw", "detail", "loc", "msg"),
]
leaves = st.none() | st.booleans() | st.integers(-9, 10**20) | st.floats() | st.text(max_size=3)
anything = st.recursive(
    leaves | st.sampled_from(["stop", "length", "tool_calls", "error", "f", "429"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=25,
)
calls = st.lists(
    st.dictionaries(st.sampled_from(["index", "id", "function", "extra_content"]), anything, max_size=4), max_size=3
)
said = st.fixed_dictionaries({}, optional={"content": anything, "refusal": anything, "tool_calls": calls | anything})


def answered(said: Any, part: str) -> dict[str, Any]:
    return {"choices": [{part: said, "finish_reason": "stop"}]}


@settings(max_examples=100)
@given(st.one_of(anything, said.map(lambda one: answered(one, "message"))))
def test_any_answer_is_a_reply_or_an_error_of_ours(answer: Any) -> None:
    try:
        assert isinstance(WIRE.reply(answer, name="p:m"), Reply)
    except ModelError as error:
        assert error.model == "p:m"  # noqa: PT017  either way is right


@settings(max_examples=100)
@given(st.lists(st.one_of(anything, said.map(lambda one: answered(one, "delta"))), max_size=4))
def test_any_stream_is_a_reply_or_an_error_of_ours(chunks: list[Any]) -> None:
    assembler = WIRE.assembler(name="p:m")
    try:
        shown = [assembler.feed("message", json.dumps(one)) for one in chunks]
        assembler.feed("message", "[DONE]")
        reply = assembler.reply()
        assert reply.message.text.startswith("".join(shown))
        json.dumps(reply.message.text).encode()
    except ModelError as error:
        assert error.model == "p:m"  # noqa: PT017  either way is right


@given(st.integers(300, 599), anything)
def test_any_body_of_an_error_has_words_or_none(status: int, body: Any) -> None:
    error = of_status(status, tidy(WIRE.problem(status, body)), model="p:m")
    assert len(str(error)) < 700
    assert str(error).isprintable()
