"""The stream of OpenAI's Responses API: events that tell of the answer, and at the end the answer itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentflow.agents.models.problems import tidy, words_in
from agentflow.agents.models.reading import object_in
from agentflow.errors import ModelAnswerCutOff, ModelError, ModelRateLimited, ModelRequestRefused, ModelUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentflow.agents.messages import Reply

PASSING: Final = ("server", "timeout", "overloaded", "unavailable", "internal", "slow_down")
"""What is in the codes of failures that have nothing to do with the request."""


def failure(error: Any, name: str) -> ModelError:
    """The error that the provider reports in a stream, or in an answer of status 200."""
    code = str(error.get("code") or "") if isinstance(error, dict) else ""
    said = ": ".join(filter(None, [code, tidy(words_in(error))]))
    message = f"{name} reported an error where its answer was to be: {said or 'no words'}"
    if "rate_limit" in code or code == "insufficient_quota":
        return ModelRateLimited(message, model=name)
    if not code or any(word in code for word in PASSING):
        return ModelUnavailable(message, model=name)
    return ModelRequestRefused(message, model=name)


class ResponsesAssembler:
    """Shows the text as it comes; the answer itself is the one that the provider gives whole in its last event."""

    def __init__(self, name: str, read: Callable[..., Reply]) -> None:
        self._name = name
        self._read = read
        self._items: list[Any] = []
        self._answer: Any = None

    @property
    def ended(self) -> bool:
        """Whether `response.completed` or `response.incomplete` has come."""
        return self._answer is not None

    def feed(self, event: str, data: str) -> str:
        """Take one event. What this wire does not know of is passed over: the provider adds kinds of events."""
        if data.strip() == "[DONE]":
            return ""
        said = object_in(data, name=self._name)
        match said.get("type", event):
            case "response.output_text.delta":
                return str(said.get("delta") or "")
            case "response.output_item.done":
                self._items.append(said.get("item"))
            case "response.completed" | "response.incomplete":
                self._answer = said.get("response")
            case "response.failed":
                answer = said.get("response")
                raise failure(answer.get("error") if isinstance(answer, dict) else None, self._name)
            case "error":
                raise failure(said.get("error") or said, self._name)
            case _:
                pass
        return ""

    def reply(self) -> Reply:
        """The whole answer."""
        if self._answer is None:
            raise ModelAnswerCutOff(
                f"{self._name}: the stream ended before the answer did; nothing of it was used", model=self._name
            )
        answer = self._answer
        if isinstance(answer, dict) and not answer.get("output") and self._items:
            answer = answer | {"output": self._items}
        return self._read(answer, name=self._name)
