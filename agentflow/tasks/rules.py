"""What a schedule's rule says: cron texts and intervals, read and checked where they are declared.

A cron text has five fields (minute, hour, day of month, month, day of week) or six (second first), as `crontab(5)`
reads them: `0` and `7` are Sunday, `1` is Monday, and where both the day of month and the day of week are named, either
one is enough. An interval is `every` and a span: `every 30s`, `every 2h`.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from agentflow.durations import duration
from agentflow.errors import DefinitionError, InvalidDuration

SECOND: Final = timedelta(seconds=1)
LONGEST: Final = timedelta(days=366)
MONTH_LENGTHS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
FIELD_COUNTS: Final = (5, 6)
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


@dataclass(frozen=True, slots=True)
class Every:
    """An interval, counted from 1970-01-01 00:00 UTC so that every scheduler and every restart agrees on its beat."""

    span: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """The values each field allows; `weekdays` has Sunday as 0. `either_day`: a day or a weekday is enough."""

    seconds: frozenset[int]
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a cron text: what it is called, its least and greatest value, and the names of its values."""

    title: str
    low: int
    high: int
    names: tuple[str, ...] = ()


SECONDS = Field("second", 0, 59)
MINUTES = Field("minute", 0, 59)
HOURS = Field("hour", 0, 23)
DAYS = Field("day of month", 1, 31)
MONTHS = Field("month", 1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"))
WEEKDAYS = Field("day of week", 0, 7, ("sun", "mon", "tue", "wed", "thu", "fri", "sat"))
FIELDS: Final = (SECONDS, MINUTES, HOURS, DAYS, MONTHS, WEEKDAYS)


def parse_rule(text: str) -> Cron | Every:
    """What the rule says. Raises `DefinitionError` naming the field, what was found in it and what would be valid."""
    if not isinstance(text, str) or not text.strip():
        raise DefinitionError(f'a schedule\'s rule is {text!r}; write a cron text ("0 9 * * mon-fri") or "every 30s"')
    words = text.lower().split()
    if words[0] == "every":
        return _every(text, "".join(words[1:]))
    if words[0] in NICKNAMES:
        raise DefinitionError(f'rule {text!r} is a nickname that is not read here; write "{NICKNAMES[words[0]]}"')
    if len(words) not in FIELD_COUNTS:
        raise DefinitionError(
            f"rule {text!r} has {len(words)} field{'s' * (len(words) != 1)}; wanted 5 (minute, hour, day of month, "
            'month, day of week), 6 with the second first, or an interval such as "every 30s"'
        )
    rule = _cron(text, words if len(words) == len(FIELDS) else ["0", *words])
    if not rule.either_day and not any(day <= MONTH_LENGTHS[month - 1] for month in rule.months for day in rule.days):
        raise DefinitionError(
            f"rule {text!r} can never fire: none of its months has a day {min(rule.days)}; "
            f"the latest day there is {max(MONTH_LENGTHS[month - 1] for month in rule.months)}"
        )
    return rule


def _every(text: str, span_text: str) -> Every:
    try:
        span = duration(span_text)
    except InvalidDuration as error:
        raise DefinitionError(f'rule {text!r}: {error}; write "every 30s", "every 15m" or "every 2h"') from error
    if not SECOND <= span <= LONGEST or span % SECOND:
        raise DefinitionError(f"rule {text!r}: an interval is a whole number of seconds, from 1 second to 366 days")
    return Every(span)


def _cron(text: str, words: list[str]) -> Cron:
    values = [_values(text, field, word) for field, word in zip(FIELDS, words, strict=True)]
    seconds, minutes, hours, days, months, weekdays = values
    return Cron(
        seconds=seconds,
        minutes=minutes,
        hours=hours,
        days=days,
        months=months,
        weekdays=frozenset(day % 7 for day in weekdays),
        either_day=not words[3].startswith("*") and not words[5].startswith("*"),
    )


def _values(text: str, field: Field, word: str) -> frozenset[int]:
    return frozenset(value for part in word.split(",") for value in _part(text, field, part))


def _part(text: str, field: Field, part: str) -> range:
    match = PART.fullmatch(part)
    if match is None or (match["first"] == "*" and match["last"]):
        raise _refusal(text, field, part, _known_forms(field, part))
    if match["step"] and match["first"] != "*" and not match["last"]:
        raise _refusal(text, field, part, f'a step of a range: "{match["first"]}-{field.high}/{match["step"]}"')
    low, high = field.low, field.high - (field is WEEKDAYS)
    if match["first"] != "*":
        low = high = _value(text, field, match["first"])
    if match["last"]:
        high = _value(text, field, match["last"])
        high = 7 if field is WEEKDAYS and high == 0 else high  # "fri-sun" ends with the week
    if high < low:
        end, begin = (field.names[-1], field.names[0]) if field is WEEKDAYS else (field.high, field.low)
        raise _refusal(text, field, part, f'two ranges: "{match["first"]}-{end},{begin}-{match["last"]}"')
    return range(low, high + 1, _step(text, field, part, match["step"]))


def _step(text: str, field: Field, part: str, step: str | None) -> int:
    if step is None:
        return 1
    most = field.high - field.low
    if not 1 <= int(step) <= most:
        raise _refusal(text, field, part, f"a step from 1 to {most}")
    return int(step)


def _value(text: str, field: Field, word: str) -> int:
    if word in field.names:
        return field.names.index(word) + field.low
    if not (word.isascii() and word.isdigit()):
        raise _refusal(text, field, word, _known_forms(field, word))
    if not field.low <= int(word) <= field.high:
        # 24 o'clock and minute 60 are how people write the next day's, or the next hour's, beginning.
        near = field.low if int(word) == field.high + 1 else min(max(int(word), field.low), field.high)
        raise _refusal(text, field, word, f"a number from {field.low} to {field.high}, such as {near}")
    return int(word)


def _known_forms(field: Field, word: str) -> str:
    if word == "?":
        return '"*"'
    near = difflib.get_close_matches(word, field.names, n=1, cutoff=0.5)
    if near:
        return f'"{near[0]}"'
    names = f" or a name from {field.names[0]} to {field.names[-1]}" if field.names else ""
    return f'"*", a number from {field.low} to {field.high}{names}, a list "a,b", a range "a-b" or a step "*/n"'


def _refusal(text: str, field: Field, found: str, wanted: str) -> DefinitionError:
    return DefinitionError(f"rule {text!r}, {field.title}: found {found!r}; wanted {wanted}")
