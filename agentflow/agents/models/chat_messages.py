"""A conversation as the messages of Chat Completions."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any, Final

from agentflow.agents.messages import Role

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agentflow.agents.messages import Image, Message, OutputSpec, ToolCall

LONGEST_NAME: Final = 64
USUAL_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")
SHORT_ID: Final = re.compile(r"[A-Za-z0-9]{9}")


def messages_of(messages: Sequence[Message], *, provider: str, has_short_ids: bool = False) -> list[dict[str, Any]]:
    """The messages in their order. Pictures in tools' answers, which have no place there, follow as a user's."""
    said: list[dict[str, Any]] = []
    pictures: list[Image] = []
    for message in messages:
        if message.role is Role.TOOL:
            call = _id(message.call_id, has_short_ids=has_short_ids)
            said.append({"role": "tool", "tool_call_id": call, "content": message.text})
            pictures += message.images
            continue
        said += _shown(pictures)
        pictures = []
        if message.role is Role.ASSISTANT:
            said.append(_answered(message, provider, has_short_ids=has_short_ids))
        else:
            said.append({"role": str(message.role), "content": _content(message)})
    return said + list(_shown(pictures))


def _shown(pictures: Sequence[Image]) -> Iterator[dict[str, Any]]:
    if pictures:
        yield {"role": "user", "content": [_picture(one) for one in pictures]}


def _content(message: Message) -> str | list[dict[str, Any]]:
    if not message.images:
        return message.text
    words = [{"type": "text", "text": message.text}] if message.text else []
    return words + [_picture(one) for one in message.images]


def _picture(image: Image) -> dict[str, Any]:
    url = image.url or f"data:{image.media_type};base64,{image.content}"
    return {"type": "image_url", "image_url": {"url": url}}


def _answered(message: Message, provider: str, *, has_short_ids: bool) -> dict[str, Any]:
    kept = _kept(message, provider)
    said: dict[str, Any] = {"role": "assistant", "content": message.text or message.refusal or None}
    said |= kept.get("message", {})
    if message.calls:
        extras = kept.get("calls", {})
        said["tool_calls"] = [
            _call(one, has_short_ids=has_short_ids) | extras.get(str(place), {})
            for place, one in enumerate(message.calls)
        ]
    elif said["content"] is None:
        said["content"] = ""
    return said


def _kept(message: Message, provider: str) -> dict[str, Any]:
    """What this very provider wants handed back of the message; another's means nothing to it."""
    if message.carried is None or message.carried.provider != provider:
        return {}
    kept: dict[str, Any] = json.loads(message.carried.content)
    return kept


def _call(call: ToolCall, *, has_short_ids: bool) -> dict[str, Any]:
    function = {"name": call.name, "arguments": _arguments(call.arguments)}
    return {"id": _id(call.id, has_short_ids=has_short_ids), "type": "function", "function": function}


def _arguments(text: str) -> str:
    """The arguments as the model wrote them; what is no JSON object is put into one: servers refuse anything else."""
    try:
        is_object = isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        is_object = False
    return text if is_object else json.dumps({"not_json": text}, ensure_ascii=False)


def _id(call_id: str, *, has_short_ids: bool) -> str:
    """The call's id, or one made of it where the provider would refuse it: another may have given it."""
    form = SHORT_ID if has_short_ids else USUAL_ID
    return call_id if form.fullmatch(call_id) else hashlib.sha256(call_id.encode()).hexdigest()[:9]


# -- answers of a schema


def name_of(name: str) -> str:
    """The schema's name in the characters that providers take."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:LONGEST_NAME] or "answer"


def instructed(messages: list[dict[str, Any]], output: OutputSpec) -> list[dict[str, Any]]:
    """The messages with the schema in words, in the system message at their beginning or in one of its own."""
    wanted = (
        "Answer with nothing but one JSON object of this JSON Schema, without Markdown around it:\n"
        f"{json.dumps(output.schema, ensure_ascii=False)}"
    )
    if messages and messages[0]["role"] == "system":
        return [{"role": "system", "content": f"{messages[0]['content']}\n\n{wanted}"}, *messages[1:]]
    return [{"role": "system", "content": wanted}, *messages]
