"""One text for one JSON value, for digests: RFC 8785 (JSON Canonicalization Scheme).

Numbers are written as ECMAScript writes them, so 1 and 1.0 are the same number and have the same text. There are two
departures where RFC 8785 has no text: integers beyond 2**53 keep all their digits, and lone surrogates are escapes.
"""

from __future__ import annotations

import hashlib
import json
import math
from decimal import Decimal
from json.encoder import encode_basestring as quote
from typing import Any

_MOST_DIGITS = 21  # from here on ECMAScript writes an exponent
_LEAST_EXPONENT = -6


def canonical(value: Any) -> str:
    """The canonical text of a JSON value. Raises `ValueError` for NaN, infinities and what is no JSON."""
    parts: list[str] = []
    _write(value, parts)
    text = "".join(parts)
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join(char if not "\ud800" <= char <= "\udfff" else f"\\u{ord(char):04x}" for char in text)
    return text


def json_text(value: Any) -> str:
    """The text of a JSON value in its own order and with its own numbers (1.0 stays 1.0), for storing and showing."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def digest(text: str) -> str:
    """`sha256:` and 64 hex digits that stand for a text."""
    return "sha256:" + hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _write(value: Any, parts: list[str]) -> None:
    if isinstance(value, str):
        parts.append(quote(value))
    elif value is None or isinstance(value, (bool, int)):
        parts.append(json.dumps(value))
    elif isinstance(value, float):
        parts.append(_number(value))
    elif isinstance(value, dict):
        _write_members(value, parts)
    elif isinstance(value, (list, tuple)):
        parts.append("[")
        for at, item in enumerate(value):
            parts.append("," if at else "")
            _write(item, parts)
        parts.append("]")
    else:
        raise ValueError(f"a {type(value).__qualname__} is no JSON value; pass the result of `to_json`")


def _write_members(value: dict[Any, Any], parts: list[str]) -> None:
    if not all(isinstance(key, str) for key in value):
        raise ValueError("the keys of a JSON object are text; pass the result of `to_json`")
    parts.append("{")
    ordered = sorted(value, key=lambda key: key.encode("utf-16-be", errors="surrogatepass"))
    for at, key in enumerate(ordered):
        parts.append(("," if at else "") + quote(key) + ":")
        _write(value[key], parts)
    parts.append("}")


def _number(value: float) -> str:
    """A float as ECMAScript's Number.prototype.toString writes it (RFC 8785 section 3.2.2.3)."""
    if not math.isfinite(value):
        raise ValueError(f"{value} is no JSON number")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    _, figures, exponent = Decimal(repr(abs(value))).normalize().as_tuple()
    assert isinstance(exponent, int)
    digits = "".join(map(str, figures))
    point = len(digits) + exponent  # the value is 0.digits times 10 to this power
    if point > _MOST_DIGITS or point <= _LEAST_EXPONENT:
        power = point - 1
        fraction = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{fraction}e{power:+d}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if exponent >= 0:
        return sign + digits + "0" * exponent
    return f"{sign}{digits[:point]}.{digits[point:]}"
