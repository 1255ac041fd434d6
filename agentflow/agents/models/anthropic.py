"""Anthropic's Messages API. What the model thought, and its signature, goes back with the next request.

`seed` has no place in it and is left out. Protocol: platform.claude.com/docs/en/api/messages.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from agentflow.agents.messages import Finish, Message, Reply, Role
from agentflow.agents.models.anthropic_stream import AnthropicAssembler, failure
from agentflow.agents.models.carrying import Piece, carry, pieces_of, without_last
from agentflow.agents.models.chat_answers import joined
from agentflow.agents.models.problems import words_in
from agentflow.agents.models.reading import call_of, count, usual_id
from agentflow.agents.models.schemas import format_schema
from agentflow.errors import ModelAnswerCutOff
from agentflow.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from agentflow.agents.messages import Image, ModelSettings, OutputSpec, Request, ToolSpec

VERSION: Final = "2023-06-01"
MAX_TOKENS: Final = 16_000
"""The API wants a limit with each request; this is within what every model since 2025 can say."""
THOUGHTS: Final = frozenset({"thinking", "redacted_thinking"})
FORMS: Final = {"auto": "auto", "none": "none", "required": "any"}
FINISHES: Final = {
    "end_turn": Finish.STOP,
    "stop_sequence": Finish.STOP,
    "tool_use": Finish.TOOL_CALLS,
    "max_tokens": Finish.LENGTH,
    "model_context_window_exceeded": Finish.LENGTH,
    # A tool that runs at the provider has come to the limit of its rounds: what there is is not the whole answer.
    "pause_turn": Finish.LENGTH,
    "refusal": Finish.REFUSAL,
}
WHOLE: Final = frozenset({"end_turn", "tool_use"})
"""Why an answer ends whose calls are whole; a sequence to stop at may stand in the middle of one."""
UNSAID: Final = "the model declined to answer"


@dataclass(frozen=True, slots=True)
class Anthropic:
    """The wire of `/messages`. What `provider` gave to be handed back is handed to no other."""

    provider: str = "anthropic"
    path: str = "/messages"

    def headers(self, key: str) -> dict[str, str]:
        """The key, and the version of the protocol."""
        return {"anthropic-version": VERSION} | ({"x-api-key": key} if key else {})

    def body(self, request: Request, model: str, *, stream: bool) -> dict[str, Any]:
        """What to send. The system messages at the beginning stand apart; a later one is told as the user's."""
        messages = list(request.messages)
        system: list[str] = []
        while messages and messages[0].role is Role.SYSTEM:
            system.append(messages.pop(0).text)
        body: dict[str, Any] = {"model": model, "max_tokens": MAX_TOKENS, "messages": list(self._turns(messages))}
        config: dict[str, Any] = {}
        if request.settings.reasoning_effort is not None:
            config["effort"] = request.settings.reasoning_effort
        if request.output is not None:
            schema = format_schema(request.output.schema)
            if schema is None:
                system.append(_in_words(request.output))
            else:
                config["format"] = {"type": "json_schema", "schema": schema}
        if system:
            body["system"] = "\n\n".join(system)
        if config:
            body["output_config"] = config
        if stream:
            body["stream"] = True
        return (
            body | _tools(request.tools, request.settings) | _settings(request.settings) | dict(request.settings.extra)
        )

    def _turns(self, messages: Sequence[Message]) -> Iterator[dict[str, Any]]:
        """The two sides in turn: all that is told between two answers of the model is one message of the user's."""
        for is_said, group in groupby(messages, lambda one: one.role is Role.ASSISTANT):
            if is_said:
                said = [{"role": "assistant", "content": _said(one, self.provider)} for one in group]
                yield from (turn for turn in said if turn["content"])
            else:
                content = _told(list(group))
                if content:
                    yield {"role": "user", "content": content}

    def reply(self, answer: Any, *, name: str) -> Reply:
        """The reply in a whole answer, or in one put together from a stream."""
        if isinstance(answer, dict) and answer.get("type") == "error":
            raise failure(answer.get("error"), name)
        if not isinstance(answer, dict) or not isinstance(answer.get("content"), list):
            raise ModelAnswerCutOff(f"{name} answered with what is no answer of the Messages API", model=name)
        stop = str(answer.get("stop_reason"))
        finish = FINISHES.get(stop)
        if finish is None:
            raise ModelAnswerCutOff(f"{name}: the answer ended with {answer.get('stop_reason')!r}", model=name)
        try:
            pieces = list(_pieces(answer["content"], whole=stop in WHOLE))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ModelAnswerCutOff(
                f"{name} answered with a block that is not whole; nothing was used", model=name
            ) from error
        has_calls = any(piece.call for piece in pieces)
        if finish is Finish.TOOL_CALLS and not has_calls:
            raise ModelAnswerCutOff(f"{name}: the answer ended for a tool's call, and has none", model=name)
        return Reply(
            message=self._refused(answer, pieces) if finish is Finish.REFUSAL else self._message(pieces),
            finish=Finish.TOOL_CALLS if has_calls else finish,
            usage=_usage(answer.get("usage"), name),
            model=str(answer.get("model") or ""),
            response_id=str(answer.get("id") or ""),
        )

    def _message(self, pieces: Sequence[Piece]) -> Message:
        return Message(
            role=Role.ASSISTANT,
            text="".join(piece.text for piece in pieces),
            calls=[piece.call for piece in pieces if piece.call],
            carried=carry(pieces, self.provider),
        )

    def _refused(self, answer: dict[str, Any], pieces: Sequence[Piece]) -> Message:
        """A refusal: what was said before it does not count, and is its text where no other explanation is given."""
        details = answer.get("stop_details")
        why = details.get("explanation") if isinstance(details, dict) else None
        said = "".join(piece.text for piece in pieces)
        return Message(role=Role.ASSISTANT, refusal=str(why or said or UNSAID))

    def assembler(self, *, name: str) -> AnthropicAssembler:
        """Puts a stream of blocks together."""
        return AnthropicAssembler(name, self.reply)

    def problem(self, status: int, body: Any) -> str:  # noqa: ARG002  the wire's signature
        """The provider's words."""
        return words_in(body)


# -- what is sent


def _told(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The answers of tools first, as the API wants them right after their calls; then what else was said."""
    answers = [_answer(one) for one in messages if one.role is Role.TOOL]
    return answers + [block for one in messages if one.role is not Role.TOOL for block in _content(one)]


def _answer(message: Message) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "tool_result", "tool_use_id": usual_id(message.call_id)}
    if message.images:
        block["content"] = _content(message)
    elif message.text:
        block["content"] = message.text
    return block | ({"is_error": True} if message.is_error else {})


def _content(message: Message) -> list[dict[str, Any]]:
    """Pictures, then the text. An empty text is no block: the API refuses one."""
    blocks = [{"type": "image", "source": _source(one)} for one in message.images]
    return blocks + ([{"type": "text", "text": message.text}] if message.text.strip() else [])


def _source(image: Image) -> dict[str, str]:
    if image.url:
        return {"type": "url", "url": image.url}
    return {"type": "base64", "media_type": image.media_type, "data": image.content}


def _said(message: Message, provider: str) -> list[dict[str, Any]]:
    if message.refusal and not message.text:
        return [{"type": "text", "text": message.refusal}]
    return list(_blocks(without_last(pieces_of(message, provider), THOUGHTS)))


def _blocks(pieces: Iterable[Piece]) -> Iterator[dict[str, Any]]:
    for piece in pieces:
        if piece.own is not None:
            yield dict(piece.own)
        elif piece.call is not None:
            call = piece.call
            yield {"type": "tool_use", "id": usual_id(call.id), "name": call.name, "input": _input(call.arguments)}
        elif piece.text.strip():
            yield {"type": "text", "text": piece.text}


def _input(arguments: str) -> Any:
    """The arguments as the object the API wants; what is none is shown to the model as what it wrote."""
    try:
        said = json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        said = None
    return said if isinstance(said, dict) else {"INVALID_JSON": arguments}


def _in_words(output: OutputSpec) -> str:
    return f"Give the final answer as JSON alone, which fits this JSON Schema:\n{json.dumps(output.schema)}"


def _tools(tools: Sequence[ToolSpec], settings: ModelSettings) -> dict[str, Any]:
    if not tools:
        return {}
    said: dict[str, Any] = {
        "tools": [{"name": one.name, "description": one.description, "input_schema": one.schema} for one in tools]
    }
    choice: dict[str, Any] = {}
    if settings.tool_choice is not None:
        form = FORMS.get(settings.tool_choice)
        choice = {"type": form} if form else {"type": "tool", "name": settings.tool_choice}
    if settings.parallel_tool_calls is not None and choice.get("type") != "none":
        choice = {"type": "auto"} | choice | {"disable_parallel_tool_use": not settings.parallel_tool_calls}
    return said | ({"tool_choice": choice} if choice else {})


def _settings(settings: ModelSettings) -> dict[str, Any]:
    said = {
        "max_tokens": settings.max_tokens,
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "stop_sequences": list(settings.stop) or None,
    }
    return {key: value for key, value in said.items() if value is not None}


# -- what comes back


def _pieces(blocks: Sequence[dict[str, Any]], *, whole: bool) -> Iterator[Piece]:
    """The blocks in their order. No call is taken of an answer that ended early: one may be half."""
    for block in blocks:
        match block.get("type"):
            case "text":
                yield Piece(text=joined([block["text"]]))
            case "tool_use" if whole:
                yield Piece(call=call_of(block, "id", block["input"]))
            case "tool_use":
                pass
            case _:
                yield Piece(own=block)


def _usage(said: Any, name: str) -> Usage:
    """What went in is told in three parts: new, written to the cache, read from it."""
    read = count(said, "cache_read_input_tokens")
    return Usage(
        model=name,
        input_tokens=count(said, "input_tokens") + count(said, "cache_creation_input_tokens") + read,
        output_tokens=count(said, "output_tokens"),
        cached_tokens=read,
        reasoning_tokens=count(said, "output_tokens_details", "thinking_tokens"),
    )
