"""Recorded values as they are found: of any shape, cut, or written by another release. Nothing here raises."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from agentflow.conversation.records import Answer, ToolTold, Wanted
from agentflow.errors import UndecodablePayload
from agentflow.failures import Failure
from agentflow.payloads import readable
from agentflow.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping


def value_of(text: str | None) -> Any:
    """A stored payload as plain JSON."""
    return None if text is None else readable(text)


def object_of(value: Any) -> Mapping[str, Any]:
    """The value, if it is a JSON object; else an empty one."""
    return value if isinstance(value, dict) else {}


def list_of(value: Any) -> list[Any]:
    """The value, if it is a JSON array; else an empty one."""
    return value if isinstance(value, list) else []


def first_of(text: str | None) -> Mapping[str, Any]:
    """The first argument of a recorded call, where that is an object. Arguments are kept as previews, without tags."""
    try:
        given = None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if isinstance(given, dict):
        given = given.get("args")
    return object_of(next(iter(list_of(given)), None))


def text_of(value: Any) -> str:
    """A text as it is, the beginning of one that was cut, anything else as JSON; nothing for null."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, dict) and isinstance(value.get("$cut"), str):
        return f"{value['$cut']}… (cut; {value.get('length', '?')} characters)"
    return json.dumps(value, ensure_ascii=False)


def count_of(value: Any) -> int:
    """A whole number, 0 or more; 0 for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def failure_of(text: str | None) -> Failure | None:
    """A stored failure, whatever is left of it; None where there is none."""
    if not text:
        return None
    try:
        return Failure.from_json(text)
    except UndecodablePayload:
        return Failure(type="unreadable", message=text[:2000], traceback="", attributes="{}", cause=None)


def answer_of(text: str | None) -> Answer:
    """A recorded reply."""
    found = object_of(value_of(text))
    reply = object_of(found["reply"]) if "reply" in found else found
    message = object_of(reply.get("message"))
    return Answer(
        text=text_of(message.get("text")),
        refusal=text_of(message.get("refusal")),
        calls=tuple(_wanted(one) for one in list_of(message.get("calls"))),
        finish=text_of(reply.get("finish")),
        model=text_of(reply.get("model")),
        response_id=text_of(reply.get("response_id")),
        usage=_usage(object_of(reply.get("usage"))),
        recorded=text or "null",
    )


def tool_told(value: Any) -> ToolTold:
    """A tool as an agent's beginning names it."""
    told = object_of(value)
    return ToolTold(
        name=text_of(told.get("name") if told else value),
        description=text_of(told.get("description")),
        effect=text_of(told.get("effect")),
        gated=bool(told.get("gated")),
    )


def _wanted(value: Any) -> Wanted:
    call = object_of(value)
    return Wanted(id=text_of(call.get("id")), name=text_of(call.get("name")), arguments=text_of(call.get("arguments")))


def _usage(used: Mapping[str, Any]) -> Usage | None:
    if not used:
        return None
    counts = {
        name: count_of(used.get(name))
        for name in ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")
    }
    return Usage(model=text_of(used.get("model")), cost=_cost(used.get("cost")), **counts)


def _cost(value: Any) -> Decimal | None:
    try:
        cost = None if value is None or isinstance(value, bool) else Decimal(str(value))
    except InvalidOperation:
        return None
    return cost if cost is not None and cost.is_finite() and cost >= 0 else None
