"""What the API sends and takes, as documented in its schema. Payloads are plain JSON, without the store's tags."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from msgspec import UNSET

from agentflow.payloads import readable
from agentflow.records import Approval, Decision, Entry, LogLine, Run
from agentflow.states import ApprovalStatus, EntryKind, RunStatus, Verdict
from approvals_ui.timeline import failure_of


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """A run to be started: the task's id, its parameters by name, and perhaps a key that makes it happen once.

    It starts after `delay`, or not before `at`, with a head start of `priority` seconds, and expires if it has not
    within `ttl`; `queue_key` is whose share of its queue it takes.
    """

    task: str
    input: dict[str, Any] | None = None
    idempotency_key: str | None = None
    delay: str | None = None
    at: datetime | None = None
    priority: int | None = None
    ttl: str | None = None
    queue_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Steering:
    """Why a run is cancelled, paused or retried."""

    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resuming:
    """`output` is what the operation returned whose end is not known; leave it out to run the operation again."""

    output: Any = field(default_factory=lambda: UNSET)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forking:
    """Where a fork goes on, and what it takes the place of.

    `from_key` is the first operation that is not taken over; without it everything recorded is. `patch` gives other
    results by key, `version` another version of the task.
    """

    from_key: str | None = None
    patch: dict[str, Any] | None = None
    version: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Who paused a run, and why."""

    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDecision:
    """An answer. `data` is the final data; leave it out to accept what was proposed.

    The same `decision_id` again is the same decision. `version` refuses the answer if the request has changed.
    """

    verdict: Verdict
    data: Any = field(default_factory=lambda: UNSET)
    comment: str = ""
    decision_id: str | None = None
    version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureView:
    """Why a run or an operation failed."""

    type: str
    message: str
    traceback: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """A run. `why` says what it waits for, where one run is asked for.

    With `pause` it is paused, or is at its next checkpoint; with `is_undoing` it undoes its steps before it ends.
    """

    id: str
    task: str
    version: str
    status: RunStatus
    input: Any
    output: Any
    error: FailureView | None
    attempt: int
    epoch: int
    queue: str
    queue_key: str | None
    origin: str
    idempotency_key: str | None
    parent_id: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    available_at: datetime | None
    pause: Pause | None
    is_undoing: bool
    forked_from: str | None
    why: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPage:
    """Some runs, newest first; `next_cursor` fetches what follows."""

    items: list[RunView]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryView:
    """One thing that happened to a run; `took` is in seconds."""

    seq: int
    kind: EntryKind
    key: str | None
    operation: str | None
    epoch: int
    attempt: int
    at: datetime
    took: float | None
    input: Any
    output: Any
    error: FailureView | None
    detail: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalPage:
    """Some entries in order; ask again with `after=` the last `seq` while `more`."""

    items: list[EntryView]
    more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LogView:
    """A line a run logged."""

    at: datetime
    level: str
    logger: str
    message: str
    key: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalView:
    """A request for a decision, and the decision once there is one."""

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
    field_confidence: Any
    evidence: Any
    tags: Any
    allow: list[Verdict]
    data: Any
    schema: Any
    digest: str
    version: int
    created_at: datetime
    deadline_at: datetime | None
    decided_at: datetime | None
    decided_by: str | None
    channel: str | None
    comment: str
    final: Any
    patch: Any
    decision_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalPage:
    """Some requests; pending ones by urgency, decided ones newest first."""

    items: list[ApprovalView]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A recorded decision. `repeated` if this very decision had been recorded before."""

    id: str
    approval_id: str
    run_id: str
    verdict: Verdict
    outcome: ApprovalStatus
    decided_by: str
    comment: str
    final: Any
    final_digest: str | None
    decided_at: datetime
    repeated: bool


def run_view(run: Run, *, why: str | None = None) -> RunView:
    """The run as the API shows it."""
    return RunView(
        **_same(RunView, run, "input", "output", "error", "pause", "is_undoing", "why"),
        pause=None if run.pause is None else Pause(**json.loads(run.pause)),
        is_undoing=run.ending is not None and not run.is_finished,
        input=_plain(run.input),
        output=_plain(run.output),
        error=_failure(run.error),
        why=why,
    )


def entry_view(entry: Entry) -> EntryView:
    """The journal entry as the API shows it."""
    return EntryView(
        **_same(EntryView, entry, "input", "output", "error", "took"),
        took=entry.took.total_seconds() if entry.took is not None else None,
        input=_plain(entry.input),
        output=_plain(entry.output),
        error=_failure(entry.error),
    )


def log_view(line: LogLine) -> LogView:
    """The log line as the API shows it."""
    return LogView(**_same(LogView, line))


def approval_view(approval: Approval) -> ApprovalView:
    """The request as the API shows it."""
    parsed = ("field_confidence", "evidence", "tags", "data", "schema", "final", "patch")
    texts = {name: getattr(approval, name) for name in parsed}
    parts: dict[str, Any] = {name: None if text is None else json.loads(text) for name, text in texts.items()}
    return ApprovalView(
        **_same(ApprovalView, approval, "allow", *parsed),
        allow=list(approval.allowed),
        **parts,
    )


def receipt(decision: Decision) -> Receipt:
    """The recorded decision as the API shows it."""
    final = None if decision.final is None else json.loads(decision.final)
    return Receipt(**_same(Receipt, decision, "final"), final=final)


def _same(view: type, record: object, *but: str) -> dict[str, Any]:
    """The fields that are shown as they are recorded."""
    names = view.__dataclass_fields__  # type: ignore[attr-defined]
    return {name: getattr(record, name) for name in names if name not in but}


def _plain(text: str | None) -> Any:
    return None if text is None else readable(text)


def _failure(text: str | None) -> FailureView | None:
    failure = failure_of(text)
    if failure is None:
        return None
    return FailureView(type=failure.type, message=failure.message, traceback=failure.traceback)
