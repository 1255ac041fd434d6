"""The messages an agent has so far, and a fingerprint of them all that costs the same however many there are."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from agentflow.agents.messages import Carried, Image, Message, Role, ToolCall

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class Conversation:
    """Messages in order. Those from `own_from` on came to be in this agent call; the others are of its thread."""

    def __init__(self, instructions: str) -> None:
        self.instructions = instructions
        self.messages: list[Message] = []
        self.own_from = 0
        self.is_compacted = False
        self.notices: list[str] = []
        self._digest = hashlib.sha256(instructions.encode(errors="surrogatepass"))

    def add(self, message: Message) -> None:
        """Put a message at the end."""
        self.messages.append(message)
        text = json.dumps(to_plain(message), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        self._digest.update(f"\n{text}".encode())

    def notice(self, text: str) -> None:
        """Tell the model something that neither the user nor a tool says."""
        self.notices.append(text)
        self.add(Message(role=Role.USER, text=f"[notice from the system that runs you, not from the user] {text}"))

    def taken_notices(self) -> tuple[str, ...]:
        """What it was told since the last call, for the journal."""
        told, self.notices = tuple(self.notices), []
        return told

    def replace(self, messages: Sequence[Message]) -> None:
        """Go on with these messages instead: a compaction."""
        self.messages = []
        self.own_from = 0
        self.is_compacted = True
        self._digest = hashlib.sha256(self.instructions.encode(errors="surrogatepass"))
        for message in messages:
            self.add(message)

    @property
    def fingerprint(self) -> str:
        """What tells this conversation from any other."""
        return self._digest.copy().hexdigest()

    def whole(self) -> list[Message]:
        """All that the model is to see, its instructions first."""
        first = [Message(role=Role.SYSTEM, text=self.instructions)] if self.instructions else []
        return [*first, *self.messages]


# -- as plain JSON, for a thread and for the fingerprint


def to_plain(message: Message) -> dict[str, Any]:
    """The message as plain JSON, with what it has."""
    found: dict[str, Any] = {"role": message.role.value, "text": message.text}
    if message.images:
        found["images"] = [
            {"url": one.url, "content": one.content, "media_type": one.media_type} for one in message.images
        ]
    if message.calls:
        found["calls"] = [{"id": one.id, "name": one.name, "arguments": one.arguments} for one in message.calls]
    if message.role is Role.TOOL:
        found |= {"call_id": message.call_id, "is_error": message.is_error}
    if message.refusal:
        found["refusal"] = message.refusal
    if message.carried is not None:
        found["carried"] = {"provider": message.carried.provider, "content": message.carried.content}
    return found


def from_plain(found: Mapping[str, Any]) -> Message:
    """The message that `to_plain` wrote."""
    carried = found.get("carried")
    return Message(
        role=Role(found["role"]),
        text=found["text"],
        images=tuple(Image(**one) for one in found.get("images", ())),
        calls=tuple(ToolCall(**one) for one in found.get("calls", ())),
        call_id=found.get("call_id", ""),
        is_error=found.get("is_error", False),
        refusal=found.get("refusal", ""),
        carried=None if carried is None else Carried(**carried),
    )


INSTEAD: Final = {"instead": True}
"""What a part of a thread begins with that stands for all that was said before it."""


def plain_text(messages: Iterable[Message], *, instead: bool) -> str:
    """The messages as JSON text, to be kept in a thread; `instead` of all that it has so far."""
    plain = [*([INSTEAD] if instead else []), *map(to_plain, messages)]
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":"))


def said_in(parts: Iterable[str]) -> list[Message]:
    """The messages of a thread's parts, from the last one on that stands for all before it."""
    found: list[Message] = []
    for part in parts:
        plain = json.loads(part)
        if plain[:1] == [INSTEAD]:
            found = []
        found += [from_plain(one) for one in plain if one != INSTEAD]
    return found
