"""When a rule comes round in a time zone: the earliest of what it is joined from, less what it leaves out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from agentflow.tasks.rules import CalendarInterval, Cron, Dates, Every, Rule, parse_rule
from agentflow.tasks.schedule import check_timezone
from schedulers.calendars import calendar_of
from schedulers.walls import first_instant, next_elapsed, next_on_the_wall, offset_at, on_the_wall

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schedulers.walls import Calendar

SECOND: Final = timedelta(seconds=1)
A_DAY: Final = timedelta(days=1)
HOURS_A_DAY: Final = 24
# Past this no rule is followed: the calendars of some end soon after.
LAST: Final = datetime(2400, 1, 1, tzinfo=UTC)
# A rule whose times are left out as often as this in a row is taken to be over; it was refused if that can be told.
MOST_LEFT_OUT: Final = 100_000


@dataclass(frozen=True, slots=True)
class Part:
    """One of the rules that are joined by "or": how to walk its calendar, and whether it follows elapsed time."""

    of: Cron | Every | CalendarInterval | Dates
    calendar: Calendar
    is_elapsed: bool


@dataclass(frozen=True, slots=True)
class Trigger:
    """A rule in a time zone."""

    rule: Rule
    parts: tuple[Part, ...]
    zone: ZoneInfo


@lru_cache(maxsize=1024)
def trigger_for(rule: str, timezone: str) -> Trigger:
    """The trigger of this rule. Raises `DefinitionError` for a rule or time zone that cannot work."""
    check_timezone(timezone)
    parsed = parse_rule(rule, timezone)
    return Trigger(parsed, tuple(_part(parsed, one) for one in parsed.either), ZoneInfo(timezone))


def next_fire(trigger: Trigger, after: datetime) -> datetime | None:
    """The first instant later than `after` at which the rule comes round, in UTC; None if there is none."""
    start = after.astimezone(UTC).replace(microsecond=0) + SECOND
    if start > LAST:
        return None
    found = (_next(trigger, part, start) for part in trigger.parts)
    return min((one for one in found if one is not None and one < LAST), default=None)


def times(trigger: Trigger, after: datetime, until: datetime) -> Iterator[datetime]:
    """Each instant later than `after` and not later than `until` at which the rule comes round."""
    found = next_fire(trigger, after)
    while found is not None and found <= until:
        yield found
        found = next_fire(trigger, found)


def count(trigger: Trigger, after: datetime, until: datetime) -> int:
    """How many `times` there are. Whole days of a cron text are counted without being walked through."""
    if len(trigger.parts) > 1 or trigger.rule.unless:
        return sum(1 for _ in times(trigger, after, until))
    only = trigger.parts[0].of
    if isinstance(only, Every):
        since, to = (int(instant.timestamp()) // int(only.span.total_seconds()) for instant in (after, until))
        return max(0, to - since)
    if not isinstance(only, Cron):
        return sum(1 for _ in times(trigger, after, until))
    total = 0
    while after < until:
        end = min(_end_of_day(trigger.zone, after), until)
        plain = _on_plain_day(trigger.zone, only, after, end)
        total += sum(1 for _ in times(trigger, after, end)) if plain is None else plain
        after = end
    return total


def latest(trigger: Trigger, after: datetime, until: datetime, most: int) -> list[datetime]:
    """The last `most` of the `times`, oldest first: looked for in longer and longer spans before `until`."""
    span = SECOND * most
    while most:
        begin = max(after, until - span)
        found = list(times(trigger, begin, until))
        if len(found) >= most or begin == after:
            return found[-most:]
        span *= 2
    return []


# -- one part


def _part(rule: Rule, one: Cron | Every | CalendarInterval | Dates) -> Part:
    calendar = calendar_of(one)
    if isinstance(one, Every):
        return Part(one, calendar, is_elapsed=True)
    is_elapsed = isinstance(one, Cron) and len(one.hours) == HOURS_A_DAY
    return Part(one, partial(_less, rule, calendar) if rule.unless else calendar, is_elapsed)


def _less(rule: Rule, calendar: Calendar, wall: datetime) -> datetime | None:
    """The calendar's first time at or after this one that the rule does not leave out."""
    for _ in range(MOST_LEFT_OUT):
        found = calendar(wall)
        until = None if found is None else rule.left_out_until(found.replace(tzinfo=None))
        if until is None:
            return found
        wall = until.replace(tzinfo=UTC)
        if wall > LAST:
            return None
    return None


def _next(trigger: Trigger, part: Part, start: datetime) -> datetime | None:
    if isinstance(part.of, Every):
        return _next_interval(trigger, part, start)
    follow = next_elapsed if part.is_elapsed else next_on_the_wall
    return follow(part.calendar, trigger.zone, start)


def _next_interval(trigger: Trigger, part: Part, start: datetime) -> datetime | None:
    """Elapsed time knows no wall; what is left out is, on that of the schedule's zone."""
    for _ in range(MOST_LEFT_OUT):
        found = part.calendar(start)
        if found is None:
            return None
        until = trigger.rule.left_out_until(on_the_wall(trigger.zone, found).replace(tzinfo=None))
        if until is None:
            return found
        start = max(found + SECOND, first_instant(trigger.zone, until.replace(tzinfo=UTC)))
    return None


# -- counting days


def _end_of_day(zone: ZoneInfo, instant: datetime) -> datetime:
    """The last second of the day, or of the next one if this is it."""
    wall = on_the_wall(zone, instant + SECOND).replace(hour=0, minute=0, second=0, microsecond=0) + A_DAY
    return max(first_instant(zone, wall) - SECOND, instant + SECOND)


def _on_plain_day(zone: ZoneInfo, rule: Cron, after: datetime, until: datetime) -> int | None:
    """How often a cron text comes round later than `after` and until this time of the same day.

    None if the clocks are changed in between.
    """
    if offset_at(zone, after) != offset_at(zone, until):
        return None
    begin, end = on_the_wall(zone, after), on_the_wall(zone, until)
    if not rule.has_day(end.month, end.day, end.isoweekday() % 7):
        return 0
    return _up_to(rule, end) - (_up_to(rule, begin) if begin.date() == end.date() else 0)


def _up_to(rule: Cron, wall: datetime) -> int:
    """How many of its times a day has until this one."""
    seconds = sum(second <= wall.second for second in rule.seconds) if wall.minute in rule.minutes else 0
    minutes = sum(minute < wall.minute for minute in rule.minutes) * len(rule.seconds) + seconds
    hours = sum(hour < wall.hour for hour in rule.hours) * len(rule.minutes) * len(rule.seconds)
    return hours + (minutes if wall.hour in rule.hours else 0)
