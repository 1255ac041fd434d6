"""What an answer that is none means: which of our errors a status is, when to come back, and the provider's words.

Words are shown to people and kept in the journal, so they never hold a key, and nothing of the conversation that a
provider may repeat in them.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from agentflow.durations import LONGEST
from agentflow.errors import (
    ModelError,
    ModelNotAuthorized,
    ModelRateLimited,
    ModelRequestRefused,
    ModelUnavailable,
)
from agentflow.later import later

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from email import utils as mail_dates
else:
    mail_dates = later("email.utils")

RATE_LIMITED: Final = 429
NOT_AUTHORIZED: Final = frozenset({401, 402, 403})
PASSING: Final = frozenset({408, 409, 425})
"""Statuses below 500 that say "not now": a time-out, a lock that is held, a request that came too early."""
LONGEST_WORDS: Final = 500
HIDDEN: Final = "[hidden]"
_BLOCK: Final = 12
_SHORTEST_TEXT: Final = 6
_REMEDIES: Final = {
    401: "is the key right?",
    402: "is the account paid up?",
    403: "may the key use this model?",
    404: "are the model's name and the base URL right?",
}


def of_status(
    status: int, words: str, *, model: str, retry_after: timedelta | None = None, wanted: str = ""
) -> ModelError:
    """The error that an answer of this status is. `wanted` is what to do about it, where something other than usual."""
    said = f"{model} answered {status}" + (f": {words}" if words else "")
    remedy = wanted or _REMEDIES.get(status, "")
    said += f" ({remedy})" if remedy else ""
    if status == RATE_LIMITED:
        return ModelRateLimited(said, model=model, status=status, retry_after=retry_after)
    if status in NOT_AUTHORIZED:
        return ModelNotAuthorized(said, model=model, status=status)
    if status in PASSING or status >= 500:  # noqa: PLR2004  what the server says of itself
        return ModelUnavailable(said, model=model, status=status, retry_after=retry_after)
    return ModelRequestRefused(said, model=model, status=status)


def retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """How long the provider asks to be left alone: in milliseconds, in seconds or until a date; else None."""
    for name in ("retry-after-ms", "x-ms-retry-after-ms"):
        span = _span(headers.get(name, ""), timedelta(milliseconds=1))
        if span is not None:
            return span
    asked = headers.get("retry-after", "")
    span = _span(asked, timedelta(seconds=1))
    return _until(asked, now) if span is None else span


def _span(text: str, unit: timedelta) -> timedelta | None:
    try:
        count = float(text)
    except ValueError:
        return None
    return count * unit if math.isfinite(count) and 0 <= count <= LONGEST / unit else None


def _until(text: str, now: datetime) -> timedelta | None:
    try:
        date = mail_dates.parsedate_to_datetime(text.strip())
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    span = max((date if date.tzinfo else date.replace(tzinfo=UTC)) - now, timedelta(0))
    return span if span <= LONGEST else None


# -- the provider's words


def words_in(body: Any) -> str:
    """What is said in an error's body, in any of the shapes that servers of Chat Completions give it."""
    if isinstance(body, list):
        return "; ".join(filter(None, map(words_in, body)))
    if not isinstance(body, dict):
        return body if isinstance(body, str) and not body.lstrip().startswith("<") else ""
    for key in ("error", "message", "detail", "msg"):
        found = words_in(body.get(key))
        if found:
            return "; ".join(filter(None, [_placed(found, body), _of_upstream(body)]))
    return ""


def _placed(words: str, body: dict[str, Any]) -> str:
    place = body.get("loc")
    return f"{'.'.join(map(str, place))}: {words}" if isinstance(place, list) else words


def _of_upstream(body: dict[str, Any]) -> str:
    """What a gateway tells of the provider behind it."""
    metadata = body.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    return raw if isinstance(raw, str) else ""


def tidy(words: str) -> str:
    """The words on one line, and not too long."""
    words = re.sub(r"\s+", " ", "".join(one if one.isprintable() else " " for one in words)).strip()
    return words if len(words) <= LONGEST_WORDS else words[: LONGEST_WORDS - 1] + "…"


def hidden(words: str, *, secrets: Iterable[str], said: Iterable[str]) -> str:
    """The words without the secrets, and without what they repeat of what was said to the model."""
    for secret in secrets:
        words = words.replace(secret, HIDDEN) if secret else words
    for text in said:
        words = _without(words, re.sub(r"\s+", " ", text).strip())
    return words


def _without(words: str, text: str) -> str:
    """The words without what stands in the text too, for at least two blocks' length: shorter is the same by chance."""
    if _SHORTEST_TEXT <= len(text) < 2 * _BLOCK:
        return words.replace(text, HIDDEN)
    kept, at, shown = [], 0, 0
    while at + _BLOCK <= len(words):
        start, end = _widest(words, shown, at, text) if words[at : at + _BLOCK] in text else (at, at)
        if end - start < 2 * _BLOCK:
            at += _BLOCK
            continue
        kept += [words[shown:start], HIDDEN]
        at = shown = end
    return "".join([*kept, words[shown:]])


def _widest(words: str, least: int, at: int, text: str) -> tuple[int, int]:
    """How far the words round this place stand in the text as they are here."""
    start, end = at, at + _BLOCK
    while end < len(words) and words[start : end + 1] in text:
        end += 1
    while start > least and words[start - 1 : end] in text:
        start -= 1
    return start, end
