"""What a model was asked, put together again from where each message came to be."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from agentflow.conversation.records import Gate, ModelCall, Note, Said, ToolUse
from agentflow.conversation.stored import list_of, object_of, text_of, value_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from agentflow.conversation.records import Conversation, Line

NOTICE: Final = "[notice from the system that runs you, not from the user] "
_PARTS: Final = ("images", "calls", "refusal", "carried")


def request_of(
    talk: Conversation, call: ModelCall, earlier: Sequence[Mapping[str, Any]] = ()
) -> tuple[list[Mapping[str, Any]], bool]:
    """The messages that the models of this call were given, as plain JSON, and whether they are those to the letter.

    `earlier` are the messages of its thread. What the journal does not keep by itself (the words in which a model was
    told that a call was not made) is said in other words; the recorded fingerprint does not fit then.
    """
    messages: list[Mapping[str, Any]] = [*earlier, *(_said(line) for line in talk.lines if _is_prompt(line, talk))]
    for line in talk.lines:
        if line is call:
            break
        if isinstance(line, Note) and line.what == "compaction":
            messages = [_plain(one) for one in list_of(value_of(line.recorded))]
        elif not _is_prompt(line, talk):
            messages += _told(line)
    messages += [{"role": "user", "text": f"{NOTICE}{text}"} for text in call.notices]
    is_exact = _fingerprint(talk.instructions, messages) == call.fingerprint.rpartition(":")[2]
    system = [{"role": "system", "text": talk.instructions}] if talk.instructions else []
    return [*system, *messages], is_exact


def _is_prompt(line: Line, talk: Conversation) -> bool:
    return isinstance(line, Said) and line.at == talk.began_at and line.who != "person"


def _told(line: Line) -> Iterator[Mapping[str, Any]]:
    """The messages that a line became."""
    if isinstance(line, Said):
        yield _said(line)
    elif isinstance(line, ModelCall):
        yield from ({"role": "user", "text": f"{NOTICE}{text}"} for text in line.notices)
        if line.answer is not None:
            found = object_of(value_of(line.answer.recorded))
            yield _plain(object_of(found.get("reply") or found).get("message"))
    elif isinstance(line, ToolUse) and line.arguments:
        is_error = line.state != "done"
        yield {"role": "tool", "text": _answer(line), "call_id": line.call_id, "is_error": is_error}


def _said(line: Line) -> Mapping[str, Any]:
    assert isinstance(line, Said)
    return {"role": "user" if line.who == "person" else line.who, "text": line.text}


def _plain(value: Any) -> Mapping[str, Any]:
    """A recorded message with what it has."""
    message = object_of(value)
    found: dict[str, Any] = {"role": text_of(message.get("role")), "text": text_of(message.get("text"))}
    found |= {name: message[name] for name in _PARTS if message.get(name)}
    if found["role"] == "tool":
        found |= {"call_id": text_of(message.get("call_id")), "is_error": bool(message.get("is_error"))}
    return found


def _answer(use: ToolUse) -> str:
    """What the model was told of a call."""
    if use.state == "done":
        return text_of(value_of(use.result)) or "done"
    if use.failure is not None:
        name = use.failure.type.rpartition(":")[2]
        return use.failure.message if name == "ToolError" else f"the tool failed: {name}: {use.failure.message}"
    if isinstance(use.gate, Gate) and use.state == "denied":
        comment = f": {use.gate.comment}" if use.gate.comment else ""
        return f"{use.tool} was not called: a person rejected the call{comment}"
    return "(not called)" if use.state == "skipped" else "(no answer yet)"


def _fingerprint(instructions: str, messages: Sequence[Mapping[str, Any]]) -> str:
    """The digest of a conversation as an agent makes it."""
    made = hashlib.sha256(instructions.encode(errors="surrogatepass"))
    for message in messages:
        text = json.dumps(message, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        made.update(f"\n{text}".encode())
    return made.hexdigest()
