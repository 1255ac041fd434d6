"""OpenAI's Responses API: nothing is kept at the provider, and its encrypted reasoning goes back with each request.

`seed` and `stop` have no place in it and are left out. Protocol: platform.openai.com/docs/api-reference/responses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from agentflow.agents.messages import Finish, Message, Reply, Role
from agentflow.agents.models.carrying import Piece, carry, pieces_of, without_last
from agentflow.agents.models.chat_answers import joined
from agentflow.agents.models.chat_messages import name_of
from agentflow.agents.models.problems import words_in
from agentflow.agents.models.reading import call_of, count, usual_id
from agentflow.agents.models.responses_stream import ResponsesAssembler, failure
from agentflow.agents.models.schemas import output_schema
from agentflow.errors import ModelAnswerCutOff
from agentflow.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from agentflow.agents.messages import Image, ModelSettings, OutputSpec, Request, ToolSpec

ENCRYPTED: Final = "reasoning.encrypted_content"
REASONING: Final = frozenset({"reasoning"})
UNREASONING: Final = ("gpt-3", "gpt-4", "chatgpt-")
"""Models of these names refuse to be asked for reasoning."""
FORMS: Final = frozenset({"auto", "none", "required"})
ENDS: Final = {"max_output_tokens": Finish.LENGTH, "content_filter": Finish.FILTERED}


@dataclass(frozen=True, slots=True)
class Responses:
    """The wire of `/responses`. What `provider` gave to be handed back is handed to no other."""

    provider: str = "openai-responses"
    path: str = "/responses"

    def headers(self, key: str) -> dict[str, str]:
        """The key as a bearer token."""
        return {"Authorization": f"Bearer {key}"} if key else {}

    def body(self, request: Request, model: str, *, stream: bool) -> dict[str, Any]:
        """What to send. The system messages at the beginning are the instructions, later ones stay where they are."""
        messages = list(request.messages)
        instructions: list[str] = []
        while messages and messages[0].role is Role.SYSTEM:
            instructions.append(messages.pop(0).text)
        body: dict[str, Any] = {"model": model, "input": list(self._items(messages)), "store": False}
        if instructions:
            body["instructions"] = "\n\n".join(instructions)
        if not model.startswith(UNREASONING) and "-chat" not in model:
            body["include"] = [ENCRYPTED]
        if stream:
            body["stream"] = True
        if request.output is not None:
            body["text"] = {"format": _format(request.output)}
        return (
            body | _tools(request.tools, request.settings) | _settings(request.settings) | dict(request.settings.extra)
        )

    def _items(self, messages: Sequence[Message]) -> Iterator[dict[str, Any]]:
        for message in messages:
            if message.role is Role.ASSISTANT:
                yield from _said(message, self.provider)
            elif message.role is Role.TOOL:
                output: Any = _content(message) if message.images else message.text
                yield {"type": "function_call_output", "call_id": usual_id(message.call_id), "output": output}
            else:
                yield {"role": str(message.role), "content": _content(message) if message.images else message.text}

    def reply(self, answer: Any, *, name: str) -> Reply:
        """The reply in a whole answer, or in the one that ends a stream."""
        if not isinstance(answer, dict) or not isinstance(answer.get("output"), list):
            raise ModelAnswerCutOff(f"{name} answered with what is no answer of the Responses API", model=name)
        status = answer.get("status", "completed")
        if status == "failed" or answer.get("error"):
            raise failure(answer.get("error"), name)
        early = _finish(answer, status, name)
        try:
            message = self._message([item for item in answer["output"] if isinstance(item, dict)], whole=early is None)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ModelAnswerCutOff(
                f"{name} answered with an item that is not whole; nothing was used", model=name
            ) from error
        whole = Finish.REFUSAL if message.refusal else Finish.TOOL_CALLS if message.calls else Finish.STOP
        return Reply(
            message=message,
            finish=early or whole,
            usage=_usage(answer.get("usage"), name),
            model=str(answer.get("model") or ""),
            response_id=str(answer.get("id") or ""),
        )

    def _message(self, items: Sequence[dict[str, Any]], *, whole: bool) -> Message:
        pieces = _pieces(items, whole=whole)
        return Message(
            role=Role.ASSISTANT,
            text="".join(piece.text for piece in pieces),
            calls=[piece.call for piece in pieces if piece.call],
            refusal=_refusal(items),
            carried=carry(pieces, self.provider),
        )

    def assembler(self, *, name: str) -> ResponsesAssembler:
        """Puts a stream of `response.*` events together."""
        return ResponsesAssembler(name, self.reply)

    def problem(self, status: int, body: Any) -> str:  # noqa: ARG002  the wire's signature
        """The provider's words."""
        return words_in(body)


# -- what is sent


def _said(message: Message, provider: str) -> Iterator[dict[str, Any]]:
    if message.refusal and not message.text:
        yield {"role": "assistant", "content": message.refusal}
    for piece in without_last(pieces_of(message, provider), REASONING):
        if piece.own is not None:
            yield dict(piece.own)
        elif piece.call is not None:
            call = piece.call
            told = {"call_id": usual_id(call.id), "name": call.name, "arguments": call.arguments}
            yield {"type": "function_call"} | told | dict(piece.extra)
        elif piece.extra:
            content = [{"type": "output_text", "text": piece.text, "annotations": []}]
            yield {"type": "message", "role": "assistant", "content": content} | dict(piece.extra)
        else:
            yield {"role": "assistant", "content": piece.text}


def _content(message: Message) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = [{"type": "input_text", "text": message.text}] if message.text else []
    return parts + [{"type": "input_image", "detail": "auto", "image_url": _address(one)} for one in message.images]


def _address(image: Image) -> str:
    return image.url or f"data:{image.media_type};base64,{image.content}"


def _format(output: OutputSpec) -> dict[str, Any]:
    schema, strict = output_schema(output.schema)
    return {"type": "json_schema", "name": name_of(output.name), "schema": schema, "strict": strict}


def _tools(tools: Sequence[ToolSpec], settings: ModelSettings) -> dict[str, Any]:
    if not tools:
        return {}
    said: dict[str, Any] = {
        "tools": [
            # Left out, `strict` is true here, and schemas with optional arguments are then refused.
            {"type": "function", "name": one.name, "description": one.description, "parameters": one.schema}
            | {"strict": False}
            for one in tools
        ]
    }
    choice = settings.tool_choice
    if choice is not None:
        said["tool_choice"] = choice if choice in FORMS else {"type": "function", "name": choice}
    if settings.parallel_tool_calls is not None:
        said["parallel_tool_calls"] = settings.parallel_tool_calls
    return said


def _settings(settings: ModelSettings) -> dict[str, Any]:
    said = {
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "max_output_tokens": settings.max_tokens,
        "reasoning": {"effort": settings.reasoning_effort} if settings.reasoning_effort else None,
    }
    return {key: value for key, value in said.items() if value is not None}


# -- what comes back


def _finish(answer: dict[str, Any], status: Any, name: str) -> Finish | None:
    """Why an answer ended early; None for one that is whole."""
    if status == "completed":
        return None
    reason = (answer.get("incomplete_details") or {}).get("reason")
    if status == "incomplete" and reason in ENDS:
        return ENDS[reason]
    raise ModelAnswerCutOff(f"{name}: the answer is {status}, for {reason or 'no reason given'}", model=name)


def _pieces(items: Sequence[dict[str, Any]], *, whole: bool) -> list[Piece]:
    """The items in their order. Of an answer that ended early no call is taken: the last may be half of one."""
    is_thought = any(item.get("type") == "reasoning" for item in items)
    is_phased = any(item.get("phase") == "final_answer" for item in items)
    pieces: list[Piece] = []
    for item in items:
        kept = ("id", "status", "phase") if is_thought else ("phase",)
        extra = {key: item[key] for key in kept if item.get(key)}
        match item.get("type"):
            case "message" if is_phased and item.get("phase") != "final_answer":
                pieces.append(Piece(own=item))
            case "message":
                text = joined(_texts(item["content"], "output_text", "text"))
                if text:
                    pieces.append(Piece(text=text, extra=extra))
            case "function_call" if whole:
                if item.get("status") == "incomplete":
                    raise ValueError
                extra.pop("phase", None)
                pieces.append(Piece(call=call_of(item, "call_id", item["arguments"]), extra=extra))
            case "function_call":
                pass
            case _:
                pieces.append(Piece(own=item))
    return pieces


def _texts(content: Iterable[dict[str, Any]], kind: str, key: str) -> list[str]:
    return [part[key] for part in content if part.get("type") == kind]


def _refusal(items: Sequence[dict[str, Any]]) -> str:
    said = [item["content"] for item in items if item.get("type") == "message"]
    return joined([text for content in said for text in _texts(content, "refusal", "refusal")])


def _usage(said: Any, name: str) -> Usage:
    return Usage(
        model=name,
        input_tokens=count(said, "input_tokens"),
        output_tokens=count(said, "output_tokens"),
        cached_tokens=count(said, "input_tokens_details", "cached_tokens"),
        reasoning_tokens=count(said, "output_tokens_details", "reasoning_tokens"),
    )
