"""Python values to JSON text: plain JSON at the speed of the C encoder, everything else through tags."""

from __future__ import annotations

import json
import math
from json.encoder import encode_basestring as quote
from json.encoder import encode_basestring_ascii as quote_ascii
from types import NoneType
from typing import TYPE_CHECKING, Any

from agentflow.errors import NotRecordable, PayloadTooLarge
from agentflow.payloads.remedies import TOO_DEEP
from agentflow.payloads.tagging import DEPTH, INT_BITS, Refused, Tagger

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 4 * 1024 * 1024

_SCALARS = frozenset({str, int, float, bool, NoneType})
_NESTED = frozenset({list, dict})
_PLAIN = _SCALARS | _NESTED
_TEXT_ONLY = frozenset({str})


def _writer(quoted: Callable[[str], str]) -> Callable[[Any], str]:
    """What `JSONEncoder.encode` does, its encoder made once: to make one takes as long as to write a small value."""
    is_ascii = quoted is quote_ascii
    plain = json.JSONEncoder(ensure_ascii=is_ascii, allow_nan=False, check_circular=False, separators=(",", ":"))
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return plain.encode
    write = make(None, plain.default, quoted, None, ":", ",", False, False, False)
    return lambda value: "".join(write(value, 0))


_compact = _writer(quote)
_ascii = _writer(quote_ascii)


def encode(value: Any, *, limit: int = LIMIT) -> str:
    """The JSON text that `decode` turns back into `value`.

    Raises `NotRecordable` for a value with no such text and `PayloadTooLarge` for more than `limit` bytes of UTF-8.
    """
    text = _scalar(value, limit)
    if text is None:
        text = _plain(value, limit)
    if text is None:
        text = _tagged(value, limit)
    if len(text) * 4 > limit:
        size = len(text) if text.isascii() else len(text.encode())
        if size > limit:
            raise PayloadTooLarge(size=size, limit=limit)
    return text


def _scalar(value: Any, limit: int) -> str | None:
    """The text of the values that tasks pass most often, without any walking."""
    kind = type(value)
    if kind is str:
        if len(value) > limit:
            raise PayloadTooLarge(size=len(value) + 2, limit=limit)
        return quote(value) if value.isascii() else None
    if kind is int:
        return repr(value) if value.bit_length() <= INT_BITS else None
    if value is None:
        return "null"
    if kind is bool:
        return "true" if value else "false"
    if kind is float and math.isfinite(value):
        return repr(value)
    return None


def _plain(value: Any, limit: int) -> str | None:
    """The text of a value that is JSON already; None if anything in it needs a tag."""
    if type(value) not in _PLAIN or not _is_plain(value, limit):
        return None
    try:
        text = _compact(value)
        if not text.isascii():
            text.encode()
    except ValueError:  # NaN, an integer of thousands of digits, or a lone surrogate
        return None
    return None if '"$' in text else text


def _is_plain(value: Any, limit: int) -> bool:
    """Whether all of `value` is exactly of JSON's types, to a bounded depth and number of containers."""
    level = [value] if type(value) in _NESTED else []
    containers = 0
    for _ in range(DEPTH):
        below: list[Any] = []
        for container in level:
            if type(container) is dict:
                if not _TEXT_ONLY.issuperset(map(type, container)):
                    return False
                container = container.values()  # noqa: PLW2901 - from here on only the items matter
            kinds = set(map(type, container))
            if kinds <= _SCALARS:
                continue
            if not kinds <= _PLAIN:
                return False
            below += [item for item in container if type(item) in _NESTED]
            if containers + len(below) > limit:
                return False
        if not below:
            return True
        containers += len(below)
        level = below
    return False


def _tagged(value: Any, limit: int) -> str:
    try:
        tree = Tagger(limit).tag(value, 0)
    except Refused as refused:
        raise refused.error() from None
    except RecursionError:
        raise NotRecordable(path="", type_name=type(value).__qualname__, remedy=TOO_DEEP) from None
    text = _compact(tree)
    try:
        text.encode()
    except UnicodeEncodeError:  # lone surrogates: no UTF-8 holds them, so they are written as escapes
        return _ascii(tree)
    return text
