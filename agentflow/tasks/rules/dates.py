"""Dates in rules: times to fire at, days and times to leave out."""

from __future__ import annotations

import calendar
import re
from bisect import bisect_left
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from agentflow.errors import DefinitionError
from agentflow.tasks.rules.cron import refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 2199
MOST_DATES: Final = 1000
DATE: Final = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})", re.ASCII)
DAY_FIRST: Final = re.compile(r"(\d{1,2})[./](\d{1,2})[./](\d{4})", re.ASCII)
TIME: Final = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?", re.ASCII)
JOINED: Final = re.compile(r"(\d)t(\d)", re.ASCII)
SPOKEN: Final = re.compile(r"(\d{1,2})(?:[:.](\d{2}))?(am|pm|h)?", re.ASCII)
ZONED: Final = re.compile(r"(?:z|[+-]\d{2}:?\d{2})$", re.ASCII)
NOON: Final = 12
MONTHS_A_YEAR: Final = 12
LAST_HOUR: Final = 23
LAST_MINUTE: Final = 59


@dataclass(frozen=True, slots=True)
class Dates:
    """Times on the wall, in order, each of which comes once."""

    times: tuple[datetime, ...]

    def has(self, wall: datetime) -> bool:
        """Whether this time on the wall is one of them."""
        return self.first_from(wall) == wall

    def first_from(self, wall: datetime) -> datetime | None:
        """The first of them at or after this time; None if there is none."""
        at = bisect_left(self.times, wall)
        return self.times[at] if at < len(self.times) else None

    def until(self, wall: datetime) -> datetime:
        """A time up to which all are had from `wall` on, which is one of them."""
        return wall + timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class WholeDays:
    """Days to leave out, from midnight to midnight on the wall."""

    days: frozenset[date]

    def has(self, wall: datetime) -> bool:
        """Whether this time on the wall is on one of them."""
        return wall.date() in self.days

    def until(self, wall: datetime) -> datetime:
        """The midnight after this time."""
        return datetime.combine(wall.date() + timedelta(days=1), time())


def read_dates(text: str, words: Sequence[str]) -> Dates:
    """The dates with times that these words of the rule `text` list. Raises `DefinitionError`."""
    parts = _parts(text, words)
    for part in parts:
        if len(part) == 1:
            day = read_date(text, part[0])
            raise refusal(text, "date", part[0], f'its time of day too: "{day} 00:00"')
    return Dates(tuple(sorted({_at(text, part) for part in parts})))


def read_exceptions(text: str, words: Sequence[str]) -> Sequence[Dates | WholeDays]:
    """The days, and dates with times, that these words of the rule `text` list. Raises `DefinitionError`."""
    parts = _parts(text, words)
    days = frozenset(read_date(text, part[0]) for part in parts if len(part) == 1)
    times = tuple(sorted({_at(text, part) for part in parts if len(part) > 1}))
    return [*([WholeDays(days)] if days else []), *([Dates(times)] if times else [])]


def looks_like_date(word: str) -> bool:
    """Whether somebody who wrote this word meant a date."""
    found = word.partition("t")[0].rstrip(",")
    return bool(DATE.match(found) or DAY_FIRST.match(found))


def read_date(text: str, word: str) -> date:
    """The date this word is. Raises `DefinitionError` with the nearest date there is."""
    if match := DAY_FIRST.fullmatch(word):
        day, month, year = map(int, match.groups())
        raise refusal(text, "date", word, f'year, month and day: "{_nearest(year, month, day)}"')
    match = DATE.fullmatch(word)
    if match is None:
        raise refusal(text, "date", word, 'year, month and day, such as "2026-12-24"')
    year, month, day = map(int, match.groups())
    if not FIRST_YEAR <= year <= LAST_YEAR or _nearest(year, month, day) != f"{year:04}-{month:02}-{day:02}":
        raise refusal(text, "date", word, f"a date that exists, such as {_nearest(year, month, day)}")
    return date(year, month, day)


def read_time(text: str, word: str) -> time:
    """The time of day this word is. Raises `DefinitionError` with the nearest one."""
    if ZONED.search(word) and TIME.match(word):
        raise refusal(text, "time", word, f'"{ZONED.sub("", word)}" and timezone= for its zone')
    match = TIME.fullmatch(word)
    if match is None:
        near = _spoken(word)
        raise refusal(text, "time", word, f'"{near}"' if near else 'hour and minute, such as "09:00"')
    hour, minute, second = (int(part or 0) for part in match.groups())
    if hour > LAST_HOUR or minute > LAST_MINUTE or second > LAST_MINUTE:
        near = "00:00" if hour > LAST_HOUR else f"{hour:02}:{min(minute, LAST_MINUTE):02}"
        raise refusal(text, "time", word, f"a time from 00:00 to 23:59:59, such as {near}")
    return time(hour, minute, second)


def _parts(text: str, words: Sequence[str]) -> Sequence[Sequence[str]]:
    """Each date as one or two words: the day, and the time where there is one."""
    listed = [JOINED.sub(r"\1 \2", part).split() for part in " ".join(words).split(",")]
    if not all(listed):
        raise DefinitionError(f'rule {text!r}: a date is missing; write "at 2026-12-24 09:00, 2026-12-31 09:00"')
    if len(listed) > MOST_DATES:
        raise DefinitionError(f"rule {text!r:.60} lists {len(listed)} dates; at most {MOST_DATES} can be listed")
    for part in listed:
        if len(part) > 2:  # noqa: PLR2004  a day and a time
            raise refusal(text, "date", " ".join(part), f'a comma between dates: "{part[0]} {part[1]}, {part[2]} …"')
    return listed


def _at(text: str, part: Sequence[str]) -> datetime:
    return datetime.combine(read_date(text, part[0]), read_time(text, part[1]))


def _nearest(year: int, month: int, day: int) -> str:
    year = min(max(year, FIRST_YEAR), LAST_YEAR)
    month, day = (day, month) if month > MONTHS_A_YEAR >= day else (month, day)
    month = min(max(month, 1), MONTHS_A_YEAR)
    return f"{year:04}-{month:02}-{min(max(day, 1), calendar.monthrange(year, month)[1]):02}"


def _spoken(word: str) -> str:
    """What is meant by "9am", "21h" or "9", as a time of day; empty if it is none."""
    match = SPOKEN.fullmatch(word)
    if match is None:
        return ""
    hour, minute, half = int(match[1]), int(match[2] or 0), match[3]
    if half in ("am", "pm"):
        hour = hour % NOON + NOON * (half == "pm")
    return f"{hour:02}:{minute:02}" if hour <= LAST_HOUR and minute <= LAST_MINUTE else ""
