"""APScheduler's triggers for what rules say, on a wall clock that never changes: its zone is UTC here."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
from apscheduler.triggers.combining import AndTrigger, OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from agentflow.clock import EPOCH
from agentflow.tasks.rules import CalendarInterval, Cron, Dates, Every

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import timedelta

    from apscheduler.triggers.base import BaseTrigger

    from agentflow.tasks.rules import Days

WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
SIZES: Final = {"second": 60, "minute": 60, "hour": 24, "day": 31, "month": 12}


def calendar_of(rule: Cron | Every | CalendarInterval | Dates) -> Callable[[datetime], datetime | None]:
    """The rule's first time on the wall at or after a given one, both written as if they were UTC."""
    if isinstance(rule, Dates):
        return lambda wall: _in_utc(rule.first_from(wall.replace(tzinfo=None)))
    if isinstance(rule, CalendarInterval):
        return lambda wall: _stepped(rule, wall)
    trigger = _interval(rule.span) if isinstance(rule, Every) else _cron_texts(rule)

    def first_from(wall: datetime) -> datetime | None:
        found: datetime | None = trigger.get_next_fire_time(None, wall)
        return found

    return first_from


def _in_utc(wall: datetime | None) -> datetime | None:
    return None if wall is None else wall.replace(tzinfo=UTC)


def _interval(span: timedelta) -> BaseTrigger:
    return IntervalTrigger(seconds=int(span.total_seconds()), start_date=EPOCH, timezone=UTC)


def _stepped(rule: CalendarInterval, wall: datetime) -> datetime | None:
    """APScheduler steps on from a known day; from the first one it would take a step for each that has passed."""
    trigger = CalendarIntervalTrigger(
        months=rule.months,
        days=rule.days,
        hour=rule.at.hour,
        minute=rule.at.minute,
        second=rule.at.second,
        start_date=rule.last_until(wall.date()),
        timezone=UTC,
    )
    found: datetime | None = trigger.get_next_fire_time(None, wall)
    while found is not None and found < wall:
        found = trigger.get_next_fire_time(found, wall)
    return found


def _cron_texts(rule: Cron) -> BaseTrigger:
    """Those joined by "and" have the other fields in common, so that they differ by their days alone."""
    triggers = [_cron_text(rule, days) for days in rule.days]
    return triggers[0] if len(triggers) == 1 else AndTrigger(triggers)


def _cron_text(rule: Cron, days: Days) -> BaseTrigger:
    every_day, every_weekday = range(1, 32), range(len(WEEKDAYS))
    if days.either:
        return OrTrigger([_cron(rule, days.days, every_weekday), _cron(rule, every_day, days.weekdays)])
    return _cron(rule, days.days, days.weekdays)


def _cron(rule: Cron, days: Collection[int], weekdays: Collection[int]) -> CronTrigger:
    """Each value is spelt out: APScheduler counts weekdays from Monday and reads names and steps in its own way."""
    return CronTrigger(
        month=_listed("month", rule.months),
        day=_listed("day", days),
        day_of_week=",".join(WEEKDAYS[day] for day in sorted(weekdays)),
        hour=_listed("hour", rule.hours),
        minute=_listed("minute", rule.minutes),
        second=_listed("second", rule.seconds),
        timezone=UTC,
    )


def _listed(field: str, values: Collection[int]) -> str:
    return "*" if len(values) == SIZES[field] else ",".join(map(str, sorted(values)))
