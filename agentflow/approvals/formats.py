"""The formats of strings that are checked: dates, times, ids and addresses, as pydantic and RFC 3339 write them."""

from __future__ import annotations

import ipaddress
import re
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from uuid import UUID

from agentflow.approvals.decimals import is_decimal

if TYPE_CHECKING:
    from collections.abc import Callable

_DATE = r"\d{4}-\d{2}-\d{2}"
_TIME = r"(\d{2}:\d{2}(?::\d{2})?)(?:\.\d+)?"
_OFFSET = r"(Z|z|[+-]\d{2}:?\d{2})?"
_DATE_ONLY = re.compile(_DATE, re.ASCII)
_TIME_ONLY = re.compile(_TIME + _OFFSET, re.ASCII)
_INSTANT = re.compile(rf"({_DATE})[Tt ]{_TIME}{_OFFSET}", re.ASCII)
_DURATION = re.compile(
    r"-?P(?!$)(\d+(\.\d+)?Y)?(\d+(\.\d+)?M)?(\d+(\.\d+)?W)?(\d+(\.\d+)?D)?"
    r"(T(?=\d)(\d+(\.\d+)?H)?(\d+(\.\d+)?M)?(\d+(\.\d+)?S)?)?",
    re.ASCII,
)
_EMAIL = re.compile(r"[^@\s,;<>()\"]+@[^@\s.,;<>()\"]+(\.[^@\s.,;<>()\"]+)*")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}", re.IGNORECASE | re.ASCII)


def fits_format(text: str, format: str) -> bool:
    """The text is what the format says; a format not listed here says nothing."""
    if format not in EXAMPLES:
        return True
    try:
        return _CHECKS[format](text)
    except ValueError:
        return False


def offset_of(text: str) -> str | None:
    """The offset a date and time or a time is written with ("Z", "+02:00"), or None."""
    hit = _INSTANT.fullmatch(text) or _TIME_ONLY.fullmatch(text)
    return hit.groups()[-1] if hit else None


def _date(text: str) -> bool:
    return _DATE_ONLY.fullmatch(text) is not None and bool(date.fromisoformat(text))


def _time(text: str) -> bool:
    hit = _TIME_ONLY.fullmatch(text)
    return hit is not None and time.fromisoformat(hit[1]) is not None and _offset(hit[2])


def _instant(text: str) -> bool:
    hit = _INSTANT.fullmatch(text)
    return hit is not None and bool(datetime.fromisoformat(f"{hit[1]}T{hit[2]}")) and _offset(hit[3])


def _offset(text: str | None) -> bool:
    if text is None or text in "Zz":
        return True
    digits = text[1:].replace(":", "")
    return time.fromisoformat(f"{digits[:2]}:{digits[2:]}") is not None


def _uri(text: str) -> bool:
    parts = urlsplit(text)
    return bool(parts.scheme) and bool(parts.netloc or parts.path) and not re.search(r"\s", text)


_CHECKS: Final[dict[str, Callable[[str], bool]]] = {
    "date": _date,
    "time": _time,
    "date-time": _instant,
    "duration": lambda text: _DURATION.fullmatch(text) is not None,
    "uuid": lambda text: _UUID.fullmatch(text) is not None and bool(UUID(text).hex),
    "email": lambda text: _EMAIL.fullmatch(text) is not None,
    "uri": _uri,
    "ipv4": lambda text: bool(str(ipaddress.IPv4Address(text))),
    "ipv6": lambda text: bool(str(ipaddress.IPv6Address(text))),
    "decimal": is_decimal,
}

EXAMPLES: Final[dict[str, str]] = {
    "date": "a date such as 2026-03-31",
    "time": "a time such as 14:30:00",
    "date-time": "a date and time such as 2026-03-31T14:30:00+02:00",
    "duration": "a duration such as P1DT2H30M",
    "uuid": "a UUID such as 123e4567-e89b-12d3-a456-426614174000",
    "email": "an email address such as ana@example.org",
    "uri": "a URL such as https://example.org/a",
    "ipv4": "an IPv4 address such as 192.0.2.1",
    "ipv6": "an IPv6 address such as 2001:db8::1",
    "decimal": "a number such as 1200.00, without separators",
}
"""What to tell a person each checked format wants."""
