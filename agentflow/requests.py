"""What the store is asked for: frozen requests, one for each verb that takes more than an id."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from agentflow.states import EntryKind, Verdict, WaitKind


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerRun:
    """A run to be made. `input` is the encoded arguments; `deliver` and `fire` make it for a delivery or occurrence.

    `id` is given where the caller derives it, so that a repeated request finds the run the first one made.
    """

    task: str
    version: str
    input: str
    id: str | None = None
    queue: str = "default"
    priority: int = 0
    delay: timedelta | None = None
    max_duration: timedelta | None = None
    idempotency_key: str | None = None
    origin: str = "api"


@dataclass(frozen=True, slots=True)
class Lease:
    """A turn's hold on a run; every write of the turn carries it."""

    run_id: str
    epoch: int
    worker_id: str


@dataclass(slots=True)
class NewEntry:
    """A journal entry to be appended. `took` and `at` are in microseconds; the store stamps `at` when it is None."""

    kind: EntryKind
    key: str | None = None
    operation: str | None = None
    attempt: int = 1
    took: int | None = None
    input: str | None = None
    output: str | None = None
    error: str | None = None
    detail: str | None = None


@dataclass(slots=True, kw_only=True)
class NewLogLine:
    """A log line to be kept; `at` is in microseconds."""

    run_id: str
    at: int
    level: str
    logger: str
    message: str
    key: str | None
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewApproval:
    """An approval to be opened. Payloads are JSON text; `timeout` counts from the store's clock when it opens."""

    id: str
    title: str
    summary: str
    body: str
    reason: str
    risk: str
    priority: int
    confidence: float | None
    field_confidence: str
    evidence: str
    tags: str
    allow: Sequence[Verdict]
    data: str
    schema: str
    digest: str
    timeout: timedelta | None
    on_timeout: str
    default: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenWait:
    """A wait to be opened under `key`; `subject` is the approval or child run it is for."""

    key: str
    kind: WaitKind
    subject: str | None = None
    due_at: datetime | None = None
    approval: NewApproval | None = None
    replaces: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decide:
    """A person's decision. `id` is chosen by the caller: the same id again is the same decision, not a second one.

    `final` is the JSON text of the corrected data, or None where the data stands as the task proposed it.
    """

    id: str
    approval_id: str
    verdict: Verdict
    decided_by: str
    channel: str
    comment: str = ""
    final: str | None = None
    expected_version: int | None = None


# -- outcomes of a turn -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Completed:
    """The task returned; `output` is the encoded result."""

    output: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The task failed for good."""

    error: str


@dataclass(frozen=True, slots=True)
class TryAgain:
    """The task failed and its policy allows another attempt; `retry_key` is the operation whose failure escaped."""

    error: str
    delay: timedelta
    retry_key: str | None


@dataclass(frozen=True, slots=True)
class NeedsAttention:
    """An operator has to choose; `kind` says why (diverged, or a step that may have run)."""

    kind: EntryKind
    error: str
    detail: str


@dataclass(frozen=True, slots=True)
class HandedBack:
    """The worker is stopping: the run goes back to the queue as it is."""


Outcome = Completed | Failed | TryAgain | NeedsAttention | HandedBack


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclareSchedule:
    """A schedule as declared in code; `first_fire_at` is used when it is new or its rule changed."""

    id: str
    task: str
    version: str
    rule: str
    timezone: str
    input: str
    first_fire_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fire:
    """An occurrence to be started: at most one run for (schedule, fire_at), and the schedule advanced with it."""

    schedule_id: str
    fire_at: datetime
    next_fire_at: datetime | None
    run: TriggerRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliver:
    """An authentic webhook request; `digest` is of its raw body."""

    webhook: str
    delivery_id: str
    digest: str
    run: TriggerRun


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs a listing shows."""

    statuses: Sequence[str] = ()
    task: str | None = None
    parent_id: str | None = None
    search: str | None = None
    cursor: str | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalFilter:
    """Which approvals a listing shows. Pending ones come by urgency, decided ones newest first."""

    pending: bool | None = True
    run_id: str | None = None
    search: str | None = None
    cursor: str | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRuns:
    """What a worker can take: tasks it knows by id, on its queues, up to `limit`."""

    worker_id: str
    tasks: Sequence[str]
    limit: int
    queues: Sequence[str] = field(default=())
