"""When a rule comes round: APScheduler walks the calendar, and this module puts its times on the clock.

APScheduler is asked for times on a wall clock that never changes (its zone is UTC here); which instants those are in
the schedule's time zone is decided below, in one place. A rule that names its hours follows the wall: each time happens
once, the first of the two when an hour is repeated in autumn, and at the first instant that exists when it is skipped
in spring. A rule for every hour of the day follows elapsed time: it goes on through a repeated hour and leaves out a
skipped one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from agentflow.clock import EPOCH
from agentflow.tasks.rules import MONTH_LENGTHS, Cron, Every, parse_rule
from agentflow.tasks.schedule import check_timezone

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apscheduler.triggers.base import BaseTrigger

SECOND: Final = timedelta(seconds=1)
HOURS_A_DAY: Final = 24
WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
# No zone changes its clock twice within so short a time; the search for a change need not look further.
NEAR: Final = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Trigger:
    """A rule in a time zone. `calendar` knows the times on the wall; `is_hourly`: it comes round in every hour."""

    calendar: BaseTrigger
    zone: ZoneInfo
    is_hourly: bool


@lru_cache(maxsize=1024)
def trigger_for(rule: str, timezone: str) -> Trigger:
    """The trigger of this rule. Raises `DefinitionError` for a rule or time zone that cannot work."""
    check_timezone(timezone)
    parsed = parse_rule(rule)
    if isinstance(parsed, Every):
        return Trigger(_interval(parsed), ZoneInfo("UTC"), is_hourly=True)
    return Trigger(_calendar(parsed), ZoneInfo(timezone), is_hourly=len(parsed.hours) == HOURS_A_DAY)


def next_fire(trigger: Trigger, after: datetime) -> datetime:
    """The first instant later than `after` at which the rule comes round, in UTC."""
    start = after.astimezone(UTC).replace(microsecond=0) + SECOND
    return _next_elapsed(trigger, start) if trigger.is_hourly else _next_on_the_wall(trigger, start)


def _next_elapsed(trigger: Trigger, start: datetime) -> datetime:
    """Walk with the offset in force at `start`; where it changes before the next time, go on from the change."""
    while True:
        offset = _offset(trigger.zone, start)
        found = _at_or_after(trigger, start + offset) - offset
        if found - start > NEAR:
            start = found - NEAR  # nothing lies in between
        elif _offset(trigger.zone, found) == offset:
            return found
        else:
            start = _change(trigger.zone, start, found)


def _next_on_the_wall(trigger: Trigger, start: datetime) -> datetime:
    # A second earlier, the wall has not yet jumped over the times that a change at `start` itself skips.
    wall = start - SECOND + _offset(trigger.zone, start - SECOND)
    while (found := _first_instant(trigger.zone, wall := _at_or_after(trigger, wall))) < start:
        wall += SECOND
    return found


def _at_or_after(trigger: Trigger, wall: datetime) -> datetime:
    """The rule's first time on the wall, the wall's time being written as if it were UTC."""
    found: datetime = trigger.calendar.get_next_fire_time(None, wall)
    return found


def _first_instant(zone: ZoneInfo, wall: datetime) -> datetime:
    """The first instant at which the zone's clocks show `wall` or, if they skip it, a later time."""
    shown = wall.replace(tzinfo=zone, fold=0)
    instant = shown.astimezone(UTC)
    if instant + _offset(zone, instant) == wall:
        return instant
    # Read with the offset after the change, a time that is skipped lies before it; read with the one before, after it.
    return _change(zone, shown.replace(fold=1).astimezone(UTC), instant)


def _change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The first whole second later than `before` at which the zone's offset is no longer what it was there."""
    offset = _offset(zone, before)
    while after - before > SECOND:
        middle = before + (after - before) // SECOND // 2 * SECOND
        before, after = (middle, after) if _offset(zone, middle) == offset else (before, middle)
    return after


def _offset(zone: ZoneInfo, instant: datetime) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta()


def _interval(rule: Every) -> BaseTrigger:
    return IntervalTrigger(seconds=rule.span // SECOND, start_date=EPOCH, timezone=UTC)


def _calendar(rule: Cron) -> BaseTrigger:
    """Each value is spelt out: APScheduler counts weekdays from Monday and reads names and steps in its own way."""
    every_day = range(1, max(MONTH_LENGTHS) + 1)
    if rule.either_day:
        return OrTrigger([_cron(rule, rule.days, range(len(WEEKDAYS))), _cron(rule, every_day, rule.weekdays)])
    return _cron(rule, rule.days, rule.weekdays)


def _cron(rule: Cron, days: Iterable[int], weekdays: Iterable[int]) -> CronTrigger:
    return CronTrigger(
        month=_listed(rule.months),
        day=_listed(days),
        day_of_week=",".join(WEEKDAYS[day] for day in sorted(weekdays)),
        hour=_listed(rule.hours),
        minute=_listed(rule.minutes),
        second=_listed(rule.seconds),
        timezone=UTC,
    )


def _listed(values: Iterable[int]) -> str:
    return ",".join(map(str, sorted(values)))
