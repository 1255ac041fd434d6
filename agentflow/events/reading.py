"""From journal to history: one event for each entry, made of that entry and those before it, never of later ones."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from agentflow.events.base import HISTORY_VERSION, Event, JournalEntry, failure_of
from agentflow.events.details import around, by_whom, detail_of, instant, number, plain, subject_of
from agentflow.events.operations import (
    ChildTriggered,
    InputChanged,
    OperationFailed,
    OperationNoted,
    OperationStarted,
    OperationSucceeded,
    ScopeFailed,
    ScopeSucceeded,
)
from agentflow.events.runs import (
    Patched,
    RunAttemptFailed,
    RunDiverged,
    RunFinished,
    RunForked,
    RunPaused,
    RunQuarantined,
    RunResumed,
    RunRetried,
    RunSteered,
    RunTriggered,
    RunUndoing,
    TurnEnd,
    TurnEnded,
)
from agentflow.events.waits import WaitOpened, WaitSatisfied, WaitTimedOut
from agentflow.states import EntryKind, RunStatus, WaitKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime

ALWAYS_SCOPES: Final = frozenset({"task", "fallback", "gather", "map", "scope"})
TIMED_OUT: Final = "timed_out"


def history(entries: Iterable[JournalEntry], deadlines: Mapping[str, datetime] | None = None) -> Iterator[Event]:
    """The events of a run's whole journal, given in order.

    `deadlines` says until when the approvals and callbacks may be answered, by their ids: the journal does not.
    """
    reader = _Reader(deadlines or {})
    for entry in entries:
        yield reader.read(entry)


class _Reader:
    """What has to be remembered of the entries before the present one."""

    def __init__(self, deadlines: Mapping[str, datetime]) -> None:
        self._deadlines = deadlines
        self._attempt = 1
        self._next_at: dict[str, datetime | None] = {}
        self._opened: dict[str, WaitOpened] = {}
        self._inside: Counter[str] = Counter()
        self._seen: set[str] = set()

    def read(self, entry: JournalEntry) -> Event:
        event = READINGS[entry.kind].make(self, entry)
        if entry.key is not None and entry.key not in self._seen:
            self._seen.add(entry.key)
            self._inside.update(around(entry.key))
        if isinstance(event, RunAttemptFailed | RunRetried):
            self._attempt += 1
        return event

    # -- operations

    def started(self, entry: JournalEntry) -> Event:
        return OperationStarted(**_operation(entry), input=entry.input)

    def succeeded(self, entry: JournalEntry) -> Event:
        key = entry.key or ""
        if entry.operation == WaitKind.TIMER and key in self._opened:
            return self._fired(entry)
        told = _operation(entry) | {"took": entry.took, "input": entry.input, "result": entry.output}
        if entry.operation == "trigger":
            return ChildTriggered(**told, run_ids=tuple(json.loads(entry.output or "[]")))
        if self._is_scope(entry):
            return ScopeSucceeded(**told, operations=self._inside[key])
        return OperationSucceeded(**told)

    def failed(self, entry: JournalEntry) -> Event:
        return self._failure(entry, is_final=True)

    def attempt_failed(self, entry: JournalEntry) -> Event:
        return self._failure(entry, is_final=False)

    def _failure(self, entry: JournalEntry, *, is_final: bool) -> Event:
        detail = detail_of(entry)
        next_at = instant(detail.get("next_at"))
        self._next_at[entry.key or ""] = next_at
        told = _operation(entry) | {
            "error": failure_of(entry.error),
            "is_final": is_final,
            "next_at": next_at,
            "delay": None if next_at is None else next_at - entry.at,
            "took": entry.took,
            "input": entry.input,
            "retry_key": detail.get("retry"),
        }
        if self._is_scope(entry):
            return ScopeFailed(**told, operations=self._inside[entry.key or ""])
        return OperationFailed(**told)

    def _is_scope(self, entry: JournalEntry) -> bool:
        return entry.operation in ALWAYS_SCOPES or self._inside[entry.key or ""] > 0

    def input_changed(self, entry: JournalEntry) -> Event:
        return InputChanged(**_operation(entry), input=entry.input)

    def noted(self, entry: JournalEntry) -> Event:
        return OperationNoted(**_operation(entry), note=plain(entry.detail))

    # -- waits

    def wait_opened(self, entry: JournalEntry) -> Event:
        key, kind, detail = entry.key or "", WaitKind(entry.operation or ""), detail_of(entry)
        subject = subject_of(entry, detail)
        due_at = instant(detail.get("due_at", number(entry.detail)))
        if due_at is None:
            due_at = self._next_at.get(key) if kind is WaitKind.RETRY else self._deadlines.get(subject or "")
        opened = WaitOpened(
            **self._about(entry),
            key=key,
            kind=kind,
            subject=subject,
            due_at=due_at,
            timeout=None if due_at is None else due_at - entry.at,
        )
        self._opened[key] = opened
        return opened

    def wait_resolved(self, entry: JournalEntry) -> Event:
        detail, opened = detail_of(entry), self._opened.pop(entry.key or "", None)
        kind = WaitKind(entry.operation or "")
        told = self._about(entry) | {"key": entry.key or "", "kind": kind, "answer": entry.output}
        told["subject"] = subject_of(entry, detail) if opened is None else opened.subject
        outcome = str(detail.get("outcome") or (entry.detail if not detail else None) or "answered")
        if outcome == TIMED_OUT:
            return WaitTimedOut(**told)
        return WaitSatisfied(**told, outcome=outcome, by=by_whom(detail), error=failure_of(entry.error))

    def _fired(self, entry: JournalEntry) -> Event:
        key = entry.key or ""
        del self._opened[key]
        return WaitSatisfied(**self._about(entry), key=key, kind=WaitKind.TIMER, outcome="fired")

    # -- the run

    def triggered(self, entry: JournalEntry) -> Event:
        return RunTriggered(**self._about(entry), origin=entry.detail or "")

    def parked(self, entry: JournalEntry) -> Event:
        named = (entry.detail or "").split(",")
        keys = tuple(key for key in named if key and not key.startswith("…"))  # of many, how many more there are
        return TurnEnded(**self._about(entry), how=TurnEnd.PARKED, keys=keys)

    def requeued(self, entry: JournalEntry) -> Event:
        return TurnEnded(**self._about(entry), how=TurnEnd.HANDED_BACK, reason=entry.detail or "")

    def recovered(self, entry: JournalEntry) -> Event:
        return TurnEnded(**self._about(entry), how=TurnEnd.RECOVERED, reason=entry.detail or "")

    def run_attempt_failed(self, entry: JournalEntry) -> Event:
        detail = detail_of(entry)
        key = detail.get("retry") if detail else entry.detail
        next_at = instant(detail.get("next_at"))
        delay = None if next_at is None else next_at - entry.at
        return RunAttemptFailed(
            **self._about(entry), error=failure_of(entry.error), retry_key=key, next_at=next_at, delay=delay
        )

    def steered(self, entry: JournalEntry) -> Event:
        return _STEERED[entry.kind](**self._about(entry), reason=entry.detail or "")

    def forked(self, entry: JournalEntry) -> Event:
        self._attempt = 1
        return RunForked(**self._about(entry), reason=entry.detail or "", corrections=entry.input)

    def undoing(self, entry: JournalEntry) -> Event:
        return RunUndoing(**self._about(entry), reason=entry.detail or "", error=failure_of(entry.error))

    def patched(self, entry: JournalEntry) -> Event:
        return Patched(**self._about(entry), name=entry.detail or "")

    def diverged(self, entry: JournalEntry) -> Event:
        detail = detail_of(entry)
        told = self._about(entry) | {name: str(detail.get(name, "")) for name in ("recorded", "asked")}
        return RunDiverged(**told, key=detail.get("key"), error=failure_of(entry.error))

    def quarantined(self, entry: JournalEntry) -> Event:
        return RunQuarantined(**self._about(entry), reason=entry.detail or "", error=failure_of(entry.error))

    def finished(self, entry: JournalEntry) -> Event:
        detail = detail_of(entry)
        return RunFinished(
            **self._about(entry),
            status=_FINISHED[entry.kind],
            output=entry.output,
            error=failure_of(entry.error),
            reason="" if detail else entry.detail or "",
            retry_key=detail.get("retry"),
        )

    def _about(self, entry: JournalEntry) -> dict[str, Any]:
        return _base(entry) | {"attempt": self._attempt}


_STEERED: Final[Mapping[EntryKind, type[RunSteered]]] = {
    EntryKind.PAUSED: RunPaused,
    EntryKind.RESUMED: RunResumed,
    EntryKind.RETRIED: RunRetried,
}
_FINISHED: Final[Mapping[EntryKind, RunStatus]] = {
    EntryKind.RUN_COMPLETED: RunStatus.COMPLETED,
    EntryKind.RUN_FAILED: RunStatus.FAILED,
    EntryKind.RUN_CANCELLED: RunStatus.CANCELLED,
    EntryKind.RUN_EXPIRED: RunStatus.EXPIRED,
}


@dataclass(frozen=True, slots=True)
class Reading:
    """What becomes of the entries of one kind: how, and which events they can be."""

    make: Callable[[_Reader, JournalEntry], Event]
    events: tuple[type[Event], ...]


READINGS: Final[Mapping[EntryKind, Reading]] = {
    EntryKind.TRIGGERED: Reading(_Reader.triggered, (RunTriggered,)),
    EntryKind.STARTED: Reading(_Reader.started, (OperationStarted,)),
    EntryKind.SUCCEEDED: Reading(
        _Reader.succeeded, (OperationSucceeded, ScopeSucceeded, ChildTriggered, WaitSatisfied)
    ),
    EntryKind.FAILED: Reading(_Reader.failed, (OperationFailed, ScopeFailed)),
    EntryKind.ATTEMPT_FAILED: Reading(_Reader.attempt_failed, (OperationFailed, ScopeFailed)),
    EntryKind.WAIT_OPENED: Reading(_Reader.wait_opened, (WaitOpened,)),
    EntryKind.WAIT_RESOLVED: Reading(_Reader.wait_resolved, (WaitSatisfied, WaitTimedOut)),
    EntryKind.INPUT_CHANGED: Reading(_Reader.input_changed, (InputChanged,)),
    EntryKind.NOTED: Reading(_Reader.noted, (OperationNoted,)),
    EntryKind.PATCHED: Reading(_Reader.patched, (Patched,)),
    EntryKind.PARKED: Reading(_Reader.parked, (TurnEnded,)),
    EntryKind.REQUEUED: Reading(_Reader.requeued, (TurnEnded,)),
    EntryKind.RECOVERED: Reading(_Reader.recovered, (TurnEnded,)),
    **{kind: Reading(_Reader.steered, (event,)) for kind, event in _STEERED.items()},
    EntryKind.FORKED: Reading(_Reader.forked, (RunForked,)),
    EntryKind.UNDOING: Reading(_Reader.undoing, (RunUndoing,)),
    EntryKind.RUN_ATTEMPT_FAILED: Reading(_Reader.run_attempt_failed, (RunAttemptFailed,)),
    EntryKind.DIVERGED: Reading(_Reader.diverged, (RunDiverged,)),
    EntryKind.QUARANTINED: Reading(_Reader.quarantined, (RunQuarantined,)),
    **{kind: Reading(_Reader.finished, (RunFinished,)) for kind in _FINISHED},
}
"""Every kind of entry, and the events it can be; a kind that is missing here fails a test."""


def _base(entry: JournalEntry) -> dict[str, Any]:
    return {"run_id": entry.run_id, "seq": entry.seq, "at": entry.at, "epoch": entry.epoch}


def _operation(entry: JournalEntry) -> dict[str, Any]:
    return _base(entry) | {"attempt": entry.attempt, "key": entry.key or "", "operation": entry.operation or ""}


def document(run_id: str, events: Iterable[Event], *, more: bool = False) -> dict[str, Any]:
    """A history as one JSON document, which says which version of events it is made of, and if there are more."""
    told = [event.to_json() for event in events]
    return {"version": HISTORY_VERSION, "run_id": run_id, "events": told, "more": more}
