"""What the detail of a journal entry says: an object, an instant, or a text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from agentflow.clock import from_micros
from agentflow.states import EntryKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from agentflow.events.base import JournalEntry

_SUBJECTS = ("approval", "child", "run", "callback", "token", "event", "name", "subject")


def detail_of(entry: JournalEntry) -> dict[str, Any]:
    """The entry's detail where it is an object, else nothing."""
    found = plain(entry.detail)
    return found if isinstance(found, dict) else {}


def plain(text: str | None) -> Any:
    """The JSON in a text; a text that is none is itself."""
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def number(text: str | None) -> int | None:
    found = plain(text)
    return found if isinstance(found, int) else None


def instant(micros: Any) -> datetime | None:
    return from_micros(micros) if isinstance(micros, int) else None


def subject_of(entry: JournalEntry, detail: Mapping[str, Any]) -> str | None:
    """What a wait is for: named in the detail, or the detail itself where it is an id."""
    named = next((str(detail[name]) for name in _SUBJECTS if detail.get(name)), None)
    if named is None and not detail and number(entry.detail) is None and entry.kind is EntryKind.WAIT_OPENED:
        return entry.detail
    return named


def by_whom(detail: Mapping[str, Any]) -> str | None:
    found = detail.get("decided_by") or detail.get("by")
    return None if found is None else str(found)


def around(key: str) -> Iterator[str]:
    """The operations a key is inside of: `gather#1` for `gather#1[0]/fetch#2`, and what is around it."""
    scope = key.rpartition("/")[0]
    while scope:
        yield scope[: scope.rindex("[")] if scope.endswith("]") else scope
        scope = scope.rpartition("/")[0]
