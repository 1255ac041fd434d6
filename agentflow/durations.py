"""Spans of time as people write them: "90s", "1h30m", "3d"."""

from __future__ import annotations

import math
import re
from datetime import timedelta

from agentflow.errors import InvalidDuration

_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
LONGEST = timedelta(days=36_525)
_PART = re.compile(r"(\d+(?:\.\d+)?) ?(ms|s|m|h|d|w)", re.ASCII)
_WHOLE = re.compile(rf"{_PART.pattern}(?: ?{_PART.pattern})*", re.ASCII)
_LONGEST_TEXT = 100
_FORMS = 'write "500ms", "90s", "1.5h", "1h30m", "3d" or "2w", a number of seconds, or a timedelta'


def duration(value: str | float | timedelta) -> timedelta:
    """The span that a text ("90s", "1h30m"), a number of seconds or a timedelta stands for; never negative.

    Raises `InvalidDuration` naming what was given and the forms that are accepted.
    """
    try:
        span = _span(value)
    except OverflowError:
        raise InvalidDuration(f"{_quoted(value)} is longer than 100 years; {_FORMS}") from None
    if span < timedelta(0):
        raise InvalidDuration(f"{_quoted(value)} is negative; {_FORMS}")
    if span > LONGEST:
        raise InvalidDuration(f"{_quoted(value)} is longer than 100 years; {_FORMS}")
    return span


def describe(span: timedelta) -> str:
    """The span in its two largest units that count: "3d 4h", "1m 30s", "500ms"."""
    if span < timedelta(0):
        return f"-{describe(-span)}"
    rest, parts = span, []
    for unit in ("d", "h", "m", "s", "ms"):
        count, after = divmod(rest, _UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
            rest = after
        if len(parts) == 2 or (parts and not count):  # noqa: PLR2004 - "3d" and not "3d 5s"
            break
    return " ".join(parts) or ("0s" if not span else "<1ms")


def _span(value: str | float | timedelta) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        return _parsed(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise InvalidDuration(f"{_quoted(value)} is no span of time; {_FORMS}")
    return timedelta(seconds=value)


def _parsed(text: str) -> timedelta:
    stripped = text.strip()
    if len(stripped) > _LONGEST_TEXT or not _WHOLE.fullmatch(stripped):
        raise InvalidDuration(f"{_quoted(text)} is no span of time; {_FORMS}")
    parts = _PART.findall(stripped)
    units = [unit for _, unit in parts]
    order = list(_UNITS)
    if units != sorted(set(units), key=order.index, reverse=True):
        raise InvalidDuration(f"{_quoted(text)} repeats a unit or has a larger one after a smaller; {_FORMS}")
    return sum((float(count) * _UNITS[unit] for count, unit in parts), timedelta(0))


def _quoted(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "…"
