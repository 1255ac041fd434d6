"""A body read as JSON: UTF-8, no name twice in an object, finite numbers, not too deep; or the form it came in.

What is refused here is refused with a reason that the sender may be told, since it knows all that is in it.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Iterable

FORM: Final = "application/x-www-form-urlencoded"
MOST_FIELDS: Final = 1000
IN_A_FORM: Final = "payload"
_SHOWN: Final = 50


class Unfit(Exception):
    """A request that can start nothing: a `reason` for its sender, and a `detail` for the operators alone."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(detail or reason)
        self.reason = reason
        self.detail = detail or reason


def payload_of(body: bytes, *, content_type: str, max_depth: int) -> Any:
    """What the body says. Raises `Unfit`.

    A form is an object of its fields; one whose only field is `payload` is the JSON in it, as GitHub and Slack send.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise Unfit(f"the body is not UTF-8: byte {body[error.start]:#04x} at {error.start}") from None
    if content_type.partition(";")[0].strip().lower() != FORM or text.lstrip()[:1] in ("{", "["):
        return _json(text, max_depth)  # no form begins so: it would be escaped; but `curl -d` says that all it sends is
    fields = _fields(text)
    return _json(fields[IN_A_FORM], max_depth) if set(fields) == {IN_A_FORM} else fields


def _json(text: str, max_depth: int) -> Any:
    too_deep = f"the body is nested more than {max_depth} levels deep"
    try:
        payload = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite, parse_int=_whole
        )
    except RecursionError:
        raise Unfit(too_deep) from None
    except ValueError as error:
        raise Unfit(f"the body is not JSON: {error}") from None
    if _is_deeper(payload, max_depth):
        raise Unfit(too_deep)
    return payload


def _fields(text: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            text, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=MOST_FIELDS
        )
        return _unique(pairs)
    except ValueError as error:
        raise Unfit(f"the body is not the form that its content type says: {error}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"it has the name {name[:_SHOWN]!r} twice in one object")
        found[name] = value
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"it has {name}, which JSON has not")


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"it has the number {text[:_SHOWN]}, which is out of range")
    return value


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:  # more digits than Python reads, and its words for that are about Python
        raise ValueError(f"it has a number of {len(text):,} digits") from None


def _is_deeper(payload: Any, depth: int) -> bool:
    level = [payload]
    for _ in range(depth):
        level = [inner for one in level for inner in _members(one)]
    return any(isinstance(one, dict | list) for one in level)


def _members(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
