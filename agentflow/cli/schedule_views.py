"""Schedules as documents for programs, and as lines for people."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from agentflow.cli.documents import instant
from agentflow.cli.terminal import write, write_table
from agentflow.durations import describe
from agentflow.tasks.wording import rule_in_words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from agentflow.records import Backfill, Occurrence, Reconciled, Schedule, ScheduleChange


@dataclass(frozen=True, slots=True)
class Look:
    """One schedule and everything about it."""

    schedule: Schedule
    upcoming: Sequence[datetime]
    occurrences: Sequence[Occurrence]
    backfills: Sequence[Backfill]
    changes: Sequence[ScheduleChange]


# -- for programs


def schedule_document(one: Schedule) -> dict[str, Any]:
    """A schedule as `--json` prints it; `spread` is in seconds."""
    return {
        "id": one.id,
        "task": one.task,
        "rule": one.rule,
        "in_words": rule_in_words(one.rule, one.timezone),
        "timezone": one.timezone,
        "input": json.loads(one.input),
        "source": one.source,
        "next_fire_at": instant(one.next_fire_at),
        "last_fire_at": instant(one.last_fire_at),
        "spread": one.spread.total_seconds(),
        "overlap": str(one.overlap),
        "catch_up": one.catch_up,
        "start_at": instant(one.start_at),
        "end_at": instant(one.end_at),
        "occurrence_as": one.occurrence_as,
        "revision": one.revision,
        "paused_at": instant(one.paused_at),
        "paused_by": one.paused_by,
        "pause_reason": one.pause_reason,
        "changed_at": instant(one.changed_at),
        "changed_by": one.changed_by,
    }


def occurrence_document(one: Occurrence) -> dict[str, Any]:
    """An occurrence as `--json` prints it."""
    return {
        "fire_at": instant(one.fire_at),
        "kind": str(one.kind),
        "outcome": str(one.outcome),
        "count": one.count,
        "run_id": one.run_id,
        "run_status": None if one.run_status is None else str(one.run_status),
        "reason": one.reason,
        "revision": one.revision,
        "created_at": instant(one.created_at),
    }


def backfill_document(one: Backfill) -> dict[str, Any]:
    """A backfill as `--json` prints it."""
    return {
        "id": one.id,
        "schedule_id": one.schedule_id,
        "since": instant(one.since),
        "until": instant(one.until),
        "cursor": instant(one.cursor),
        "overlap": str(one.overlap),
        "started": one.started,
        "requested_by": one.requested_by,
        "created_at": instant(one.created_at),
        "finished_at": instant(one.finished_at),
        "cancelled_by": one.cancelled_by,
    }


def change_document(one: ScheduleChange) -> dict[str, Any]:
    """A change of a schedule as `--json` prints it."""
    return {"at": instant(one.at), "by": one.changed_by, "reason": one.reason, "change": json.loads(one.change)}


def look_document(found: Look) -> dict[str, Any]:
    """Everything about one schedule."""
    return schedule_document(found.schedule) | {
        "upcoming": [instant(at) for at in found.upcoming],
        "occurrences": [occurrence_document(one) for one in found.occurrences],
        "backfills": [backfill_document(one) for one in found.backfills],
        "changes": [change_document(one) for one in found.changes],
    }


def reconciled_document(found: Reconciled) -> dict[str, Any]:
    """What reconciling would do."""
    return {
        "added": [schedule_document(one) for one in found.added],
        "changed": [
            {"before": schedule_document(was), "after": schedule_document(one)}
            for was, one in zip(found.before, found.changed, strict=True)
        ],
        "removed": [schedule_document(one) for one in found.removed],
        "kept": [schedule_document(one) for one in found.kept],
    }


# -- for people


def local(at: datetime | None, timezone: str) -> str:
    """The time as the clocks of the zone show it."""
    return "" if at is None else f"{at.astimezone(ZoneInfo(timezone)):%Y-%m-%d %H:%M:%S}"


def state_of(one: Schedule) -> str:
    """Whether it fires, in one word."""
    if one.paused_at is not None:
        return "paused"
    if one.next_fire_at is None:
        return "over" if one.plan_from is None else "to be planned"
    return "on"


def write_schedules(found: Sequence[Schedule], *, now: datetime) -> None:
    """One line each."""
    rows = [
        (
            one.id,
            one.task,
            rule_in_words(one.rule, one.timezone),
            one.timezone,
            _next(one, now),
            state_of(one),
            str(one.overlap),
            one.catch_up,
            one.source,
        )
        for one in found
    ]
    write_table(("id", "task", "rule", "zone", "next", "state", "overlap", "catch up", "source"), rows)


def _next(one: Schedule, now: datetime) -> str:
    if one.next_fire_at is None:
        return ""
    left = one.next_fire_at - now
    soon = f"in {describe(left)}" if left.total_seconds() >= 1 else "due"
    return f"{local(one.next_fire_at, one.timezone)} ({soon})"


def write_look(found: Look, *, now: datetime) -> None:
    """A schedule on a page."""
    one = found.schedule
    paused = (
        "" if one.paused_at is None else f" by {one.paused_by}" + (f": {one.pause_reason}" if one.pause_reason else "")
    )
    about = (
        ("starts", f"{one.task} {one.input}"),
        ("rule", f"{rule_in_words(one.rule, one.timezone)} ({one.rule}), {one.timezone}"),
        ("state", f"{state_of(one)}{paused}"),
        ("next", _next(one, now)),
        ("spread", describe(one.spread) if one.spread else ""),
        ("overlap", str(one.overlap)),
        ("catch up", one.catch_up),
        ("start", local(one.start_at, one.timezone)),
        ("end", local(one.end_at, one.timezone)),
        ("revision", f"{one.revision}, by {one.changed_by or '?'} ({one.source})"),
    )
    write(one.id, "bold")
    for name, said in about:
        if said:
            write(f"  {name:<9} {said}")
    _section("next times", [f"{local(at, one.timezone)}  {at:%A}" for at in found.upcoming])
    _section("occurrences", [occurrence_line(each, one.timezone) for each in found.occurrences])
    _section("backfills", [backfill_line(each) for each in found.backfills])
    _section("changes", [change_line(each, one.timezone) for each in found.changes])


def _section(title: str, lines: Sequence[str]) -> None:
    if lines:
        write(title, "bold")
    for line in lines:
        write(f"  {line}")


def occurrence_line(one: Occurrence, timezone: str) -> str:
    """What became of a time."""
    count = f" {one.count:,} from then on" if one.count > 1 else ""
    run = "" if one.run_id is None else f"  {one.run_id} {one.run_status or ''}".rstrip()
    kind = "" if one.kind == "due" else f" ({one.kind.replace('_', ' ')})"
    return f"{local(one.fire_at, timezone)}  {one.outcome}{count}{kind}{run}" + (
        f"  {one.reason}" if one.reason else ""
    )


def backfill_line(one: Backfill) -> str:
    """How far a backfill has come."""
    ended = "finished" if one.cancelled_by is None else f"cancelled by {one.cancelled_by}"
    state = f"at {one.cursor:%Y-%m-%d %H:%M}" if one.finished_at is None else ended
    return (
        f"{one.id}  {one.since:%Y-%m-%d %H:%M} to {one.until:%Y-%m-%d %H:%M} UTC  {state}, "
        f"{one.started:,} started, asked for by {one.requested_by}"
    )


def change_line(one: ScheduleChange, timezone: str) -> str:
    """Who changed what."""
    return f"{local(one.at, timezone)}  {change_in_words(one.change)}, by {one.changed_by}" + (
        f": {one.reason}" if one.reason else ""
    )


def change_in_words(change: str) -> str:
    """What a change was."""
    made: dict[str, Any] = json.loads(change)
    if "removed" in made:
        return "removed"
    if "paused" in made:
        return "paused" if made["paused"][1] else "resumed"
    if made.get("task", ["?"])[0] is None:
        return f"made: {made.get('rule', ['', '?'])[1]}"
    return "; ".join(f"{name.replace('_', ' ')}: {_shown(was)} → {_shown(now)}" for name, (was, now) in made.items())


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)


def write_backfills(found: Sequence[Backfill]) -> None:
    """One line each."""
    rows = [
        (
            one.id,
            one.schedule_id,
            f"{one.since:%Y-%m-%d %H:%M}",
            f"{one.until:%Y-%m-%d %H:%M}",
            "open" if one.finished_at is None else "cancelled" if one.cancelled_by else "finished",
            f"{one.cursor:%Y-%m-%d %H:%M}",
            str(one.started),
            one.requested_by,
        )
        for one in found
    ]
    write_table(("id", "schedule", "since", "until", "state", "at", "started", "by"), rows)


def write_reconciled(found: Reconciled) -> None:
    """What would be added, changed and removed."""
    for one in found.added:
        write(f"+ {one.id}  {one.task}: {one.rule}, {one.timezone}", "green")
    for was, one in zip(found.before, found.changed, strict=True):
        write(f"~ {one.id}  {_differences(was, one)}", "yellow")
    for one in found.removed:
        write(f"- {one.id}  {one.task}: {one.rule}, {one.timezone}", "red")
    write(
        f"{len(found.added)} to add, {len(found.changed)} to change, {len(found.removed)} to remove, "
        f"{len(found.kept)} as they are; nothing was changed"
    )


DECLARED = ("task", "rule", "timezone", "input", "spread", "overlap", "catch_up", "start_at", "end_at", "occurrence_as")


def _differences(was: Schedule, one: Schedule) -> str:
    changed = [name for name in DECLARED if getattr(was, name) != getattr(one, name)]
    return "; ".join(f"{name}: {getattr(was, name)} → {getattr(one, name)}" for name in changed)
