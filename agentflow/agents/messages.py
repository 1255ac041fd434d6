"""The one neutral shape of a conversation with a language model; each wire translates it to a provider's own.

Messages are immutable. Each is stored once, where it came to be: a reply with the model call that gave it, a tool's
answer with the tool call. What a model is asked is put together from them and never stored as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence  # noqa: TC003  read when a reply is stored
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from agentflow.usage import Usage  # noqa: TC001  read when a reply is stored


class Role(StrEnum):
    """Who says it."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class Finish(StrEnum):
    """Why the model stopped."""

    STOP = "stop"
    TOOL_CALLS = "tool_calls"
    LENGTH = "length"
    REFUSAL = "refusal"
    FILTERED = "filtered"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call the model asks for. `arguments` is the very text it wrote: to be JSON, which nobody has checked yet."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A picture for the model: an `https:` address, or its bytes as Base64 in `content` with their `media_type`."""

    url: str = ""
    content: str = ""
    media_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What a provider wants handed back unread with the next request: reasoning items, signatures. JSON text."""

    provider: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message. `calls` are of an assistant; `call_id` and `is_error` of a tool's answer, whose text is `text`."""

    role: Role
    text: str = ""
    images: Sequence[Image] = ()
    calls: Sequence[ToolCall] = ()
    call_id: str = ""
    is_error: bool = False
    refusal: str = ""
    carried: Carried | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """A tool as the model is told of it. `schema` is the JSON Schema (an object) of its arguments."""

    name: str
    description: str
    schema: Mapping[str, Any]
    kept: Mapping[str, str] = field(default_factory=dict)
    """What a source of tools wants to know of it again in a replay: recorded with it, not told to the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputSpec:
    """What the final answer is to be: JSON of this schema, under this name."""

    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """How a model is to answer; None leaves it to the provider. `extra` goes into the request's body as it is."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: Sequence[str] = ()
    seed: int | None = None
    parallel_tool_calls: bool | None = None
    tool_choice: str | None = None
    """`auto`, `none`, `required`, or the name of one tool."""
    reasoning_effort: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a model is asked: the conversation so far, the tools it may call, and what the answer is to be."""

    messages: Sequence[Message]
    tools: Sequence[ToolSpec] = ()
    output: OutputSpec | None = None
    settings: ModelSettings = field(default_factory=ModelSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a model answered. `response_id` is the provider's own name for it, for its support to find it by."""

    message: Message
    finish: Finish
    usage: Usage
    model: str = ""
    """The model that answered, as the provider names it; it may be more exact than what was asked for."""
    response_id: str = ""
