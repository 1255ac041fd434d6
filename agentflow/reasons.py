"""Why a run is where it is: one sentence for every open run, with what or who moves it on, and when."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, assert_never

from agentflow.durations import describe
from agentflow.failures import Failure
from agentflow.states import RunStatus, WaitKind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from agentflow.records import Run, Wait, Worker


def why(  # noqa: PLR0911  one sentence for each status
    run: Run, waits: Sequence[Wait], workers: Sequence[Worker], *, now: datetime
) -> str:
    """The sentence. `workers` are those with a recorded lease."""
    match run.status:
        case RunStatus.QUEUED:
            return _queued(run, workers, now)
        case RunStatus.RUNNING:
            return f"worker {run.worker_id} is executing it (turn {run.epoch}, attempt {run.attempt})"
        case RunStatus.WAITING:
            return "; ".join(_waiting(wait, now) for wait in waits) or "it waits for nothing that is recorded: a defect"
        case RunStatus.PAUSED:
            return f"{_paused(run)}; it goes on when somebody resumes it"
        case RunStatus.EXPIRED:
            return f"it expired {_ago(run.finished_at, now)}: no worker had started it by {run.expires_at}"
        case RunStatus.NEEDS_ATTENTION:
            said = Failure.from_json(run.error).message if run.error else "it stopped"
            return f"{said}. An operator resumes or cancels it."
        case RunStatus.COMPLETED:
            return f"it completed {_ago(run.finished_at, now)}"
        case RunStatus.FAILED:
            said = Failure.from_json(run.error).message if run.error else "no reason is recorded"
            return f"it failed {_ago(run.finished_at, now)}: {said}"
        case RunStatus.CANCELLED:
            return f"it was cancelled {_ago(run.finished_at, now)}"
        case _:
            assert_never(run.status)


def _paused(run: Run) -> str:
    said = json.loads(run.pause or "{}")
    return f"paused by {said.get('by', 'somebody')}" + (f": {said['reason']}" if said.get("reason") else "")


def _queued(run: Run, workers: Sequence[Worker], now: datetime) -> str:
    if run.available_at is not None and run.available_at > now:
        what = f"attempt {run.attempt} begins" if run.attempt > 1 else "it begins"
        return f"{what} in {_span(run.available_at - now)}"
    alive = [worker for worker in workers if worker.lease_until > now]
    if not alive:
        return (
            f"no worker is running; start one that has task {run.task!r} with `agentflow serve` or `agentflow worker`"
        )
    return f"it is next in queue {run.queue!r} for a worker that has task {run.task!r} ({len(alive)} running)"


def _waiting(wait: Wait, now: datetime) -> str:
    since = f"for {_span(now - wait.opened_at)}"
    left = None if wait.due_at is None else _span(max(wait.due_at - now, now - now))
    match wait.kind:
        case WaitKind.APPROVAL:
            return f"waiting {since} for a person to decide approval {wait.subject} ({wait.key})"
        case WaitKind.CHILD:
            return f"waiting {since} for run {wait.subject} ({wait.key})"
        case WaitKind.TIMER:
            return f"sleeping until its timer fires in {left} ({wait.key})"
        case WaitKind.RETRY:
            return f"{wait.key} failed and is tried again in {left}"
        case WaitKind.EVENT | WaitKind.MESSAGE:
            name, _, key = (wait.subject or "").partition(":")
            until = "" if left is None else f", at most {left} more"
            return f"waiting {since} for event {name!r}" + (f" of {key!r}" if key else "") + f"{until} ({wait.key})"
        case WaitKind.CALLBACK:
            until = "" if left is None else f", at most {left} more"
            return f"waiting {since} for another system to complete callback {wait.subject}{until} ({wait.key})"
        case _:
            assert_never(wait.kind)


def _ago(instant: datetime | None, now: datetime) -> str:
    return "at an unknown time" if instant is None else f"{_span(now - instant)} ago"


def _span(span: timedelta) -> str:
    """A span as people say it: to the second, to the minute from an hour on."""
    unit = timedelta(minutes=1) if span >= timedelta(hours=1) else timedelta(seconds=1)
    return describe(span - span % unit) if span >= unit else "under a second"
