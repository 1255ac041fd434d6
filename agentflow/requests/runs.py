"""Runs to be made and claimed, and what a turn writes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from agentflow.states import ParentClose

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from agentflow.requests.spending import Kept
    from agentflow.states import EntryKind
    from agentflow.usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerRun:
    """A run to be made. `input` is the encoded arguments. A delivery or an occurrence makes its run with one.

    `id` is given where the caller derives it, so that a repeated request finds the run the first one made. It starts
    after `delay`, and not before `run_at`; `ttl` counts from then. `metadata` is a JSON object of whoever triggers it.
    """

    task: str
    version: str
    input: str
    id: str | None = None
    queue: str = "default"
    priority: int = 0
    delay: timedelta | None = None
    run_at: datetime | None = None
    max_duration: timedelta | None = None
    idempotency_key: str | None = None
    origin: str = "api"
    deadline_at: datetime | None = None
    queue_key: str | None = None
    cost: int = 1
    ttl: timedelta | None = None
    singleton: Singleton | None = None
    collect: Collect | None = None
    on_parent_close: ParentClose = ParentClose.CANCEL
    tags: Sequence[str] = ()
    metadata: str | None = None


@dataclass(frozen=True, slots=True)
class Singleton:
    """At most one open run of the task for this key; `conflict` says what becomes of a second one.

    `skip` refuses it, `replace` cancels the first, `join` gives the first.
    """

    key: str
    conflict: Literal["skip", "replace", "join"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collect:
    """Triggers of this key that come before the run starts become one run.

    `last`: the newest input counts and each trigger puts the start off by `delay`, but not past `most` after the
    first. `list`: the inputs are gathered in a list; it starts `delay` after the first, or with `size` of them.
    """

    key: str
    keep: Literal["last", "list"]
    delay: timedelta
    most: timedelta | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkRun:
    """A run to be made from another's journal up to `from_key` (all of it if None), some results replaced.

    `patch` gives other results, encoded, by key; `version` the version of the task, that of the run if None.
    """

    run_id: str
    by: str
    reason: str = ""
    from_key: str | None = None
    patch: Mapping[str, str] = field(default_factory=dict)
    version: str | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """A turn's hold on a run; every write of the turn carries it."""

    run_id: str
    epoch: int
    worker_id: str


@dataclass(slots=True)
class NewEntry:
    """A journal entry to be appended. `took` is in microseconds.

    `usage` is what the attempt used of language models, and `kept` what it keeps beside the journal: both are stored in
    the transaction that keeps the entry.
    """

    kind: EntryKind
    key: str | None = None
    operation: str | None = None
    attempt: int = 1
    took: int | None = None
    input: str | None = None
    output: str | None = None
    error: str | None = None
    detail: str | None = None
    usage: Sequence[Usage] = ()
    kept: Sequence[Kept] = ()


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
class NewWorker:
    """A process that is going to execute runs of these tasks ("id@version"), in these queues if any are named.

    It has these labels, and lacks those in `lacks` for tasks that it knows and does not take.
    """

    host: str
    pid: int
    started: str
    lease_for: timedelta
    tasks: Sequence[str]
    labels: Sequence[str] = ()
    lacks: Mapping[str, Sequence[str]] = field(default_factory=dict)
    queues: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRuns:
    """What a worker can take, up to `limit`: runs of these tasks whatever their version, and of these versions."""

    worker_id: str
    tasks: Sequence[str]
    limit: int
    queues: Sequence[str] = field(default=())
    versions: Sequence[tuple[str, str]] = field(default=())
