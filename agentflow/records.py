"""What the store hands out: frozen records of things that exist.

A record is made by the store only, so holding one means the thing was stored. Instants are aware and in UTC; payloads
(`input`, `output`, `data`, …) are JSON text exactly as stored, decoded where their type is known.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from agentflow.states import TERMINAL, ApprovalStatus, EntryKind, RunStatus, Verdict, WaitKind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One durable execution of a task for one input."""

    id: str
    task: str
    version: str
    status: RunStatus
    queue: str
    priority: int
    input: str
    output: str | None
    error: str | None
    epoch: int
    attempt: int
    recoveries: int
    worker_id: str | None
    origin: str
    idempotency_key: str | None
    parent_id: str | None
    root_id: str
    available_at: datetime | None
    deadline_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def is_finished(self) -> bool:
        """Whether the run has ended, one way or another."""
        return self.status in TERMINAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that happened to a run.

    `key` names the operation (`scope/name#n`) or is None for the run itself; `operation` says what kind it is
    (`step`, `await`, `approval`, `timer`, `child`, `trigger`, `value`, `gather`); `took` is how long it ran.
    """

    id: int
    run_id: str
    seq: int
    kind: EntryKind
    key: str | None
    operation: str | None
    epoch: int
    attempt: int
    at: datetime
    took: timedelta | None
    input: str | None
    output: str | None
    error: str | None
    detail: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """A line a run logged; `key` is the operation it was logged in, or None."""

    run_id: str
    at: datetime
    level: str
    logger: str
    message: str
    key: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """An open wait of a run: why it does not go on."""

    run_id: str
    key: str
    kind: WaitKind
    subject: str | None
    opened_at: datetime
    due_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A request for a person's decision, and the decision once there is one."""

    id: str
    run_id: str
    task: str
    key: str
    status: ApprovalStatus
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
    allow: str
    data: str
    schema: str
    digest: str
    on_timeout: str
    default: str | None
    version: int
    created_at: datetime
    deadline_at: datetime | None
    decided_at: datetime | None
    decided_by: str | None
    channel: str | None
    comment: str
    final: str | None
    final_digest: str | None
    patch: str | None
    decision_id: str | None

    @property
    def is_pending(self) -> bool:
        """Whether a decision is still wanted."""
        return self.status is ApprovalStatus.PENDING

    @property
    def allowed(self) -> Sequence[Verdict]:
        """The verdicts the task accepts, in the order they are offered."""
        return tuple(Verdict(verdict) for verdict in self.allow.split(","))


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The receipt of a decision that was recorded. `repeated` if this very decision had been recorded before."""

    id: str
    approval_id: str
    run_id: str
    verdict: Verdict
    outcome: ApprovalStatus
    decided_by: str
    channel: str
    comment: str
    final: str | None
    final_digest: str | None
    decided_at: datetime
    repeated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A process that executes runs; its lease covers every run it holds."""

    id: str
    host: str
    pid: int
    started: str
    started_at: datetime
    lease_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A stored rule that starts runs; `next_fire_at` is None when it will never fire again."""

    id: str
    task: str
    rule: str
    timezone: str
    input: str
    next_fire_at: datetime | None
    last_fire_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """One fire time of a schedule and the run it started."""

    schedule_id: str
    fire_at: datetime
    run_id: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One authentic webhook request and the run it started."""

    webhook: str
    delivery_id: str
    digest: str
    run_id: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some of a listing, newest first; `next_cursor` fetches what follows, None at the end."""

    items: Sequence[T]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many runs are in each status, and how many approvals are pending."""

    runs: dict[RunStatus, int] = field(default_factory=dict)
    pending_approvals: int = 0
