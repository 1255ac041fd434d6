"""Reading JSON that strangers send: every value it can hold can be stored, compared and sent back."""

from __future__ import annotations

import json
import math
from typing import Any, Final

from approvals_ui.problems import Refused

DEEPEST: Final = 100
LONGEST_NUMBER: Final = 1000


def read_json(body: bytes) -> Any:
    """The value. Raises `Refused` (400), saying what is wrong with the text; nothing was changed then."""
    try:
        value = json.loads(
            body.decode(), object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite, parse_int=_short
        )
    except UnicodeDecodeError as error:
        raise _refused(f"is not UTF-8: byte {error.start} cannot be read") from None
    except json.JSONDecodeError as error:
        raise _refused(f"is not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise _refused(f"is nested too deeply; wanted {DEEPEST} levels at most") from None
    _require_plain(value)
    return value


def _refused(what: str) -> Refused:
    return Refused(400, f"The body {what}. Nothing was changed.", kind="invalid-json")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _refused(f"has the field {twice[:50]!a} twice in one object")
    return found


def _no_constant(name: str) -> Any:
    raise _refused(f"holds {name}, which is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _refused(f"holds the number {text[:30]}, which is too large")
    return number


def _short(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        raise _refused(f"holds a number of {len(text):,} digits; wanted {LONGEST_NUMBER:,} at most")
    return int(text)


def _require_plain(value: Any) -> None:
    """No text with half a character or a NUL in it, which no database keeps, and nothing too deep."""
    rest = [(value, 1)]
    while rest:
        one, depth = rest.pop()
        if isinstance(one, str):
            _require_storable(one)
        elif isinstance(one, dict | list):
            if depth > DEEPEST:
                raise _refused(f"is nested too deeply; wanted {DEEPEST} levels at most")
            rest += [(each, depth + 1) for each in (one.values() if isinstance(one, dict) else one)]
            if isinstance(one, dict):
                rest += [(name, depth + 1) for name in one]


def _require_storable(text: str) -> None:
    if text.isascii():
        if "\0" in text:
            raise _refused(r"holds a NUL character (\u0000) in a text, which cannot be stored")
        return
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _refused("holds half a surrogate pair in a text, which is no character") from None
    if "\0" in text:
        raise _refused(r"holds a NUL character (\u0000) in a text, which cannot be stored")
