"""What every event of a history has, and how an event becomes a plain document."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from agentflow.errors import UndecodablePayload
from agentflow.failures import Failure
from agentflow.payloads import readable

if TYPE_CHECKING:
    from agentflow.states import EntryKind

HISTORY_VERSION: Final = 1
"""The version of the events. It grows when an event or a field is renamed, removed or changes its meaning."""

_WORD = re.compile(r"(?<!^)(?=[A-Z])")
_LONGEST_MESSAGE = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened to a run. `seq` counts from 1 without gaps.

    `epoch` is that of the turn that wrote it, 0 where no turn did: a decision, a child's end. `attempt` is the
    operation's where the event is about one, else the run's.
    """

    run_id: str
    seq: int
    at: datetime
    epoch: int
    attempt: int

    @property
    def type(self) -> str:
        """What happened, as documents name it: `operation_succeeded` for `OperationSucceeded`."""
        return type_of(type(self))

    def to_json(self) -> dict[str, Any]:
        """The event as plain JSON: instants as ISO 8601, spans in seconds, payloads without the tags of their types."""
        shown = {one.name: _shown(getattr(self, one.name), one.metadata.get("payload", False)) for one in fields(self)}
        return {"type": self.type} | shown


def type_of(event: type[Event]) -> str:
    """The name that documents give the events of this class."""
    return _WORD.sub("_", event.__name__).lower()


def payload() -> Any:
    """A field that holds JSON text exactly as it is stored, None where there is none."""
    return field(default=None, metadata={"payload": True})


def failure_of(text: str | None) -> Failure | None:
    """A stored failure; what cannot be read as one is shown as it is."""
    if text is None:
        return None
    try:
        return Failure.from_json(text)
    except UndecodablePayload:
        return Failure(type="unreadable", message=text[:_LONGEST_MESSAGE], traceback="", attributes="{}")


def _shown(value: Any, is_payload: bool) -> Any:  # noqa: PLR0911  one line for each type
    match value:
        case str() if is_payload:
            return readable(value)
        case str():
            return str(value)
        case datetime():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Failure():
            return _shown_failure(value)
        case tuple():
            return [_shown(one, False) for one in value]
        case _:
            return value


def _shown_failure(failure: Failure) -> dict[str, Any]:
    cause = None if failure.cause is None else _shown_failure(failure.cause)
    return {"type": failure.type, "message": failure.message, "traceback": failure.traceback, "cause": cause}


class JournalEntry(Protocol):
    """A journal entry as far as a history reads it; `agentflow.records.Entry` is one."""

    @property
    def run_id(self) -> str: ...
    @property
    def seq(self) -> int: ...
    @property
    def kind(self) -> EntryKind: ...
    @property
    def key(self) -> str | None: ...
    @property
    def operation(self) -> str | None: ...
    @property
    def epoch(self) -> int: ...
    @property
    def attempt(self) -> int: ...
    @property
    def at(self) -> datetime: ...
    @property
    def took(self) -> timedelta | None: ...
    @property
    def input(self) -> str | None: ...
    @property
    def output(self) -> str | None: ...
    @property
    def error(self) -> str | None: ...
    @property
    def detail(self) -> str | None: ...
