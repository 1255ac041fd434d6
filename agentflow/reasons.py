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

    from agentflow.records import QueuePlace, Run, Wait, Worker

MOST_LISTED = 10


def why(
    run: Run, waits: Sequence[Wait], workers: Sequence[Worker], *, now: datetime, place: QueuePlace | None = None
) -> str:
    """The sentence. `workers` are those with a recorded lease; `place` is that of a queued run in its queue."""
    if run.pruned_at is not None:
        ended = f"it ended as {run.status} {_ago(run.finished_at, now)}"
        return f"{ended}; its journal, input and output were removed {_ago(run.pruned_at, now)}"
    sentence = _why(run, waits, workers, now, place)
    return sentence if run.ending is None or run.is_finished else f"{_ending(run)}; {sentence}"


def _ending(run: Run) -> str:
    """How a run is going to end, and what is done before."""
    told = json.loads(run.ending or "{}")
    verb = "fail" if told["as"] == RunStatus.FAILED else f"be {told['as']}"
    return f"it is to {verb} once its steps are undone ({told['said']})"


def _why(  # noqa: PLR0911  one sentence for each status
    run: Run, waits: Sequence[Wait], workers: Sequence[Worker], now: datetime, place: QueuePlace | None
) -> str:
    match run.status:
        case RunStatus.QUEUED:
            return _queued(run, workers, now, place)
        case RunStatus.RUNNING:
            doing = "executing" if run.ending is None else "undoing"
            to_pause = "" if run.pause is None else f"; at its next checkpoint it is {_paused(run)}"
            return f"worker {run.worker_id} is {doing} it (turn {run.epoch}, attempt {run.attempt}){to_pause}"
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


def _queued(run: Run, workers: Sequence[Worker], now: datetime, place: QueuePlace | None) -> str:
    if run.available_at is not None and run.available_at > now:
        what = f"attempt {run.attempt} begins" if run.attempt > 1 else "it begins"
        return f"{what} in {_span(run.available_at - now)}"
    if place is not None and place.is_paused:
        said = f": {place.pause_reason}" if place.pause_reason else ""
        return f"queue {place.queue!r} is paused by {place.paused_by}{said}; it goes on when somebody resumes the queue"
    alive = [worker for worker in workers if worker.lease_until > now and worker.draining_at is None]
    if not alive:
        return (
            f"no worker is running; start one that has task {run.task!r} with `agentflow serve` or `agentflow worker`"
        )
    knowing = [worker for worker in alive if not _names(run).isdisjoint(json.loads(worker.tasks))]
    able = sum(run.queue in (json.loads(worker.queues) or (run.queue,)) for worker in knowing)
    if not able:
        return _unserved(run) if knowing else _unmet(run, alive) or _unknown(run, alive)
    next_in_line = f"it is next in queue {run.queue!r} for a worker that has task {run.task!r} ({able} running)"
    return next_in_line if place is None else _held_back(place, now) or next_in_line


def _held_back(place: QueuePlace, now: datetime) -> str:
    """The limit of its queue that keeps a run from starting; empty if none does."""
    limits = place.limits
    if limits.concurrency is not None and place.running >= limits.concurrency:
        return f"queue {place.queue!r} runs {place.running} of {limits.concurrency}; it starts when one of them ends"
    if limits.per_key is not None and place.running_of_key >= limits.per_key:
        whose = "runs without a key have" if place.queue_key is None else f"key {place.queue_key!r} has"
        return (
            f"{whose} {place.running_of_key} of {limits.per_key} running in queue {place.queue!r}; "
            "it starts when one of them ends"
        )
    if place.starts_at is not None:
        return f"{place.scarce} reached in queue {place.queue!r}, next start in {_span(place.starts_at - now)}"
    return ""


def _names(run: Run) -> set[str]:
    """What a worker that takes the run says it serves."""
    return {f"{run.task}@{run.version}", f"{run.task}@*"}


def _unserved(run: Run) -> str:
    return (
        f"no worker that is alive takes runs of queue {run.queue!r}; start one with `agentflow worker` and "
        f"`--queue {run.queue}`, or without --queue"
    )


def _unmet(run: Run, alive: Sequence[Worker]) -> str:
    """Workers have the code and lack labels it needs; empty if none has the code."""
    offers: list[dict[str, list[str]]] = [json.loads(worker.lacks) for worker in alive]
    lacking = [set(lacks) for offer in offers for name, lacks in offer.items() if name in _names(run)]
    if not lacking:
        return ""
    shared = sorted(set.intersection(*lacking))
    _, wanted = (0, shared) if shared else min((len(one), sorted(one)) for one in lacking)
    return (
        f"{'no worker that is alive has' if shared else 'the nearest of the workers alive lacks'} label "
        f"{' and '.join(map(repr, wanted))}, which task {run.task!r} needs; start one with `agentflow worker` and "
        f"`{' '.join(f'--label {label}' for label in wanted)}`"
    )


def _unknown(run: Run, alive: Sequence[Worker]) -> str:
    """No worker has the code; which code there is: other versions of it first."""
    known = {name for worker in alive for name in json.loads(worker.tasks)}
    names = sorted(name for name in known if not name.endswith("@*"))
    names.sort(key=lambda name: not name.startswith(f"{run.task}@"))
    listed = ", ".join(names[:MOST_LISTED]) + (", …" if len(names) > MOST_LISTED else "")
    return (
        f"no worker that is alive knows task {run.task!r} (version {run.version}); the workers alive know "
        f"{listed or 'no task'}"
    )


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
