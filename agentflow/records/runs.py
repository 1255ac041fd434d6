"""Runs, what is recorded of them, and the workers that execute them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agentflow.states import TERMINAL, EntryKind, ParentClose, RunStatus, WaitKind

if TYPE_CHECKING:
    from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One durable execution of a task for one input.

    `queue_key` is whose share of the queue it takes and `cost` what its start takes of the queue's budget; not started
    by `expires_at` it expires. `ending` is how it is to end once its steps are undone, and `pause` who paused it and
    why, each as JSON. `forked_from` is the run it is a fork of. `tags` is a JSON list and `metadata` a JSON object, of
    whoever triggered it. Since `pruned_at` there is no more of it than this record and its approvals: its journal,
    input and output have been removed.
    """

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
    queue_key: str | None
    cost: int
    expires_at: datetime | None
    singleton_key: str | None
    on_parent_close: ParentClose
    ending: str | None
    pause: str | None
    forked_from: str | None
    pruned_at: datetime | None = None
    tags: str | None = None
    metadata: str | None = None

    @property
    def is_finished(self) -> bool:
        """Whether the run has ended, one way or another."""
        return self.status in TERMINAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that happened to a run.

    `key` names the operation (`scope/name#n`) or is None for the run itself; `operation` says what kind it is
    (`step`, `await`, `approval`, `timer`, `child`, `trigger`, `value`, `gather`, `map`); `took` is how long it ran.
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
class Worker:
    """A process that executes runs; its lease covers every run it holds.

    `tasks` is a JSON list of "id@version"; `labels` and `queues` are lists too, the latter empty where it takes runs of
    any queue. `lacks` is a JSON object of tasks it knows and does not take, with the labels it would need for them.
    From `draining_at` on it takes no more runs, and ends.
    """

    id: str
    host: str
    pid: int
    started: str
    started_at: datetime
    lease_until: datetime
    tasks: str
    labels: str
    lacks: str
    queues: str
    draining_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many runs are in each status, and how many approvals are pending."""

    runs: dict[RunStatus, int] = field(default_factory=dict)
    pending_approvals: int = 0
