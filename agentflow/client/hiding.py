"""What people read of a run holds no token: whoever has one could answer a callback in another system's place."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agentflow.ids import without_tokens

if TYPE_CHECKING:
    from agentflow.records import Entry, Event, LogLine

TEXTS = ("input", "output", "error", "detail")


def without_tokens_in(entry: Entry) -> Entry:
    """The entry with every token in it hidden, also where one was handed on to a step."""
    hidden: dict[str, Any] = {}
    for name in TEXTS:
        text = getattr(entry, name)
        if text is not None and (shown := without_tokens(text)) is not text:
            hidden[name] = shown
    return replace(entry, **hidden) if hidden else entry


def without_tokens_said(line: LogLine) -> LogLine:
    """The log line with every token in it hidden."""
    shown = without_tokens(line.message)
    return line if shown is line.message else replace(line, message=shown)


def without_tokens_sent(event: Event) -> Event:
    """The event with every token in its payload hidden."""
    shown = without_tokens(event.payload)
    return event if shown is event.payload else replace(event, payload=shown)
