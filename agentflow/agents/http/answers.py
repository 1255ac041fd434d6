"""What an HTTP answer is to a tool: a result, something to tell the model, or a reason to try again."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from agentflow.agents.http.credentials import without
from agentflow.durations import LONGEST
from agentflow.errors import AnswerLost, ServerUnavailable, ToolError

if TYPE_CHECKING:
    from agentflow.agents.http.endpoint import Outgoing
    from agentflow.egress import Answer

_LONGEST_PROBLEM: Final = 2_000
_TEXTS: Final = {"application/xml", "application/yaml", "application/x-yaml", "application/javascript"}
_TRANSIENT: Final = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}


def result_of(request: Outgoing, answer: Answer, *, is_repeatable: bool, now: datetime) -> Any:
    """The result: JSON as values, text as text, and of an empty answer its status.

    Raises `ToolError` for what the model is to be told: another status than 2xx, a kind of content that is neither.
    Raises `ServerUnavailable` where the server says that it cannot at the moment, and `AnswerLost` where it failed in a
    call that must not be repeated, since what it did before it failed is not known.
    """
    status, shown = answer.status, request.shown
    text = without(answer.text, request.hidden)
    said = f"{shown} answered {status} {_phrase(status)}".rstrip()
    if status in _TRANSIENT:
        raise ServerUnavailable(_with(said, text), status=status, retry_after=_asked(answer, now))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        if is_repeatable:
            raise ServerUnavailable(_with(said, text), status=status, retry_after=_asked(answer, now))
        raise AnswerLost(_with(f"{said}, after what may have been done", text))
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        target = without(answer.headers.get("location", ""), request.hidden)[:_LONGEST_PROBLEM]
        raise ToolError(f"{said}, to {target!r}, and that is not followed")
    if status >= HTTPStatus.BAD_REQUEST:
        raise ToolError(_with(said, text))
    return _content(answer, text, said)


def _content(answer: Answer, text: str, said: str) -> Any:
    if not answer.content.strip():
        return {"status": answer.status}
    kind = answer.media_type
    if kind == "application/json" or kind.endswith("+json"):
        try:
            return json.loads(text, parse_constant=_no_number)
        except ValueError:
            raise ToolError(_with(f"{said}, and calls JSON what is none", text)) from None
        except RecursionError:
            raise ToolError(f"{said}, with JSON nested too deeply to read") from None
    if kind.startswith("text/") or kind.endswith("+xml") or kind in _TEXTS:
        return text
    raise ToolError(
        f"{said}, with {len(answer.content)} bytes of {kind or 'no stated type'}: neither JSON nor text, so not used"
    )


def _with(said: str, text: str) -> str:
    shown = text.strip().replace("\0", "�")
    if len(shown) > _LONGEST_PROBLEM:
        shown = f"{shown[:_LONGEST_PROBLEM]}… ({len(shown)} characters)"
    return f"{said}: {shown}" if shown else said


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _asked(answer: Answer, now: datetime) -> timedelta | None:
    """How long the server asks to be left alone: seconds or a date (RFC 9110, 10.2.3); None where it does not say."""
    asked = answer.headers.get("retry-after", "").strip()
    try:
        if asked.isascii() and asked.isdigit():
            return min(timedelta(seconds=int(asked[:12])), LONGEST)
        date = parsedate_to_datetime(asked)
        return min(max((date if date.tzinfo else date.replace(tzinfo=UTC)) - now, timedelta(0)), LONGEST)
    except (ValueError, OverflowError):
        return None


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")
