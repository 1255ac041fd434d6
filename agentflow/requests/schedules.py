"""Schedules to be stored, and what schedulers and people ask to be done with them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from agentflow.states import OccurrenceKind, Overlap

if TYPE_CHECKING:
    from datetime import datetime

    from agentflow.requests.runs import TriggerRun


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclareSchedule:
    """A schedule as it is to be. `input` is the JSON object it was written with."""

    id: str
    task: str
    rule: str
    timezone: str = "UTC"
    input: str = "{}"
    spread: timedelta = timedelta()
    overlap: Overlap = Overlap.ALLOW
    catch_up: str = "latest"
    start_at: datetime | None = None
    end_at: datetime | None = None
    occurrence_as: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseSchedule:
    """A schedule to be paused, or to be gone on with."""

    schedule_id: str
    paused: bool
    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fire:
    """An occurrence that has come due, and the one after it (None: the schedule is over).

    It holds for the `revision` of the schedule from which both were worked out, and for no other.
    """

    schedule_id: str
    revision: int
    fire_at: datetime
    next_fire_at: datetime | None
    run: TriggerRun
    kind: OccurrenceKind = OccurrenceKind.DUE


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """`count` occurrences from `fire_at` on that are not to be started, and the one after them."""

    schedule_id: str
    revision: int
    fire_at: datetime
    count: int
    next_fire_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartQueued:
    """An occurrence that is queued, and its run."""

    schedule_id: str
    fire_at: datetime
    run: TriggerRun


@dataclass(frozen=True, slots=True, kw_only=True)
class FireByHand:
    """An occurrence that somebody asks for. `fire_at` is no whole second, so it is never one of the schedule's own."""

    schedule_id: str
    fire_at: datetime
    by: str
    run: TriggerRun


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestBackfill:
    """A range of the past to be filled in, from `since` until before `until`."""

    id: str
    schedule_id: str
    since: datetime
    until: datetime
    overlap: Overlap
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvanceBackfill:
    """The first occurrence of a backfill from `cursor` on, with its run, and the one after it.

    Both are None where the range holds no further one, and so is what comes after the last.
    """

    backfill_id: str
    cursor: datetime
    fire_at: datetime | None
    next_at: datetime | None
    run: TriggerRun | None
