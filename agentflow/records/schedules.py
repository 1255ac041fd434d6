"""Schedules, their occurrences, and the filling in of a range of the past."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from agentflow.states import OccurrenceKind, OccurrenceOutcome, Overlap, RunStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A stored rule that starts runs.

    `next_fire_at` is None when it will never fire again, or, where `plan_from` is set, until a scheduler has worked out
    the first time after that. `source` is "code" or "program". `spread` is within how long after the nominal time a run
    starts, `occurrence_as` the parameter that gets the nominal time. `revision` counts the changes.
    """

    id: str
    task: str
    rule: str
    timezone: str
    input: str
    next_fire_at: datetime | None
    last_fire_at: datetime | None
    created_at: datetime
    source: str
    spread: timedelta
    overlap: Overlap
    catch_up: str
    start_at: datetime | None
    end_at: datetime | None
    plan_from: datetime | None
    occurrence_as: str | None
    revision: int
    paused_at: datetime | None
    paused_by: str | None
    pause_reason: str | None
    changed_at: datetime | None
    changed_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """One fire time of a schedule, and the run it started if it did. A missed one stands for `count` of them.

    `run_status` is where that run is by now; None too where it was not looked up, or is not kept any more.
    """

    schedule_id: str
    fire_at: datetime
    run_id: str | None
    created_at: datetime
    kind: OccurrenceKind
    outcome: OccurrenceOutcome
    reason: str | None
    revision: int
    count: int
    run_status: RunStatus | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill:
    """A range of the past that is being filled in: every occurrence from `since` until before `until` that has no run.

    Schedulers do so bit by bit; it has come to `cursor`, and is done at `finished_at`.
    """

    id: str
    schedule_id: str
    since: datetime
    until: datetime
    cursor: datetime
    overlap: Overlap
    started: int
    requested_by: str
    created_at: datetime
    finished_at: datetime | None
    cancelled_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleChange:
    """One change of a schedule: what it was, by whom ("code": as it was started) and why.

    `change` is JSON: for each field that changed, `paused` and `removed` among them, what it was and what it is.
    """

    id: int
    schedule_id: str
    change: str
    changed_by: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """What became of the stored schedules of some tasks so that they are those declared in code.

    `changed` are as they are now, `before` as they were, in the same order.
    """

    added: Sequence[Schedule]
    changed: Sequence[Schedule]
    before: Sequence[Schedule]
    removed: Sequence[Schedule]
    kept: Sequence[Schedule]
