"""What a journal says of waits for something from outside, as a line that people read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentflow.cli.documents import plain
from agentflow.clock import from_micros
from agentflow.states import EntryKind, WaitKind

if TYPE_CHECKING:
    from agentflow.records import Entry

OUTSIDE: Final = frozenset({WaitKind.EVENT, WaitKind.MESSAGE, WaitKind.CALLBACK})


def wait_line(entry: Entry) -> str | None:
    """What was waited for, or how that ended; None for an entry of another kind, or with a result to show."""
    said = plain(entry.detail)
    if entry.operation not in OUTSIDE or not isinstance(said, dict):
        return None
    if entry.kind is EntryKind.WAIT_OPENED:
        return f"waits for {_what(entry, said)}{_until(said.get('due_at'))}"
    if entry.kind is EntryKind.WAIT_RESOLVED and entry.output is None and entry.error is None:
        return str(said.get("outcome", "answered")).replace("_", " ")
    return None


def _what(entry: Entry, said: dict[str, Any]) -> str:
    if entry.operation == WaitKind.CALLBACK:
        return f"callback {said.get('callback')}"
    name, _, key = str(said.get("event", "")).partition(":")
    kind = "the next message" if entry.operation == WaitKind.MESSAGE else "event"
    return f"{kind} {name!r}" + (f" of {key!r}" if key else "")


def _until(due_at: Any) -> str:
    return f" until {from_micros(due_at):%Y-%m-%d %H:%M:%S} UTC" if isinstance(due_at, int) else ""
