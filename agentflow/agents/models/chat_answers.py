"""What comes back over Chat Completions, whole or in chunks, read with the liberties that servers take with it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from agentflow.agents.messages import Carried, Finish, Message, Reply, Role, ToolCall
from agentflow.agents.models.problems import of_status, tidy, words_in
from agentflow.errors import ModelAnswerCutOff, ModelError, ModelUnavailable
from agentflow.usage import Usage

CARRIED: Final = ("reasoning_content", "reasoning_details")
"""Fields of a message that the providers who send them want back while their model calls tools."""
ENDS: Final = {
    "length": Finish.LENGTH,
    "model_length": Finish.LENGTH,
    "max_tokens": Finish.LENGTH,
    "content_filter": Finish.FILTERED,
    "refusal": Finish.REFUSAL,
}
BROKEN: Final = frozenset({"error", "abort", "cancelled", "insufficient_system_resource"})
"""Reasons to finish that say that the server gave up."""
STATUSES: Final = {
    "rate_limit": 429,
    "insufficient_quota": 429,
    "invalid_request": 400,
    "context_length": 400,
    "authentication": 401,
    "permission": 403,
    "not_found": 404,
}
"""The statuses of errors that are reported by a name, where an answer was to be."""


@dataclass(slots=True, kw_only=True)
class CallSoFar:
    """A tool call as far as it has come."""

    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class AnswerSoFar:
    """An answer as far as it has come; `to_reply` is for one that has come to its end."""

    name: str
    provider: str
    text: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    calls: list[CallSoFar] = field(default_factory=list)
    kept: dict[str, Any] = field(default_factory=dict)
    finish: str | None = None
    usage: Any = None
    model: str = ""
    id: str = ""

    def heard(self, said: dict[str, Any]) -> None:
        """Take what an answer and each chunk of one say beside the choices."""
        self.model = self.model or _text(said.get("model"))
        self.id = self.id or _text(said.get("id"))
        groq = said.get("x_groq")
        usage = said.get("usage") or (groq.get("usage") if isinstance(groq, dict) else None)
        self.usage = usage if isinstance(usage, dict) else self.usage

    def to_reply(self) -> Reply:
        """The reply. Of an answer that ended early only whole calls are taken. Raises `ModelUnavailable`."""
        if self.finish in BROKEN:
            raise ModelUnavailable(f"{self.name} gave up in the middle of its answer: {self.finish}", model=self.name)
        early = ENDS.get(self.finish or "")
        found = [one for one in self.calls if early is None or _is_object("".join(one.arguments))]
        calls = [_call(one, place, self.id) for place, one in enumerate(found)]
        refusal = joined(self.refusal)
        finish = early or (Finish.REFUSAL if refusal else Finish.TOOL_CALLS if calls else Finish.STOP)
        message = Message(
            role=Role.ASSISTANT,
            text=joined(self.text),
            calls=calls,
            refusal=refusal,
            carried=self._carried(found),
        )
        return Reply(
            message=message, finish=finish, usage=usage_of(self.usage, self.name), model=self.model, response_id=self.id
        )

    def _carried(self, calls: list[CallSoFar]) -> Carried | None:
        extras = {str(place): one.extra for place, one in enumerate(calls) if one.extra}
        if not calls or not (self.kept or extras):
            return None
        kept = {"message": self.kept, "calls": extras}
        return Carried(provider=self.provider, content=json.dumps(kept, ensure_ascii=False, separators=(",", ":")))


def reply_of(answer: Any, *, name: str, provider: str) -> Reply:
    """The reply in a whole answer. Raises a `ModelError` for what is none."""
    if isinstance(answer, dict) and answer.get("error"):
        raise failure(answer, name)
    choice = first_choice(answer)
    message = choice.get("message") if choice else None
    if choice is None or not isinstance(message, dict):
        raise ModelAnswerCutOff(f"{name} answered with what is no answer of Chat Completions", model=name)
    found = AnswerSoFar(name=name, provider=provider, finish=_text(choice.get("finish_reason")))
    found.heard(answer)
    found.text.append(text_of(message.get("content")))
    found.refusal.append(_text(message.get("refusal")))
    found.kept = {key: message[key] for key in CARRIED if message.get(key)}
    found.calls = [_whole_call(one, name) for one in calls_in(message, name)]
    return found.to_reply()


def first_choice(answer: Any) -> dict[str, Any] | None:
    """The first of the answer's choices; others were not asked for."""
    choices = answer.get("choices") if isinstance(answer, dict) else None
    found = [one for one in choices if isinstance(one, dict)] if isinstance(choices, list) else []
    return next((one for one in found if not one.get("index")), None)


def failure(said: Any, name: str) -> ModelError:
    """The error that is reported where an answer was to be: that of its status, if it has one."""
    error = said.get("error") if isinstance(said, dict) else None
    words = tidy(words_in(said))
    status = _status(error) if isinstance(error, dict) else None
    if status is not None:
        return of_status(status, words, model=name)
    return ModelUnavailable(f"{name} reported an error where its answer was to be: {words or 'no words'}", model=name)


def _status(error: dict[str, Any]) -> int | None:
    code = str(error.get("code"))
    if re.fullmatch("[45][0-9][0-9]", code):
        return int(code)
    named = f"{code} {error.get('type')}"
    return next((status for part, status in STATUSES.items() if part in named), None)


def calls_in(message: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The calls, or pieces of calls, in a message. Raises `ModelAnswerCutOff` for what are none: none may get lost."""
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list) or not all(isinstance(one, dict) for one in calls):
        raise ModelAnswerCutOff(f"{name} sent tool calls that are none; nothing of the answer was used", model=name)
    return calls


def text_of(content: Any) -> str:
    """The text in a content, be it one or a list of parts; thoughts among them are no part of the answer."""
    if isinstance(content, list):
        return "".join(_text(one.get("text")) for one in content if isinstance(one, dict) and one.get("type") == "text")
    return _text(content)


def arguments_of(said: Any) -> str:
    """The arguments as text; some servers send them as the object itself."""
    return said if isinstance(said, str) else "" if said is None else json.dumps(said, ensure_ascii=False)


def joined(pieces: list[str]) -> str:
    """The pieces as one text. A character may have been cut in two; a half without its other is replaced."""
    whole = "".join(pieces)
    return whole if whole.isascii() else whole.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def usage_of(said: Any, name: str) -> Usage:
    """What was used. Tokens that are in the total and are called neither input nor output were thoughts: output."""
    said = said if isinstance(said, dict) else {}
    taken = _count(said, "prompt_tokens")
    thought = _count(said, "completion_tokens_details", "reasoning_tokens")
    cached = _count(said, "prompt_tokens_details", "cached_tokens") or _count(said, "prompt_cache_hit_tokens")
    return Usage(
        model=name,
        input_tokens=taken,
        output_tokens=max(_count(said, "completion_tokens"), _count(said, "total_tokens") - taken),
        cached_tokens=min(cached, taken),
        reasoning_tokens=thought,
        cost=_charged(said.get("cost")),
    )


def _whole_call(said: dict[str, Any], name: str) -> CallSoFar:
    function = said.get("function")
    if not isinstance(function, dict) or not _text(function.get("name")):
        raise ModelAnswerCutOff(f"{name} called a tool without naming it; nothing of the answer was used", model=name)
    extra = {"extra_content": said["extra_content"]} if said.get("extra_content") else {}
    arguments = arguments_of(function.get("arguments"))
    return CallSoFar(id=_text(said.get("id")), name=function["name"], arguments=[arguments], extra=extra)


def _call(call: CallSoFar, place: int, response_id: str) -> ToolCall:
    arguments = joined(call.arguments)
    return ToolCall(
        id=call.id or f"call_{place}_{response_id}", name=call.name, arguments=arguments if arguments.strip() else "{}"
    )


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _text(said: Any) -> str:
    return said if isinstance(said, str) else ""


def _count(said: Any, *path: str) -> int:
    for key in path:
        said = said.get(key) if isinstance(said, dict) else None
    return said if isinstance(said, int) and not isinstance(said, bool) and said > 0 else 0


def _charged(said: Any) -> Decimal | None:
    """What a gateway says it charged, in dollars."""
    if isinstance(said, bool) or not isinstance(said, int | float | str):
        return None
    try:
        cost = Decimal(str(said))
    except InvalidOperation:
        return None
    return cost if cost.is_finite() and cost >= 0 else None
