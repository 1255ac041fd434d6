"""The states of runs, approvals and what starts runs, and every legal move of a run between them.

A move is named by the verb that makes it, not by its two ends: a stale turn's requeue and an operator's wake have the
same target, and only their names keep them apart. The guard in the store, the SQL `WHERE` and the diagram in the
documentation all read this table.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet


class RunStatus(StrEnum):
    """Where a run is."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    PAUSED = "paused"
    NEEDS_ATTENTION = "needs_attention"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


TERMINAL = frozenset({RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.EXPIRED})
OPEN = frozenset(RunStatus) - TERMINAL


class Transition(Enum):
    """Every legal move of a run, named by the verb that makes it: what happened, from where, to where."""

    CLAIM = ("a worker takes it", {RunStatus.QUEUED}, RunStatus.RUNNING)
    PARK = ("every branch waits", {RunStatus.RUNNING}, RunStatus.WAITING)
    WAKE = ("a wait is answered or due", {RunStatus.WAITING}, RunStatus.QUEUED)
    REQUEUE = ("tried again or handed back", {RunStatus.RUNNING}, RunStatus.QUEUED)
    RECOVER = ("its worker was lost", {RunStatus.RUNNING}, RunStatus.QUEUED)
    QUARANTINE = ("it lost too many workers", {RunStatus.RUNNING}, RunStatus.NEEDS_ATTENTION)
    DIVERGE = ("code and journal do not fit", {RunStatus.RUNNING}, RunStatus.NEEDS_ATTENTION)
    COMPLETE = ("the task returned", {RunStatus.RUNNING}, RunStatus.COMPLETED)
    FAIL = ("the task failed for good", {RunStatus.RUNNING}, RunStatus.FAILED)
    OVERRUN = ("its deadline has passed", OPEN - {RunStatus.NEEDS_ATTENTION}, RunStatus.FAILED)
    CANCEL = ("somebody cancelled it", OPEN, RunStatus.CANCELLED)
    UNDO = ("it is to end, and has steps to undo first", OPEN, RunStatus.QUEUED)
    ABORT = ("its steps are undone", {RunStatus.RUNNING}, RunStatus.CANCELLED)
    EXPIRE = ("nobody started it in time", {RunStatus.QUEUED}, RunStatus.EXPIRED)
    PAUSE = ("somebody paused it", {RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.WAITING}, RunStatus.PAUSED)
    RESUME = ("an operator resumes it", {RunStatus.PAUSED, RunStatus.NEEDS_ATTENTION}, RunStatus.QUEUED)
    RETRY = (
        "an operator has it tried again",
        {RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.EXPIRED},
        RunStatus.QUEUED,
    )

    def __init__(self, said: str, sources: AbstractSet[RunStatus], target: RunStatus) -> None:
        self.said = said
        self.sources = frozenset(sources)
        self.target = target


class ApprovalStatus(StrEnum):
    """Where an approval is; every value but `PENDING` is final."""

    PENDING = "pending"
    APPROVED = "approved"
    CORRECTED = "corrected"
    REJECTED = "rejected"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"


WITHDRAWN = frozenset({ApprovalStatus.CANCELLED, ApprovalStatus.SUPERSEDED})
DECIDED = frozenset({ApprovalStatus.APPROVED, ApprovalStatus.CORRECTED, ApprovalStatus.REJECTED})


class Verdict(StrEnum):
    """What a person may say. Whether an approval is a correction is computed from the data, not claimed."""

    APPROVE = "approve"
    CORRECT = "correct"
    REJECT = "reject"


class EntryKind(StrEnum):
    """What a journal entry says happened."""

    TRIGGERED = "triggered"
    STARTED = "started"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ATTEMPT_FAILED = "attempt_failed"
    WAIT_OPENED = "wait_opened"
    WAIT_RESOLVED = "wait_resolved"
    INPUT_CHANGED = "input_changed"
    NOTED = "noted"
    PATCHED = "patched"
    PARKED = "parked"
    REQUEUED = "requeued"
    RECOVERED = "recovered"
    RESUMED = "resumed"
    PAUSED = "paused"
    RETRIED = "retried"
    FORKED = "forked"
    UNDOING = "undoing"
    RUN_ATTEMPT_FAILED = "run_attempt_failed"
    DIVERGED = "diverged"
    QUARANTINED = "quarantined"
    RUN_COMPLETED = "run_completed"
    RUN_FAILED = "run_failed"
    RUN_CANCELLED = "run_cancelled"
    RUN_EXPIRED = "run_expired"


class WaitKind(StrEnum):
    """What a parked run waits for."""

    TIMER = "timer"
    RETRY = "retry"
    APPROVAL = "approval"
    CHILD = "child"
    EVENT = "event"
    MESSAGE = "message"
    CALLBACK = "callback"


class CallbackStatus(StrEnum):
    """Where a callback is; every value but `PENDING` is final."""

    PENDING = "pending"
    COMPLETED = "completed"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"


class ParentClose(StrEnum):
    """What becomes of a child run when its parent fails, is cancelled or overruns."""

    CANCEL = "cancel"
    ABANDON = "abandon"


class Overlap(StrEnum):
    """What becomes of an occurrence that comes due while a run of the same schedule is open."""

    ALLOW = "allow"
    SKIP = "skip"
    QUEUE = "queue"
    CANCEL = "cancel"


class OccurrenceKind(StrEnum):
    """Why an occurrence was to start a run: it came due, was caught up after downtime, or somebody asked for it."""

    DUE = "due"
    CAUGHT_UP = "caught_up"
    BACKFILL = "backfill"
    BY_HAND = "by_hand"


class OccurrenceOutcome(StrEnum):
    """What became of an occurrence. A `QUEUED` one starts when the runs before it have ended."""

    STARTED = "started"
    QUEUED = "queued"
    SKIPPED = "skipped"
    MISSED = "missed"


class DeliveryOutcome(StrEnum):
    """What became of an authentic webhook request; only those that started a run, or were ignored, are done with."""

    STARTED = "started"
    IGNORED = "ignored"
    REFUSED = "refused"
    CONFLICT = "conflict"


class DispatchStatus(StrEnum):
    """Where the sending of an event to a subscriber is; every value but `PENDING` is final until it is sent again."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    DISCARDED = "discarded"


class MatchStatus(StrEnum):
    """What became of an event for a task that listens; every value but `PENDING` is final."""

    PENDING = "pending"
    STARTED = "started"
    IGNORED = "ignored"
    FAILED = "failed"
