"""Cron texts: five fields, or six with the second first, read into the values each field allows."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from agentflow.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

MONTH_LENGTHS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
NICKNAMES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
PART: Final = re.compile(r"(?P<first>\*|\w+)(?:-(?P<last>\w+))?(?:/(?P<step>\d{1,4}))?", re.ASCII)
NTH: Final = re.compile(r"(?P<weekday>\w+)#(?P<n>[1-5])", re.ASCII)


@dataclass(frozen=True, slots=True)
class Days:
    """The days of the month and of the week that fit, Sunday being 0. `either`: one of the two is enough."""

    days: frozenset[int]
    weekdays: frozenset[int]
    either: bool

    def has(self, day: int, weekday: int) -> bool:
        """Whether this day of a month fits, being this day of the week."""
        found = (day in self.days, weekday in self.weekdays)
        return any(found) if self.either else all(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """The values each field allows. A day has to fit all of `days`: several cron texts joined by "and" are one."""

    seconds: frozenset[int]
    minutes: frozenset[int]
    hours: frozenset[int]
    months: frozenset[int]
    days: tuple[Days, ...]

    def has_day(self, month: int, day: int, weekday: int) -> bool:
        """Whether it comes round on such a day; `weekday` has Sunday as 0."""
        return month in self.months and all(one.has(day, weekday) for one in self.days)

    def has_time(self, hour: int, minute: int, second: int) -> bool:
        """Whether it comes round at this time of its days."""
        return hour in self.hours and minute in self.minutes and second in self.seconds

    def has(self, wall: datetime) -> bool:
        """Whether it comes round at this time on the wall."""
        return self.has_time(wall.hour, wall.minute, wall.second) and self.has_day(
            wall.month, wall.day, wall.isoweekday() % 7
        )

    def until(self, wall: datetime) -> datetime:
        """A time up to which it comes round in every second from `wall` on, which it has."""
        if len(self.seconds) < SECONDS.size:
            return wall + timedelta(seconds=1)
        if len(self.minutes) < MINUTES.size:
            return wall.replace(second=0) + timedelta(minutes=1)
        if len(self.hours) < HOURS.size:
            return wall.replace(minute=0, second=0) + timedelta(hours=1)
        return wall.replace(hour=0, minute=0, second=0) + timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a cron text: what it is called, its least and greatest value, and the names of its values."""

    title: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """How many values it has."""
        return self.high - self.low + 1


SECONDS = Field("second", 0, 59)
MINUTES = Field("minute", 0, 59)
HOURS = Field("hour", 0, 23)
DAYS = Field("day of month", 1, 31)
MONTHS = Field("month", 1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"))
WEEKDAYS = Field("day of week", 0, 7, ("sun", "mon", "tue", "wed", "thu", "fri", "sat"))
FIELDS: Final = (SECONDS, MINUTES, HOURS, DAYS, MONTHS, WEEKDAYS)
FIELD_COUNTS: Final = (5, 6)


def read_cron(text: str, words: Sequence[str], *, whole_minutes: bool = False) -> Cron:
    """What these words of the rule `text` say; five fields mean second 0, or with `whole_minutes` every second.

    Raises `DefinitionError` naming the field, what was found in it and the nearest valid reading.
    """
    if words[0] in NICKNAMES:
        raise DefinitionError(f'rule {text!r} has a nickname that is not read here; write "{NICKNAMES[words[0]]}"')
    if len(words) not in FIELD_COUNTS:
        raise DefinitionError(_miscounted(text, words))
    _refuse_nth(text, words)
    fields = list(words) if len(words) == len(FIELDS) else ["*" if whole_minutes else "0", *words]
    values = [_values(text, field, word) for field, word in zip(FIELDS, fields, strict=True)]
    seconds, minutes, hours, days, months, weekdays = values
    either = not fields[3].startswith("*") and not fields[5].startswith("*")
    found = Days(days, frozenset(day % 7 for day in weekdays), either)
    _require_such_day(text, found, months)
    return Cron(seconds=seconds, minutes=minutes, hours=hours, months=months, days=(found,))


def both(text: str, one: Cron, other: Cron) -> Cron:
    """The times that both cron texts have. Raises `DefinitionError` naming the field in which they have none."""
    titles = ((SECONDS, "seconds"), (MINUTES, "minutes"), (HOURS, "hours"), (MONTHS, "months"))
    shared = {name: getattr(one, name) & getattr(other, name) for _, name in titles}
    for field, name in titles:
        if not shared[name]:
            near = min(getattr(one, name))
            raise DefinitionError(
                f'rule {text!r} can never fire: no {field.title} fits both sides of "and"; '
                f"write the same in both, such as {near}"
            )
    return Cron(**shared, days=(*one.days, *other.days))


# -- one field


def _values(text: str, field: Field, word: str) -> frozenset[int]:
    return frozenset(value for part in word.split(",") for value in _part(text, field, part))


def _part(text: str, field: Field, part: str) -> range:
    match = PART.fullmatch(part)
    if match is None or (match["first"] == "*" and match["last"]):
        raise refusal(text, field.title, part, _known_forms(field, part))
    if match["step"] and match["first"] != "*" and not match["last"]:
        raise refusal(text, field.title, part, f'a step of a range: "{match["first"]}-{field.high}/{match["step"]}"')
    low, high = field.low, field.high - (field is WEEKDAYS)
    if match["first"] != "*":
        low = high = _value(text, field, match["first"])
    if match["last"]:
        high = _value(text, field, match["last"])
        high = 7 if field is WEEKDAYS and high == 0 < low else high  # "fri-sun" ends with the week
    if high < low:
        end, begin = (field.names[-1], field.names[0]) if field is WEEKDAYS else (field.high, field.low)
        raise refusal(text, field.title, part, f'two ranges: "{match["first"]}-{end},{begin}-{match["last"]}"')
    return range(low, high + 1, _step(text, field, part, match["step"]))


def _step(text: str, field: Field, part: str, step: str | None) -> int:
    if step is None:
        return 1
    most = field.high - field.low
    if not 1 <= int(step) <= most:
        raise refusal(text, field.title, part, f"a step from 1 to {most}")
    return int(step)


def _value(text: str, field: Field, word: str) -> int:
    if word in field.names:
        return field.names.index(word) + field.low
    if not (word.isascii() and word.isdigit()):
        raise refusal(text, field.title, word, _known_forms(field, word))
    if not field.low <= int(word[:9]) <= field.high:
        # 24 o'clock and minute 60 are how people write the next day's, or the next hour's, beginning.
        near = field.low if int(word[:9]) == field.high + 1 else min(max(int(word[:9]), field.low), field.high)
        raise refusal(text, field.title, word, f"a number from {field.low} to {field.high}, such as {near}")
    return int(word)


# -- what is said of the others


def refusal(text: str, what: str, found: str, wanted: str) -> DefinitionError:
    """The error that says what was found where in a rule, and what would do."""
    return DefinitionError(f"rule {text!r}, {what}: found {found!r}; wanted {wanted}")


def _known_forms(field: Field, word: str) -> str:
    if word == "?":
        return '"*"'
    near = difflib.get_close_matches(word, field.names, n=1, cutoff=0.5)
    if near:
        return f'"{near[0]}"'
    names = f" or a name from {field.names[0]} to {field.names[-1]}" if field.names else ""
    return f'"*", a number from {field.low} to {field.high}{names}, a list "a,b", a range "a-b" or a step "*/n"'


def _miscounted(text: str, words: Sequence[str]) -> str:
    part = " ".join(words)
    where = "" if part == " ".join(text.lower().split()) else f" in {part!r}"
    return (
        f"rule {text!r} has {len(words)} field{'s' * (len(words) != 1)}{where}; wanted 5 (minute, "
        'hour, day of month, month, day of week), 6 with the second first, an interval ("every 30s", "every 2 weeks at '
        '09:00 from 2026-01-05") or dates ("at 2026-12-24 09:00")'
    )


def _refuse_nth(text: str, words: Sequence[str]) -> None:
    """`mon#2` is the second Monday elsewhere; here it is the Monday among the days 8 to 14."""
    match = NTH.fullmatch(words[-1])
    if match is None:
        return
    n = int(match["n"])
    span = f"{7 * n - 6}-{min(7 * n, 31)}"
    *time, _, month, _ = words
    among, on = " ".join([*time, span, month, "*"]), " ".join([*time, "*", month, match["weekday"]])
    raise refusal(text, WEEKDAYS.title, words[-1], f'"{among} and {on}"')


def _require_such_day(text: str, days: Days, months: frozenset[int]) -> None:
    if days.either or any(day <= MONTH_LENGTHS[month - 1] for month in months for day in days.days):
        return
    raise DefinitionError(
        f"rule {text!r} can never fire: none of its months has a day {min(days.days)}; "
        f"the latest day there is {max(MONTH_LENGTHS[month - 1] for month in months)}"
    )
