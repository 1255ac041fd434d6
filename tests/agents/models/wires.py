"""What the tests of the wires share: a conversation to send, and streams to cut."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from agentflow.agents.messages import Message, Request, Role, ToolCall, ToolSpec
from agentflow.agents.models.sse import EventReader
from agentflow.errors import ModelAnswerCutOff

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agentflow.agents.messages import Reply
    from agentflow.agents.models.wire import Wire

WEATHER = ToolSpec(
    name="weather",
    description="The weather in a city.",
    schema={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)


def system(text: str) -> Message:
    return Message(role=Role.SYSTEM, text=text)


def user(text: str) -> Message:
    return Message(role=Role.USER, text=text)


def assistant(text: str = "", *calls: ToolCall, **more: Any) -> Message:
    return Message(role=Role.ASSISTANT, text=text, calls=calls, **more)


def answered(call_id: str, text: str, **more: Any) -> Message:
    return Message(role=Role.TOOL, call_id=call_id, text=text, **more)


def call(call_id: str = "call_1", name: str = "weather", arguments: str = '{"city":"Paris"}') -> ToolCall:
    return ToolCall(id=call_id, name=name, arguments=arguments)


def asked(*messages: Message, **more: Any) -> Request:
    return Request(messages=messages or (user("Hello"),), **more)


def stream(events: Iterable[dict[str, Any]]) -> bytes:
    """The events as the providers send them, each under its own name."""
    return b"".join(f"event: {one['type']}\ndata: {json.dumps(one, ensure_ascii=False)}\n\n".encode() for one in events)


def heard(wire: Wire, sent: bytes, *, name: str = "p:m") -> tuple[Reply, list[str]]:
    """What comes of these bytes of a stream: the reply and the texts shown. Reads no further than the wire wants."""
    assembler, reader, shown = wire.assembler(name=name), EventReader(), []
    for event in reader.feed(sent):
        shown.append(assembler.feed(event.name, event.data))
        if assembler.ended:
            break
    return assembler.reply(), [text for text in shown if text]


def assert_every_cut_is_noticed(wire: Wire, events: Sequence[dict[str, Any]]) -> None:
    """A stream that ends at any byte before its last event is complete is no answer, and gives nothing."""
    sent = stream(events)
    whole, _ = heard(wire, sent)
    for length in range(len(sent) - 1):
        with pytest.raises(ModelAnswerCutOff):
            heard(wire, sent[:length])
    assert heard(wire, sent[:-1] + b"\n")[0] == whole
