"""Which journal entries are which events, and what is sent of each: small, stable JSON. Pure functions of records."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from agentflow.ids import without_tokens
from agentflow.payloads import is_stand_in, readable
from agentflow.requests import EventType, event_body
from agentflow.states import WITHDRAWN, ApprovalStatus, EntryKind, RunStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from agentflow.records import Approval, Entry, Run

LARGEST: Final = 16 * 1024
"""Of a payload in an event, in bytes; a larger one is left out, and the event says so."""
OF_RUNS: Final = {
    EntryKind.TRIGGERED: (EventType.RUN_STARTED, RunStatus.QUEUED),
    EntryKind.PARKED: (EventType.RUN_WAITING, RunStatus.WAITING),
    EntryKind.DIVERGED: (EventType.RUN_NEEDS_ATTENTION, RunStatus.NEEDS_ATTENTION),
    EntryKind.QUARANTINED: (EventType.RUN_NEEDS_ATTENTION, RunStatus.NEEDS_ATTENTION),
    EntryKind.RUN_COMPLETED: (EventType.RUN_COMPLETED, RunStatus.COMPLETED),
    EntryKind.RUN_FAILED: (EventType.RUN_FAILED, RunStatus.FAILED),
    EntryKind.RUN_CANCELLED: (EventType.RUN_CANCELLED, RunStatus.CANCELLED),
    EntryKind.RUN_EXPIRED: (EventType.RUN_EXPIRED, RunStatus.EXPIRED),
}
ENDS: Final = {EntryKind.RUN_COMPLETED, EntryKind.RUN_FAILED, EntryKind.RUN_CANCELLED, EntryKind.RUN_EXPIRED}
WITHDRAWS: Final = {*ENDS, EntryKind.SUCCEEDED, EntryKind.FAILED, EntryKind.WAIT_OPENED}
"""Entries in whose transaction a request may be withdrawn: the run or its branch ends, or it is asked anew."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that subscribers may be told of; `key` is the same whoever finds it, and however often."""

    type: EventType
    key: str
    run_id: str
    task: str
    entry_id: int
    payload: str


def types_of(entry: Entry) -> Sequence[EventType]:
    """The events that the entry may be, before anything else is known of it."""
    found: list[EventType] = []
    if entry.kind in OF_RUNS:
        found.append(OF_RUNS[entry.kind][0])
    if entry.kind is EntryKind.WAIT_OPENED:
        found.append(EventType.APPROVAL_REQUESTED)
    if entry.kind is EntryKind.WAIT_RESOLVED:
        is_late = _said(entry).get("outcome") == ApprovalStatus.TIMED_OUT
        found.append(EventType.APPROVAL_TIMED_OUT if is_late else EventType.APPROVAL_DECIDED)
    if entry.kind in WITHDRAWS:
        found.append(EventType.APPROVAL_CANCELLED)
    return found


def of_run(entry: Entry, run: Run) -> Event:
    """What happened to a run."""
    type_, status = OF_RUNS[entry.kind]
    told: dict[str, Any] = {
        "id": run.id,
        "task": run.task,
        "status": status,
        "origin": run.origin,
        "tags": json.loads(run.tags or "[]"),
        "metadata": json.loads(run.metadata or "{}"),
        "parent_id": run.parent_id,
        "created_at": _instant(run.created_at),
        "started_at": _instant(run.started_at if run.started_at and run.started_at <= entry.at else None),
        "finished_at": _instant(entry.at if entry.kind in ENDS else None),
    }
    if entry.kind is EntryKind.RUN_COMPLETED:
        told |= _payload("output", entry.output)
    if entry.error is not None:
        told |= _error(entry.error)
    body = event_body(type_, entry.at, entry.id, told)
    return Event(type_, str(entry.id), run.id, run.task, entry.id, without_tokens(body))


def of_approvals(entry: Entry, approvals: Sequence[Approval]) -> Iterator[Event]:
    """What happened to requests at this moment; a fork's copy of an entry has none of its own."""
    resolved = _said(entry).get("approval")
    for one in approvals:
        if entry.kind is EntryKind.WAIT_OPENED and one.key == entry.key and one.created_at == entry.at:
            yield _event(EventType.APPROVAL_REQUESTED, "requested", entry, one)
        if entry.kind is EntryKind.WAIT_RESOLVED and one.id == resolved and one.status not in WITHDRAWN:
            is_late = one.status is ApprovalStatus.TIMED_OUT
            type_ = EventType.APPROVAL_TIMED_OUT if is_late else EventType.APPROVAL_DECIDED
            yield _event(type_, "resolved", entry, one)
        if entry.kind in WITHDRAWS and one.status in WITHDRAWN and one.decided_at == entry.at:
            yield _event(EventType.APPROVAL_CANCELLED, "resolved", entry, one)


def _event(type_: EventType, key: str, entry: Entry, one: Approval) -> Event:
    told: dict[str, Any] = {
        "id": one.id,
        "run_id": one.run_id,
        "task": one.task,
        "title": one.title,
        "created_at": _instant(one.created_at),
        "deadline_at": _instant(one.deadline_at),
    }
    if type_ is EventType.APPROVAL_REQUESTED:
        told |= {"outcome": None} | _payload("data", one.data)
    else:
        told |= {
            "outcome": one.status,
            "decided_at": _instant(one.decided_at),
            "decided_by": one.decided_by,
            "comment": one.comment,
        }
        told |= _payload("data", one.final)
    body = event_body(type_, entry.at, entry.id, told)
    return Event(type_, f"{one.id}.{key}", one.run_id, one.task, entry.id, without_tokens(body))


def _payload(name: str, text: str | None) -> dict[str, Any]:
    """The payload as people would write it, or a note that it is too large."""
    if text is None:
        return {name: None}
    if is_stand_in(text) or len(text.encode()) > LARGEST:
        return {name: None, "note": f"{name} is larger than {LARGEST} bytes and left out: read it by the API"}
    return {name: readable(text)}


def _error(text: str) -> dict[str, Any]:
    """The failure's class and message; its traceback is for operators."""
    found = readable(text)
    if not isinstance(found, dict):
        return {"error": {"type": "", "message": _short(str(found))}}
    return {"error": {"type": str(found.get("type", "")), "message": _short(str(found.get("message", "")))}}


def _short(message: str) -> str:
    return message if len(message) <= LARGEST // 4 else message[: LARGEST // 4] + "…"


def _said(entry: Entry) -> dict[str, Any]:
    try:
        found = json.loads(entry.detail or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _instant(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
