"""A schedule's rule in words, for people to read: `0 9 * * mon-fri` is "at 09:00, Monday to Friday"."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

from agentflow.errors import DefinitionError
from agentflow.tasks.rules import CalendarInterval, Cron, Dates, Days, Every, WholeDays, parse_rule

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

WEEKDAYS: Final = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
EVERY_WEEKDAY: Final = frozenset(range(7))
EVERY_DAY: Final = frozenset(range(1, 32))
EVERY_MONTH: Final = frozenset(range(1, 13))
SIXTY: Final = frozenset(range(60))
EVERY_HOUR: Final = frozenset(range(24))
MOST_TIMES: Final = 6
SHORTEST_RANGE: Final = 3
MOST_DATES: Final = 3
ENDINGS: Final = {1: "st", 2: "nd", 3: "rd"}
TEENS: Final = range(11, 14)
UNITS: Final = (("day", timedelta(days=1)), ("hour", timedelta(hours=1)), ("minute", timedelta(minutes=1)))


def rule_in_words(rule: str, timezone: str = "UTC") -> str:
    """What the rule says, in words; the rule itself where it cannot be read here."""
    try:
        read = parse_rule(rule, timezone)
    except DefinitionError:
        return rule
    said = " or ".join(_single(one) for one in read.either)
    return f"{said}, except {' or '.join(_single(one) for one in read.unless)}" if read.unless else said


def _single(one: Any) -> str:
    match one:
        case Every():
            return _every(one.span)
        case CalendarInterval():
            return _calendar(one)
        case Dates():
            return f"at {_some([f'{time:%Y-%m-%d %H:%M}' for time in one.times])}"
        case WholeDays():
            return f"on {_some([day.isoformat() for day in sorted(one.days)])}"
        case _:
            return _cron(one)


def _every(span: timedelta) -> str:
    for unit, length in UNITS:
        if not span % length:
            return _each(span // length, unit)
    return _each(int(span.total_seconds()), "second")


def _calendar(one: CalendarInterval) -> str:
    if one.months:
        years = not one.months % 12
        often = _each(one.months // 12 if years else one.months, "year" if years else "month")
        day = f"{_month(one.first)} {_ordinal(one.first.day)}" if years else f"the {_ordinal(one.first.day)}"
        return f"{often} on {day} at {one.at:%H:%M}, from {one.first} on"
    weeks = not one.days % 7
    often = _each(one.days // 7 if weeks else one.days, "week" if weeks else "day")
    on = f" on {WEEKDAYS[one.first.isoweekday() % 7]}" if weeks else ""
    return f"{often}{on} at {one.at:%H:%M}, from {one.first} on"


def _month(day: date) -> str:
    return MONTHS[day.month - 1]


def _each(count: int, unit: str) -> str:
    return f"every {unit}" if count == 1 else f"every {count} {unit}s"


# -- cron texts


def _cron(one: Cron) -> str:
    parts = [_time(one), *(_days(days) for days in one.days)]
    if one.months != EVERY_MONTH:
        parts.append(f"in {_listed(_ranges(one.months, lambda month: MONTHS[month - 1]))}")
    return ", ".join(part for part in parts if part)


def _time(one: Cron) -> str:
    seconds, minutes, hours = sorted(one.seconds), sorted(one.minutes), sorted(one.hours)
    if len(seconds) * len(minutes) * len(hours) <= MOST_TIMES:
        show = "{:02}:{:02}" if seconds == [0] else "{:02}:{:02}:{:02}"
        times = [show.format(hour, minute, second) for hour in hours for minute in minutes for second in seconds]
        return f"at {_listed(times)}"
    often = _within_an_hour(seconds, minutes)
    if one.hours == EVERY_HOUR:
        return often
    return f"{often} of the hours {_listed(_ranges(one.hours, lambda hour: f'{hour:02}'))}"


def _within_an_hour(seconds: Sequence[int], minutes: Sequence[int]) -> str:
    at_second = "" if seconds == [0] else f", {_beat(seconds, 'second', 'second')}"
    if minutes == [0]:
        return f"every hour{at_second}"
    if len(minutes) == len(SIXTY):
        return _beat(seconds, "second", "minute") if at_second else "every minute"
    return f"{_beat(minutes, 'minute', 'hour')}{at_second}"


def _beat(values: Sequence[int], unit: str, whole: str) -> str:
    """Each of these values of sixty: a step where they are even, else one by one."""
    step = values[1] - values[0] if len(values) > 1 else 0
    if step and values[0] == 0 and not len(SIXTY) % step and list(values) == list(range(0, len(SIXTY), step)):
        return _each(step, unit)
    several = f"{unit}s" if len(values) > 1 else unit
    named = f"at {several} {_listed(_ranges(values, str))}"
    return named if whole == unit else f"{named} of every {whole}"


def _days(one: Days) -> str:
    weekdays = "" if one.weekdays == EVERY_WEEKDAY else _listed(_week(one.weekdays))
    days = "" if one.days == EVERY_DAY else f"on the {_listed(_ranges(one.days, _ordinal))}"
    if weekdays and days:
        return f"{days} or {weekdays}" if one.either else f"{days} if that is {weekdays}"
    return weekdays or days


def _week(weekdays: Collection[int]) -> list[str]:
    """With Monday first."""
    return _ranges([day or 7 for day in weekdays], lambda day: WEEKDAYS[day % 7])


def _ranges(values: Collection[int], show: Any) -> list[str]:
    """The values in order, three or more that follow each other as a range."""
    runs: list[list[int]] = []
    for value in sorted(values):
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    return [
        text
        for run in runs
        for text in ([f"{show(run[0])} to {show(run[-1])}"] if len(run) >= SHORTEST_RANGE else map(show, run))
    ]


def _ordinal(day: int) -> str:
    return f"{day}{'th' if day in TEENS else ENDINGS.get(day % 10, 'th')}"


def _some(texts: Sequence[str]) -> str:
    if len(texts) <= MOST_DATES:
        return _listed(texts)
    return f"{', '.join(texts[:MOST_DATES])} and {len(texts) - MOST_DATES} more"


def _listed(texts: Sequence[str]) -> str:
    *first, last = texts
    return f"{', '.join(first)} and {last}" if first else last
