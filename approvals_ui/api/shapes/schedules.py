"""Schedules, their occurrences and backfills."""

from typing import Annotated

from msgspec import Meta

from agentflow.durations import describe
from agentflow.records import Backfill, Occurrence, Schedule
from agentflow.states import OccurrenceKind, OccurrenceOutcome, Overlap
from approvals_ui.api.fields import (
    Asked,
    BackfillId,
    Count,
    Cursor,
    Instant,
    Json,
    JsonObject,
    Limit,
    RunId,
    ScheduleId,
    Span,
    TaskId,
    Told,
    Who,
)
from approvals_ui.api.shapes.reading import parsed, same

Rule = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=2000,
        examples=["0 9 * * mon-fri"],
        description='A cron text, an interval ("every 30s"), dates ("at 2026-12-24 09:00"), or several of them joined.',
    ),
]
Zone = Annotated[str, Meta(min_length=1, max_length=100, examples=["Europe/Berlin"], description="An IANA time zone.")]
CatchUp = Annotated[
    str, Meta(pattern=r"^(none|latest|all(\([0-9]{1,9}\))?)$", examples=["latest"], description="What is caught up on.")
]
Parameter = Annotated[str, Meta(min_length=1, max_length=200, examples=["at"], description="A parameter of the task.")]


class NewSchedule(Asked):
    """A schedule as it is to be. Whatever is left out is as if it were new."""

    task: TaskId
    rule: Rule
    timezone: Zone = "UTC"
    input: JsonObject | None = None
    spread: Span | None = None
    overlap: Overlap = Overlap.ALLOW
    catch_up: CatchUp = "latest"
    start: Instant | None = None
    end: Instant | None = None
    occurrence_as: Parameter | None = None


class NewBackfill(Asked):
    """A range of the past, from `since` until before `until`, which is now if left out."""

    since: Instant
    until: Instant | None = None
    overlap: Overlap = Overlap.ALLOW


class OccurrencesQuery(Asked):
    """Which page."""

    cursor: Cursor | None = None
    limit: Limit = 50


class BackfillsQuery(Asked):
    """How many."""

    limit: Limit = 50


class UpcomingQuery(Asked):
    """How many."""

    count: Annotated[int, Meta(ge=1, le=100, description="How many times.")] = 10


class ScheduleView(Told):
    """A stored rule that starts runs.

    `next_fire_at` is null when it will never fire again, and until a scheduler has worked it out. `source` is "code" or
    "program"; `revision` counts the changes.
    """

    id: ScheduleId
    task: TaskId
    rule: Rule
    timezone: Zone
    input: Json
    source: Annotated[str, Meta(examples=["program"])]
    spread: Annotated[str, Meta(examples=["0s"])]
    overlap: Overlap
    catch_up: Annotated[str, Meta(examples=["latest"])]
    start_at: Instant | None
    end_at: Instant | None
    occurrence_as: str | None
    revision: Count
    next_fire_at: Instant | None
    last_fire_at: Instant | None
    created_at: Instant
    changed_at: Instant | None
    changed_by: Who | None
    paused_at: Instant | None
    paused_by: Who | None
    pause_reason: str | None


class ScheduleList(Told):
    """Every schedule, by id."""

    items: list[ScheduleView]


class OccurrenceView(Told):
    """One fire time of a schedule, and the run it started if it did. A missed one stands for `count` of them."""

    schedule_id: ScheduleId
    fire_at: Instant
    kind: OccurrenceKind
    outcome: OccurrenceOutcome
    run_id: RunId | None
    reason: str | None
    revision: Count
    count: Count
    created_at: Instant


class OccurrencePage(Told):
    """Some occurrences, the latest first; `next_cursor` fetches what follows."""

    items: list[OccurrenceView]
    next_cursor: Cursor | None


class BackfillView(Told):
    """A range of the past that is being filled in. It has come to `cursor`, and is done at `finished_at`."""

    id: BackfillId
    schedule_id: ScheduleId
    since: Instant
    until: Instant
    cursor: Instant
    overlap: Overlap
    started: Count
    requested_by: Who
    created_at: Instant
    finished_at: Instant | None
    cancelled_by: Who | None


class BackfillList(Told):
    """Backfills, newest first."""

    items: list[BackfillView]


class Upcoming(Told):
    """When the schedule fires next, the nearest first; none while it is paused or once it is over."""

    items: list[Instant]


def schedule_view(schedule: Schedule) -> ScheduleView:
    """The schedule as the API shows it."""
    shown = same(ScheduleView, schedule, "input", "spread")
    return ScheduleView(**shown, input=parsed(schedule.input), spread=describe(schedule.spread))


def occurrence_view(occurrence: Occurrence) -> OccurrenceView:
    """The occurrence as the API shows it."""
    return OccurrenceView(**same(OccurrenceView, occurrence))


def backfill_view(backfill: Backfill) -> BackfillView:
    """The backfill as the API shows it."""
    return BackfillView(**same(BackfillView, backfill))
