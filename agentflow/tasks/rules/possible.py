"""Whether a rule can fire at all: judged by its days and times of day, without walking the calendar.

A date may fall on any day of the week, the 29th of February too, so days are judged as triples of month, day and day of
the week. What is left out by date alone ends some time, and does not keep a rule that goes on for ever from firing.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import product
from math import gcd
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from agentflow.tasks.rules.cron import MONTH_LENGTHS, Cron
from agentflow.tasks.rules.dates import Dates
from agentflow.tasks.rules.intervals import CalendarInterval, Every

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from agentflow.tasks.rules.dates import WholeDays

    Day = tuple[int, int, int]
    Time = tuple[int, int, int]

A_DAY: Final = 86_400
DAYS: Final = tuple(
    (month, day, weekday)
    for month, length in enumerate(MONTH_LENGTHS, 1)
    for day in range(1, length + 1)
    for weekday in range(7)
)
# In so long a range there is a time of nearly every rule that can fire at all.
LONG: Final = timedelta(days=800)
# The offsets of these months are those that a zone has, summer and winter.
MONTHS: Final = tuple(datetime(2026, month, 15, tzinfo=UTC) for month in range(1, 13))


def can_fire(
    either: Sequence[Cron | Every | CalendarInterval | Dates],
    unless: Sequence[Cron | Dates | WholeDays],
    timezone: str,
) -> bool:
    """Whether one of these has a time that none of the others leaves out."""
    recurring = [one for one in unless if isinstance(one, Cron)]
    for one in either:
        if isinstance(one, Dates):
            if any(not any(left.has(wall) for left in unless) for wall in one.times):
                return True
        elif _is_left(one, recurring, timezone):
            return True
    return False


def comes_between(
    either: Sequence[Cron | Every | CalendarInterval | Dates],
    unless: Sequence[Cron | Dates | WholeDays],
    first: datetime,
    last: datetime,
) -> bool:
    """Whether one of these has a time on the wall from `first` to `last` that is not left out.

    Of a long range, and of elapsed time, it is taken for granted.
    """
    if last - first > LONG or any(isinstance(one, Every) for one in either):
        return True
    days = (first.date() + timedelta(days=n) for n in range((last.date() - first.date()).days + 1))
    walls = (wall for day in days for one in either for wall in _walls(one, day))
    return any(first <= wall <= last and not any(left.has(wall) for left in unless) for wall in walls)


def _walls(one: Cron | Every | CalendarInterval | Dates, day: date) -> Iterator[datetime]:
    """The times on the wall that it has on this day."""
    if isinstance(one, Dates):
        return (wall for wall in one.times if wall.date() == day)
    is_on = one.has_day(day.month, day.day, day.isoweekday() % 7) if isinstance(one, Cron) else _steps_on(one, day)
    times = _times(one, "UTC") if is_on else ()
    return (datetime.combine(day, time(*at)) for at in times)


def _steps_on(one: Every | CalendarInterval, day: date) -> bool:
    return isinstance(one, Every) or one.last_until(day) == day


def _is_left(one: Cron | Every | CalendarInterval, unless: Sequence[Cron], timezone: str) -> bool:
    """Whether it has a day, and on that a time, that is not left out. Days that lose the same times are judged once."""
    kinds = {frozenset(n for n, cron in enumerate(unless) if cron.has_day(*day)) for day in _days(one)}
    return any(
        any(not any(unless[n].has_time(*at) for n in losing) for at in _times(one, timezone)) for losing in kinds
    )


def _days(one: Cron | Every | CalendarInterval) -> Iterable[Day]:
    if isinstance(one, Cron):
        return (day for day in DAYS if one.has_day(*day))
    if isinstance(one, Every):
        return DAYS
    first = one.first
    if one.days:
        weekday = first.isoweekday() % 7
        return (day for day in DAYS if one.days % 7 or day[2] == weekday)
    step = gcd(one.months, 12)
    return (day for day in DAYS if day[1] == first.day and (day[0] - first.month) % step == 0)


def _times(one: Cron | Every | CalendarInterval, timezone: str) -> Iterator[Time]:
    if isinstance(one, Cron):
        return product(one.hours, one.minutes, one.seconds)
    if isinstance(one, CalendarInterval):
        return iter([(one.at.hour, one.at.minute, one.at.second)])
    step = gcd(int(one.span.total_seconds()), A_DAY)
    zone = ZoneInfo(timezone)
    offsets = {month.astimezone(zone).utcoffset() or timedelta() for month in MONTHS}
    seconds = ((n + int(offset.total_seconds())) % A_DAY for offset in offsets for n in range(0, A_DAY, step))
    return ((n // 3600, n // 60 % 60, n % 60) for n in seconds)
