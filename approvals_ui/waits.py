"""What a run waits for, in a few words for its timeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow.payloads import readable
from agentflow.states import WaitKind

if TYPE_CHECKING:
    from typing import Any

    from agentflow.records import Entry

OUTSIDE = frozenset({WaitKind.EVENT, WaitKind.MESSAGE, WaitKind.CALLBACK})


def waits_for(entry: Entry) -> str | None:
    """What an opened wait is for, where its key does not say: whose event, which callback."""
    said = _said(entry)
    if entry.operation == WaitKind.CALLBACK:
        return str(said.get("callback", ""))
    if entry.operation not in OUTSIDE:
        return None
    name, _, key = str(said.get("event", "")).partition(":")
    return f"{name} of {key}" if key else name


def outcome_of(entry: Entry) -> str | None:
    """How a wait for something from outside ended."""
    return str(_said(entry).get("outcome")) if entry.operation in OUTSIDE else None


def _said(entry: Entry) -> dict[str, Any]:
    found = readable(entry.detail) if entry.detail else None
    return found if isinstance(found, dict) else {}
