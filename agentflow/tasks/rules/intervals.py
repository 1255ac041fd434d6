"""Intervals: a span of elapsed time, and steps on the calendar."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, time, timedelta
from typing import TYPE_CHECKING, Final

from agentflow.durations import duration
from agentflow.errors import DefinitionError, InvalidDuration
from agentflow.tasks.rules.cron import WEEKDAYS, refusal
from agentflow.tasks.rules.dates import read_date, read_time

if TYPE_CHECKING:
    from collections.abc import Sequence

SECOND: Final = timedelta(seconds=1)
LONGEST: Final = timedelta(days=366)
A_DATE: Final = date(2026, 1, 5)
MONTHS_A_YEAR: Final = 12
UNITS: Final = {"day": (0, 1), "week": (0, 7), "month": (1, 0), "year": (12, 0)}
MOST: Final = {"day": 3660, "week": 520, "month": 120, "year": 100}
ELAPSED: Final = {"second": "s", "sec": "s", "minute": "m", "min": "m", "hour": "h", "hr": "h"}
LETTERS: Final = {"d": "day", "w": "week"}
COUNTED: Final = re.compile(r"(\d{1,6})([a-z]*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Every:
    """An interval, counted from 1970-01-01 00:00 UTC so that every scheduler and every restart agrees on its beat."""

    span: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarInterval:
    """Every so many months (with the day of `first`), or every so many days, at a time on the wall, from `first` on.

    A month that has no such day is left out.
    """

    months: int
    days: int
    at: time
    first: date

    def last_until(self, day: date) -> date:
        """The last of its days up to `day`; the first one if that is later."""
        if day <= self.first:
            return self.first
        if self.days:
            return day - (day - self.first) % timedelta(days=self.days)
        steps = ((day.year - self.first.year) * MONTHS_A_YEAR + day.month - self.first.month) // self.months
        while (found := self._after(steps)) is None or found > day:
            steps -= 1
        return found

    def _after(self, steps: int) -> date | None:
        years, month = divmod(self.first.month - 1 + steps * self.months, MONTHS_A_YEAR)
        try:
            return self.first.replace(year=self.first.year + years, month=month + 1)
        except ValueError:
            return None


def read_interval(text: str, words: Sequence[str]) -> Every | CalendarInterval:
    """What the words after "every" in the rule `text` say. Raises `DefinitionError`."""
    if not words:
        raise DefinitionError(f'rule {text!r}: how often? write "every 30s" or "every 2 weeks at 09:00 from {A_DATE}"')
    count, unit, rest = _counted(words)
    if unit.rstrip("s") in UNITS:
        return _on_calendar(text, count, unit.rstrip("s"), rest)
    if unit.rstrip("s") in ELAPSED and (near := f"every {count or 1}{ELAPSED[unit.rstrip('s')]}"):
        raise refusal(text, "interval", " ".join(words), f'"{near}"')
    if unit[:3] in WEEKDAYS.names and count is None:
        raise refusal(text, "interval", words[0], f'a cron text: "{_weekly(rest)} * * {unit[:3]}"')
    if rest and unit in LETTERS:
        raise refusal(text, "interval", words[0], f'"{count} {LETTERS[unit]}s" with a time of day')
    return _elapsed(text, "".join(words))


def _counted(words: Sequence[str]) -> tuple[int | None, str, Sequence[str]]:
    """How many of what, and the words after it: "2 weeks", "2weeks", "week"."""
    match = COUNTED.fullmatch(words[0])
    if match is None:
        return None, words[0], words[1:]
    if match[2] or len(words) == 1:
        return int(match[1]), match[2], words[1:]
    return int(match[1]), words[1], words[2:]


def _elapsed(text: str, span_text: str) -> Every:
    try:
        span = duration(span_text)
    except InvalidDuration as error:
        raise DefinitionError(f'rule {text!r}: {error}; write "every 30s", "every 15m" or "every 2h"') from error
    if not SECOND <= span <= LONGEST or span % SECOND:
        raise DefinitionError(f"rule {text!r}: an interval is a whole number of seconds, from 1 second to 366 days")
    return Every(span)


def _on_calendar(text: str, given: int | None, unit: str, rest: Sequence[str]) -> CalendarInterval:
    count = 1 if given is None else given
    if not 1 <= count <= MOST[unit]:
        near = min(max(count, 1), MOST[unit])
        raise refusal(text, "interval", f"{count} {unit}s", f"from 1 to {MOST[unit]} {unit}s, such as {near}")
    named = dict(zip(rest[::2], rest[1::2], strict=False))
    written = f"every {count} {unit}{'s' * (count > 1)}"
    if len(rest) % 2 or len(named) * 2 != len(rest) or set(named) - {"at", "from"}:
        raise refusal(text, "interval", " ".join(rest), f'"{written} at 09:00 from {A_DATE}"')
    at = read_time(text, named["at"]) if "at" in named else time()
    if "from" not in named and (unit, count) != ("day", 1):
        raise DefinitionError(
            f"rule {text!r}: counted from which day? write "
            f'"{written} at {at:%H:%M} from {A_DATE}", with the day of its first time'
        )
    first = read_date(text, named["from"]) if "from" in named else date(1970, 1, 1)
    months, days = UNITS[unit]
    return CalendarInterval(months=months * count, days=days * count, at=at, first=first)


def _weekly(rest: Sequence[str]) -> str:
    hour, _, minute = (rest[1] if len(rest) > 1 and rest[0] == "at" else "09:00").partition(":")
    return f"{int(minute) if minute.isdigit() else 0} {int(hour) if hour.isdigit() else 9}"
