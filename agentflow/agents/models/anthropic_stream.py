"""The stream of Anthropic's Messages API: blocks that begin, grow and end, and an ending that says why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentflow.agents.models.problems import tidy, words_in
from agentflow.agents.models.reading import object_in, value_in
from agentflow.errors import (
    ModelAnswerCutOff,
    ModelError,
    ModelNotAuthorized,
    ModelRateLimited,
    ModelRequestRefused,
    ModelUnavailable,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentflow.agents.messages import Reply

FAILURES: Final[dict[str, tuple[type[ModelError], int]]] = {
    "invalid_request_error": (ModelRequestRefused, 400),
    "authentication_error": (ModelNotAuthorized, 401),
    "billing_error": (ModelNotAuthorized, 402),
    "permission_error": (ModelNotAuthorized, 403),
    "not_found_error": (ModelRequestRefused, 404),
    "request_too_large": (ModelRequestRefused, 413),
    "rate_limit_error": (ModelRateLimited, 429),
    "api_error": (ModelUnavailable, 500),
    "timeout_error": (ModelUnavailable, 504),
    "overloaded_error": (ModelUnavailable, 529),
}
"""The errors the provider names, and the status each has where it comes as an answer of its own."""
GROWING: Final = {"text_delta": ("text", "text"), "thinking_delta": ("thinking", "thinking")} | {
    "signature_delta": ("signature", "signature"),
    "input_json_delta": ("partial_json", "written"),
}
"""What a delta brings, and what of the block it goes to the end of."""


def failure(error: Any, name: str) -> ModelError:
    """The error that the provider reports in a stream, or in an answer of status 200."""
    kind = str(error.get("type") or "") if isinstance(error, dict) else ""
    said = ": ".join(filter(None, [kind, tidy(words_in(error))]))
    cls, status = FAILURES.get(kind, (ModelUnavailable, None))
    message = f"{name} reported an error where its answer was to be: {said or 'no words'}"
    return cls(message, model=name, status=status)


class AnthropicAssembler:
    """Grows the message as its events come. A tool's call is one only when its block has ended, and the stream."""

    def __init__(self, name: str, read: Callable[..., Reply]) -> None:
        self._name = name
        self._read = read
        self._answer: dict[str, Any] | None = None
        self._blocks: dict[int, dict[str, Any]] = {}
        self._open: set[int] = set()
        self._ended = False

    @property
    def ended(self) -> bool:
        """Whether `message_stop` has come."""
        return self._ended

    def feed(self, event: str, data: str) -> str:
        """Take one event. What this wire does not know of is passed over: the provider adds kinds of events."""
        said = object_in(data, name=self._name)
        match said.get("type", event):
            case "error":
                raise failure(said.get("error"), self._name)
            case "message_start":
                self._answer = dict(self._part(said, "message"))
            case "content_block_start":
                return self._begin(said)
            case "content_block_delta":
                return self._grow(said)
            case "content_block_stop":
                self._end(said)
            case "message_delta":
                self._conclude(said)
            case "message_stop":
                self._ended = True
            case _:
                pass
        return ""

    def reply(self) -> Reply:
        """The whole answer."""
        if not self._ended or self._answer is None or self._open:
            raise ModelAnswerCutOff(
                f"{self._name}: the stream ended before the answer did; nothing of it was used", model=self._name
            )
        blocks = [self._blocks[index] for index in sorted(self._blocks)]
        return self._read(self._answer | {"content": blocks}, name=self._name)

    def _begin(self, said: dict[str, Any]) -> str:
        block = dict(self._part(said, "content_block"))
        if block.get("type") in {"tool_use", "server_tool_use"}:
            block["written"] = ""
        index = self._index(said)
        self._blocks[index] = block
        self._open.add(index)
        return str(block.get("text") or "") if block.get("type") == "text" else ""

    def _grow(self, said: dict[str, Any]) -> str:
        index, delta = self._index(said), self._part(said, "delta")
        if index not in self._open:
            raise self._no_event(f"a delta of block {index}, which is not open")
        block, kind = self._blocks[index], delta.get("type")
        if kind == "citations_delta":
            block["citations"] = [*(block.get("citations") or []), delta.get("citation")]
        elif kind in GROWING:
            source, target = GROWING[kind]
            piece = delta.get(source) or ""
            if not isinstance(piece, str):
                raise self._no_event(f"a {kind} that is no text")
            block[target] = (block.get(target) or "") + piece
            return piece if kind == "text_delta" else ""
        return ""

    def _end(self, said: dict[str, Any]) -> None:
        index = self._index(said)
        if index not in self._open:
            raise self._no_event(f"the end of block {index}, which is not open")
        self._open.remove(index)
        block = self._blocks[index]
        written = block.pop("written", "")
        if written:
            # A call's arguments stay the text that the model wrote; what ran at the provider goes back as it came.
            block["input"] = written if block["type"] == "tool_use" else value_in(written, name=self._name)

    def _conclude(self, said: dict[str, Any]) -> None:
        """Why it ended, and the counts so far: those not told again stay as `message_start` told them."""
        if self._answer is None:
            raise self._no_event("a message_delta before the message")
        delta = self._part(said, "delta")
        self._answer |= {key: value for key, value in delta.items() if value is not None}
        counts = {key: value for key, value in (said.get("usage") or {}).items() if value is not None}
        self._answer["usage"] = (self._answer.get("usage") or {}) | counts

    def _index(self, said: dict[str, Any]) -> int:
        index = said.get("index")
        if not isinstance(index, int):
            raise self._no_event("a block without an index")
        return index

    def _part(self, said: dict[str, Any], key: str) -> dict[str, Any]:
        part = said.get(key)
        if not isinstance(part, dict):
            raise self._no_event(f"{said.get('type')} without {key}")
        return part

    def _no_event(self, what: str) -> ModelAnswerCutOff:
        return ModelAnswerCutOff(f"{self._name} sent {what}; nothing was used", model=self._name)
