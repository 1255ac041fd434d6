"""Runs: to be started, steered and read."""

import json
from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from agentflow.records import Run
from agentflow.states import RunStatus
from approvals_ui.api.fields import (
    ID_TAIL,
    LARGEST,
    LONGEST_ID,
    Asked,
    Count,
    Instant,
    Json,
    JsonObject,
    Key,
    Limit,
    QueueName,
    Reason,
    RunId,
    Search,
    Span,
    TaskId,
    Text,
    Told,
    Who,
)
from approvals_ui.api.shapes.reading import FailureView, failure, parsed, plain, same

MOST_AT_ONCE = 100
IdempotencyKey = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=500,
        examples=["invoice-2026-114"],
        description="The caller's name for this start; the same key never makes a second run.",
    ),
]
Tag = Annotated[str, Meta(min_length=1, max_length=100, examples=["nightly"])]
Tags = Annotated[list[Tag], Meta(max_length=20, examples=[["nightly", "acme"]], description="Words to find it by.")]
RunCursor = Annotated[
    str,
    Meta(
        pattern=r"^run_[0-9A-Za-z_.:-]{1,200}$",
        examples=[f"run_{ID_TAIL}"],
        description="The `next_cursor` of the page before. Nothing else is one.",
    ),
]
Version = Annotated[str, Meta(max_length=200, examples=["1"])]


class NewRun(Asked):
    """A run to be started: the task's id, its parameters by name, and perhaps a key that makes it happen once.

    It starts after `delay`, or not before `at`, with a head start of `priority` seconds, and expires if it has not
    within `ttl`; `queue_key` is whose share of its queue it takes. `tags` and `metadata` are the caller's own.
    """

    task: TaskId
    input: JsonObject | None = None
    idempotency_key: IdempotencyKey | None = None
    delay: Span | None = None
    at: Instant | None = None
    priority: Annotated[int, Meta(ge=-(10**8), le=10**8)] | None = None
    ttl: Span | None = None
    queue_key: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    tags: Tags | None = None
    metadata: JsonObject | None = None


class NewRuns(Asked):
    """Several runs to be started, each by itself."""

    items: Annotated[list[NewRun], Meta(min_length=1, max_length=MOST_AT_ONCE)]


class RunsQuery(Asked):
    """Which runs are listed: those that meet every condition that is given. Created from, and before, an instant."""

    status: Annotated[list[RunStatus], Meta(max_length=9, description="One of these; may be given several times.")] = []  # noqa: RUF012  msgspec gives each its own
    task: Annotated[str, Meta(max_length=LONGEST_ID, description="Of this task.")] | None = None
    queue: QueueName | None = None
    tag: Annotated[list[Tag], Meta(max_length=20, description="With all of these tags.")] = []  # noqa: RUF012  as above
    origin: (
        Annotated[str, Meta(max_length=LONGEST_ID, description='Started by this: "api", "schedule nightly".')] | None
    ) = None
    parent: RunId | None = None
    created_from: Instant | None = None
    created_until: Instant | None = None
    q: Search | None = None
    cursor: RunCursor | None = None
    limit: Limit = 50


class StuckQuery(Asked):
    """How many."""

    limit: Limit = 50


class ResultQuery(Asked):
    """How long to wait: up to a minute."""

    wait: Span | None = None


class JournalQuery(Asked):
    """Which entries: those after this `seq`."""

    after: Annotated[int, Meta(ge=0, le=LARGEST, description="The last `seq` that was read.")] = 0
    limit: Annotated[int, Meta(ge=1, le=1000, description="How many to give at once.")] = 200


class HistoryQuery(Asked):
    """Which events: those after this `seq`."""

    after: Annotated[int, Meta(ge=0, le=LARGEST, description="The last `seq` that was read.")] = 0
    limit: Annotated[int, Meta(ge=1, le=1000, description="How many to give at once.")] = 1000


class FollowQuery(Asked):
    """Which events: those after this `seq`; the header `Last-Event-ID` says the same, and counts more."""

    after: Annotated[int, Meta(ge=0, le=LARGEST, description="The last `seq` that was read.")] = 0


class Steering(Asked):
    """Why it is done."""

    reason: Reason = ""


class Resuming(Asked):
    """`output` is what the operation returned whose end is not known; leave it out to run the operation again."""

    output: Json | UnsetType = UNSET


class Forking(Asked):
    """Where a fork goes on, and what it takes the place of.

    `from_key` is the first operation that is not taken over; without it everything recorded is. `patch` gives other
    results by key, `version` another version of the task.
    """

    from_key: Key | None = None
    patch: Annotated[dict[str, Any], Meta(max_length=1000, examples=[{"fetch#1": {"total": 9}}])] | None = None
    version: Version | None = None
    reason: Reason = ""


class Pause(Told):
    """Who paused a run, and why."""

    by: Who
    reason: str


class RunView(Told):
    """A run. `why` says what it waits for, where one run is asked for.

    With `pause` it is paused, or is at its next checkpoint; with `is_undoing` it undoes its steps before it ends.
    """

    id: RunId
    task: TaskId
    version: Version
    status: RunStatus
    input: Json
    output: Json
    error: FailureView | None
    attempt: Count
    epoch: Count
    queue: QueueName
    queue_key: str | None
    priority: int
    origin: Annotated[str, Meta(examples=["api"], description="Who or what started it.")]
    idempotency_key: str | None
    parent_id: RunId | None
    created_at: Instant
    started_at: Instant | None
    finished_at: Instant | None
    available_at: Instant | None
    expires_at: Instant | None
    deadline_at: Instant | None
    pause: Pause | None
    is_undoing: bool
    forked_from: RunId | None
    tags: list[Text]
    metadata: JsonObject | None
    why: Annotated[str, Meta(examples=['it waits for a decision on "Invoice 114"'])] | None


class RunPage(Told):
    """Some runs, newest first; `next_cursor` fetches what follows, null at the end."""

    items: list[RunView]
    next_cursor: RunCursor | None


class RunList(Told):
    """Some runs."""

    items: list[RunView]


class Refusal(Told):
    """Why one of several was refused, as the problem document it would have got alone."""

    type: Annotated[str, Meta(examples=["urn:agentflow:problem:task-not-found"])]
    title: Text
    status: Annotated[int, Meta(ge=400, le=599, examples=[404])]
    detail: Text


class BatchItem(Told):
    """What became of one of several: its run, or why there is none."""

    run: RunView | None
    error: Refusal | None


class BatchReply(Told):
    """One item for each that was asked for, in their order."""

    items: list[BatchItem]


def run_view(run: Run, *, why: str | None = None) -> RunView:
    """The run as the API shows it."""
    shown = ("input", "output", "error", "pause", "is_undoing", "why", "tags", "metadata")
    return RunView(
        **same(RunView, run, *shown),
        pause=None if run.pause is None else Pause(**json.loads(run.pause)),
        is_undoing=run.ending is not None and not run.is_finished,
        input=plain(run.input),
        output=plain(run.output),
        error=failure(run.error),
        tags=parsed(run.tags) or [],
        metadata=parsed(run.metadata),
        why=why,
    )
