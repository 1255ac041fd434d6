"""From journal to conversations: each entry changes a line, or adds one, and never fails on what it finds."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

from agentflow.conversation.records import Conversation, Note, Said
from agentflow.conversation.speaking import Speaking
from agentflow.conversation.stored import (
    count_of,
    failure_of,
    list_of,
    object_of,
    text_of,
    tool_told,
    value_of,
)
from agentflow.conversation.using import Using
from agentflow.states import EntryKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agentflow.conversation.records import Line
    from agentflow.records import Entry

INSTRUCTIONS: Final = re.compile(r"(?P<path>(?:.*/)?)instructions#(?P<number>\d+)\Z", re.DOTALL)
MAIL: Final = "receive_events.agentflow.mail"
ENDS: Final = {EntryKind.SUCCEEDED: "done", EntryKind.FAILED: "failed"}
RUN_ENDS: Final = {
    EntryKind.RUN_COMPLETED: "done",
    EntryKind.RUN_FAILED: "failed",
    EntryKind.RUN_CANCELLED: "failed",
    EntryKind.RUN_EXPIRED: "failed",
}
REOPENED: Final = frozenset({EntryKind.RETRIED, EntryKind.FORKED, EntryKind.RESUMED})


def conversations(entries: Iterable[Entry]) -> tuple[Conversation, ...]:
    """The agent calls of a run, in the order they began, as far as its journal goes. `entries` are in order."""
    reader = _Reader()
    for entry in entries:
        reader.read(entry)
    return tuple(talk.written() for talk in reader.talks.values())


class _Talk:
    """One conversation as it grows."""

    def __init__(self, start: Conversation) -> None:
        self.about = start
        self.lines: list[Line] = list(start.lines)
        self.speaking = Speaking(self.lines)
        self.using = Using(self.lines)

    def written(self) -> Conversation:
        return replace(self.about, lines=tuple(self.lines))

    def add(self, line: Line) -> None:
        self.lines.append(line)


class _Reader:
    """What has to be remembered of the entries before the present one."""

    def __init__(self) -> None:
        self.talks: dict[str, _Talk] = {}

    def read(self, entry: Entry) -> None:
        if entry.key is None:
            self._run(entry)
            return
        if entry.operation == "instructions" and (found := INSTRUCTIONS.match(entry.key)):
            self._instructions(found["path"], entry)
            return
        if entry.operation == "task":
            self._ended(self.talks.get(f"{entry.key}/"), entry)
        talk = self._around(entry.key)
        if talk is not None:
            _read(talk, entry, entry.key[len(talk.about.path) :])

    def _around(self, key: str) -> _Talk | None:
        """The innermost conversation that the operation belongs to."""
        end = len(key)
        while (end := key.rfind("/", 0, end)) >= 0:
            talk = self.talks.get(key[: end + 1])
            if talk is not None:
                return talk
        return self.talks.get("")

    def _run(self, entry: Entry) -> None:
        talk = self.talks.get("")
        if talk is None:
            return
        if entry.kind in RUN_ENDS:
            talk.about = replace(talk.about, **_end(entry, RUN_ENDS[entry.kind]))
        elif entry.kind in REOPENED:
            talk.about = replace(talk.about, state="open", output=None, failure=None, ended_at=None)

    def _ended(self, talk: _Talk | None, entry: Entry) -> None:
        if talk is not None and entry.kind in ENDS:
            talk.about = replace(talk.about, **_end(entry, ENDS[entry.kind]))

    def _instructions(self, path: str, entry: Entry) -> None:
        told = object_of(value_of(entry.output))
        talk = self.talks.get(path)
        if talk is not None:
            text = text_of(told.get("text"))
            talk.about = replace(talk.about, instructions=text, fingerprint=text_of(told.get("fingerprint")))
            talk.add(Note(seq=entry.seq, at=entry.at, what="instructions", text=text, key=entry.key or ""))
            return
        around = self._around(path[:-1]) if path else None
        self.talks[path] = _Talk(_begun(path, None if around is None else around.about.path, told, entry))
        if around is not None:
            around.using.went_inside(path, entry, path[len(around.about.path) : -1])


def _read(talk: _Talk, entry: Entry, rest: str) -> None:
    """Let an entry of this conversation, or of what it called, change its lines; `rest` is its key within."""
    segments = rest.split("/")
    name = segments[-1].partition("#")[0]
    if entry.operation == "model" or talk.speaking.knows(entry.key or ""):
        asked = talk.speaking.read(entry, rest)
        if asked is not None:
            talk.using.wanted(asked, entry)
    elif entry.operation == "fallback" and len(segments) == 1:
        talk.speaking.noted(entry)
    elif entry.operation == "receive" and name == MAIL:
        _mail(talk, entry)
    elif len(segments) == 1 and name in {"compaction", "thread"} and entry.kind is EntryKind.SUCCEEDED:
        said = _between(name, entry)
        talk.add(Note(seq=entry.seq, at=entry.at, what=name, text=said, key=entry.key or "", recorded=entry.output))
    else:
        talk.using.read(entry, segments)


def _mail(talk: _Talk, entry: Entry) -> None:
    ids = list_of(object_of(value_of(entry.detail)).get("events"))
    for one, event_id in zip_longest(list_of(value_of(entry.output)), ids):
        told = object_of(one)
        text, by = text_of(told.get("text") if told else one), text_of(told.get("by"))
        said = Said(seq=entry.seq, at=entry.at, who="person", text=text, by=by, key=entry.key)
        talk.add(replace(said, event_id=text_of(event_id)))


def _between(name: str, entry: Entry) -> str:
    """What a note of this kind says: into how many messages, as which part of the thread."""
    value = value_of(entry.output)
    if name == "compaction":
        kept = len(list_of(value))
        return (
            f"The conversation was made shorter: {kept} {'message goes' if kept == 1 else 'messages go'} on from here"
        )
    part = value.get("seq") if isinstance(value, dict) else value
    return f"Kept in the thread as part {part}" if isinstance(part, int) else "Kept in the thread"


def _begun(path: str, within: str | None, told: Mapping[str, Any], entry: Entry) -> Conversation:
    prompt = list_of(told.get("prompt"))
    return Conversation(
        path=path,
        within=within,
        began_at=entry.at,
        agent=text_of(told.get("agent")) or path[:-1].rpartition("/")[2].partition("#")[0],
        instructions=text_of(told.get("text")),
        source=text_of(told.get("source")),
        fingerprint=text_of(told.get("fingerprint")),
        models=tuple(text_of(one) for one in list_of(told.get("models"))),
        tools=tuple(tool_told(one) for one in list_of(told.get("tools"))),
        thread=text_of(told.get("thread")) or None,
        thread_seq=count_of(told.get("thread_seq")),
        budget=object_of(told.get("budget")) or None,
        output_name=text_of(told.get("output")) or None,
        lines=tuple(_given(one, entry) for one in prompt),
    )


def _given(value: Any, entry: Entry) -> Said:
    """A message that the agent was called with."""
    message = object_of(value)
    text = text_of(message.get("text") if message else value)
    images = len(list_of(message.get("images")))
    if images:
        text += f"\n[{images} {'image' if images == 1 else 'images'}]"
    return Said(seq=entry.seq, at=entry.at, who=text_of(message.get("role")) or "user", text=text, key=entry.key)


def _end(entry: Entry, state: str) -> dict[str, Any]:
    return {"state": state, "output": entry.output, "failure": failure_of(entry.error), "ended_at": entry.at}
