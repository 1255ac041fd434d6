"""How values are written for a person: times, spans, JSON, and text that may hide something."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from markupsafe import Markup, escape

from agentflow.approvals import has_hidden, mixed_scripts, visible
from agentflow.approvals.text import escape_hidden
from agentflow.payloads import readable

_UNITS: Final = ((86400, "d"), (3600, "h"), (60, "min"))
_JUST_NOW: Final = 5
LEAST_MONEY: Final = Decimal("0.0001")
LONGEST: Final = 200_000
MOST_PARTS: Final = 2_000


def span(length: timedelta | None) -> str:
    """A length of time in at most two units: "14 ms", "1.2 s", "3 min 5 s", "2 d 4 h"."""
    if length is None:
        return ""
    seconds = max(0.0, length.total_seconds())
    if seconds < 1:
        millis = seconds * 1000
        return f"{millis:.0f} ms" if millis >= 10 else f"{millis:.1f} ms" if millis >= 0.1 else "<0.1 ms"  # noqa: PLR2004  two digits
    if seconds < 60:  # noqa: PLR2004  a minute
        return f"{seconds:.1f} s"
    return coarse(seconds)


def coarse(seconds: float) -> str:
    """Whole seconds in at most two units."""
    left, parts = int(seconds), []
    for size, unit in (*_UNITS, (1, "s")):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
        elif parts:
            break
        if len(parts) == 2:  # noqa: PLR2004  two units are enough
            break
    return " ".join(parts) or "0 s"


def relative(at: datetime, now: datetime) -> str:
    """Where an instant lies from now: "in 2 h 40 min", "5 min ago", "just now". What is past matters less exactly."""
    seconds = (at - now).total_seconds()
    if abs(seconds) < _JUST_NOW:
        return "just now"
    if seconds > 0:
        return f"in {coarse(seconds // 60 * 60 if seconds >= 60 else seconds)}"  # noqa: PLR2004  whole minutes
    words = coarse(-seconds)
    return f"{' '.join(words.split(' ')[:2])} ago"


def local(at: datetime) -> str:
    """The instant on this machine's clock, with its zone: "Sun 22 Nov 2026, 14:30:05 CET"."""
    return at.astimezone().strftime("%a %-d %b %Y, %H:%M:%S %Z")


def iso(at: datetime) -> str:
    """The instant as a machine reads it, in UTC."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def show(text: str | None) -> Markup:
    """Text written by somebody else, isolated, with every hidden character marked and look-alikes pointed out."""
    parts = [
        Markup('<mark class="hidden-char" title="{}">{}</mark>').format(piece.name, piece.text)
        if piece.hidden
        else escape(piece.text)
        for piece in visible(text or "")
    ]
    if mixed_scripts(text or ""):
        note = "A word here mixes Latin letters with look-alikes of another script"
        parts.append(Markup(' <span class="badge warn" title="{}">mixed scripts</span>').format(note))
    return Markup("<bdi>{}</bdi>").format(Markup("").join(parts))


def plain(text: str | None) -> str:
    """The same as one string, for attributes and titles."""
    return "".join(piece.text for piece in visible(text or ""))


def pretty(text: str | None) -> str:
    """A stored payload as indented JSON, hidden characters written as escapes; cut where nobody would read on."""
    return pretty_json(None if text is None else readable(text))


def pretty_json(value: Any) -> str:
    """A JSON value, indented, hidden characters written as escapes."""
    text = escape_hidden(json.dumps(value, indent=2, ensure_ascii=False))
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}\n… cut; the whole value is in the API"


def detail(text: str) -> str:
    """What a journal entry says of itself: indented where it is JSON, else as it stands."""
    value = readable(text)
    return pretty_json(value) if isinstance(value, dict | list) and "$unreadable" not in value else plain(text)


def short(text: str | None, length: int = 140) -> str:
    """One line of a stored payload."""
    line = plain(json.dumps(readable(text), ensure_ascii=False)) if text is not None else ""
    return line if len(line) <= length else f"{line[:length]}…"


def count(number: int) -> str:
    """A whole number with its thousands apart."""
    return f"{number:,}"


def money(amount: Decimal | None) -> str:
    """US dollars as exactly as anybody cares: "$12.40", "$0.0031", "<$0.0001"; what has no known price says so."""
    if amount is None:
        return "no price known"
    if 0 < amount < LEAST_MONEY:
        return f"<${LEAST_MONEY}"
    if amount >= 1 or not amount:
        return f"${amount:,.2f}"
    whole, _, parts = f"{amount:.4f}".partition(".")
    return f"${whole}.{parts[:2]}{parts[2:].rstrip('0')}"


def percent(share: float | None) -> str:
    """A share from 0 to 1 as a percentage."""
    return "" if share is None else f"{share * 100:.0f} %"


def suspicious(text: object) -> bool:
    """Whether a form's value holds something a person would not see."""
    return isinstance(text, str) and has_hidden(text)


def is_large(value: Any) -> bool:
    """Whether a value has more parts than a page should lay out one by one."""
    pending, count = [value], 0
    while pending and count <= MOST_PARTS:
        part = pending.pop()
        count += 1
        if isinstance(part, dict | list):
            pending += part.values() if isinstance(part, dict) else part
    return count > MOST_PARTS


def sides(detail: str) -> dict[str, str] | None:
    """Both sides of a divergence, where a journal entry's detail states them."""
    value = readable(detail)
    if not isinstance(value, dict) or not {"recorded", "asked"} <= set(value):
        return None
    return {name: str(value[name]) for name in ("recorded", "asked")}
