"""A journal as a person reads it: one row for each operation, with its attempts, and the run's own events between."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from agentflow.errors import UndecodablePayload
from agentflow.failures import Failure
from agentflow.records import Approval, Entry
from agentflow.states import ApprovalStatus, EntryKind, WaitKind
from approvals_ui.waits import outcome_of, waits_for

ENDED: Final = {
    EntryKind.SUCCEEDED: "succeeded",
    EntryKind.FAILED: "failed",
    EntryKind.WAIT_RESOLVED: "succeeded",
    EntryKind.NOTED: "succeeded",
}
MOMENTS: Final = {
    EntryKind.TRIGGERED: ("Triggered", "neutral"),
    EntryKind.PARKED: ("Parked: holds no memory until something wakes it", "waiting"),
    EntryKind.REQUEUED: ("Back in the queue", "neutral"),
    EntryKind.RECOVERED: ("Recovered: its worker was lost", "warn"),
    EntryKind.PAUSED: ("Paused by an operator", "neutral"),
    EntryKind.RESUMED: ("Resumed by an operator", "neutral"),
    EntryKind.RETRIED: ("Tried again by an operator", "neutral"),
    EntryKind.FORKED: ("Forked", "neutral"),
    EntryKind.PATCHED: ("Took the new way at a patch", "neutral"),
    EntryKind.UNDOING: ("Is to end, and undoes its steps first", "warn"),
    EntryKind.RUN_ATTEMPT_FAILED: ("The task failed and will be tried again", "warn"),
    EntryKind.DIVERGED: ("The code no longer fits the journal", "bad"),
    EntryKind.QUARANTINED: ("Stopped: an operator has to choose", "bad"),
    EntryKind.RUN_COMPLETED: ("Completed", "good"),
    EntryKind.RUN_FAILED: ("Failed", "bad"),
    EntryKind.RUN_CANCELLED: ("Cancelled", "neutral"),
    EntryKind.RUN_EXPIRED: ("Expired: no worker had started it in time", "neutral"),
}
ICONS: Final = {
    "step": "step",
    "model": "agent",
    "tool": "tool",
    "instructions": "value",
    "await": "await",
    "approval": "approval",
    "timer": "timer",
    "child": "child",
    "trigger": "child",
    "gather": "gather",
    "map": "gather",
    "on_rollback": "undo",
    "undo": "undo",
    "value": "value",
    "event": "event",
    "message": "event",
    "receive": "event",
    "send": "send",
    "callback": "callback",
}
CALLS: Final = frozenset({"agent", "tool"})


@dataclass(slots=True)
class Row:
    """An operation (it has a key) or a moment of the run itself (it has none)."""

    seq: int
    at: datetime
    epoch: int
    key: str | None
    title: str
    icon: str
    status: str
    took: timedelta | None = None
    input: str | None = None
    output: str | None = None
    error: Failure | None = None
    detail: str | None = None
    about: str | None = None
    approval: Approval | None = None
    attempts: list[Attempt] = field(default_factory=list)
    new_turn: bool = False

    @property
    def depth(self) -> int:
        """How many scopes the operation is in."""
        return self.key.count("/") if self.key else 0

    @property
    def scope(self) -> str:
        """The branch or nested call it belongs to."""
        return (self.key or "").rpartition("/")[0].rpartition("/")[2]

    @property
    def is_call(self) -> bool:
        """Whether it is the call of a model or a tool by an agent, which has a page of its own."""
        return self.icon in CALLS

    @property
    def has_more(self) -> bool:
        """Whether there is anything to unfold."""
        return any((self.input, self.output, self.error, self.detail, self.attempts))


@dataclass(frozen=True, slots=True)
class Attempt:
    """A try that failed and was followed, or is to be followed, by another."""

    number: int
    at: datetime
    took: timedelta | None
    error: Failure | None
    detail: str | None


def rows_of(entries: Iterable[Entry], approvals: Mapping[str, Approval]) -> list[Row]:
    """The journal's entries as rows, in the order things began."""
    rows: list[Row] = []
    open_rows: dict[str, Row] = {}
    for entry in entries:
        if entry.key is None or entry.kind in MOMENTS:
            rows.append(_moment(entry))
            continue
        row = open_rows.get(entry.key)
        if row is None:
            row = _operation(entry, approvals.get(entry.key))
            open_rows[entry.key] = row
            rows.append(row)
        _apply(row, entry)
        if row.status == "failed" or (row.status == "succeeded" and entry.kind is not EntryKind.WAIT_RESOLVED):
            open_rows.pop(entry.key)
    _mark_turns(rows)
    return rows


def failure_of(text: str | None) -> Failure | None:
    """A stored failure, or None where there is none or it is unreadable."""
    if not text:
        return None
    try:
        return Failure.from_json(text)
    except UndecodablePayload:
        return Failure(type="unreadable", message=text[:2000], traceback="", attributes="{}", cause=None)


def _moment(entry: Entry) -> Row:
    title, tone = MOMENTS.get(entry.kind, (entry.kind.replace("_", " ").capitalize(), "neutral"))
    if entry.kind is EntryKind.DIVERGED and '"key"' in (entry.detail or ""):  # one operation is at fault, not the code
        title, tone = MOMENTS[EntryKind.QUARANTINED]
    return Row(
        seq=entry.seq,
        at=entry.at,
        epoch=entry.epoch,
        key=None,
        title=title,
        icon="moment",
        status=tone,
        took=entry.took,
        error=failure_of(entry.error),
        detail=entry.detail,
    )


def _operation(entry: Entry, approval: Approval | None) -> Row:
    kind = entry.operation or "step"
    scope, _, name = (entry.key or "").rpartition("/")
    return Row(
        seq=entry.seq,
        at=entry.at,
        epoch=entry.epoch,
        key=entry.key,
        title=name or scope,
        icon=ICONS.get(kind, "step"),
        status="running",
        approval=approval,
    )


def _apply(row: Row, entry: Entry) -> None:
    row.took = entry.took or row.took
    row.input = entry.input or row.input
    row.output = entry.output or row.output
    row.detail = entry.detail or row.detail
    if entry.kind is EntryKind.ATTEMPT_FAILED:
        error = failure_of(entry.error)
        row.attempts.append(Attempt(entry.attempt, entry.at, entry.took, error, entry.detail))
        row.status = "retrying"
    elif entry.kind is EntryKind.WAIT_OPENED:
        row.status = "retrying" if entry.operation == WaitKind.RETRY else "waiting"
        row.about = waits_for(entry)
    elif entry.kind is EntryKind.WAIT_RESOLVED and entry.operation == WaitKind.RETRY:
        row.status = "running"
    elif entry.kind is EntryKind.WAIT_RESOLVED and outcome_of(entry) == ApprovalStatus.TIMED_OUT:
        row.status = "timed_out"
    elif entry.kind is EntryKind.INPUT_CHANGED:
        row.status = "changed"
    else:
        row.status = ENDED.get(entry.kind, row.status)
        row.error = failure_of(entry.error) or row.error
    if entry.operation == "undo" and entry.kind is EntryKind.SUCCEEDED:  # it gives nothing but what it takes back
        row.about, row.output = (entry.detail or "").replace("undoes:", "undoes "), None


def _mark_turns(rows: Sequence[Row]) -> None:
    epoch = 0
    for row in rows:
        row.new_turn = row.epoch > epoch
        epoch = max(epoch, row.epoch)
