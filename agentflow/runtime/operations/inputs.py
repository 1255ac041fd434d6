"""The arguments of a call as the journal keeps them."""

from __future__ import annotations

import json
from json.encoder import encode_basestring as quote
from typing import TYPE_CHECKING, Any

from agentflow.payloads import preview

if TYPE_CHECKING:
    from collections.abc import Mapping

_write = json.JSONEncoder(ensure_ascii=False).encode
_WORDS = {None: "null", True: "true", False: "false"}
_SHORT_TEXT = 1000


def input_text(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str | None:
    """The arguments of a call as the journal keeps them, for people and for comparison; None if there are none."""
    if not kwargs:
        if not args:
            return None
        text = _short(args)
        if text is not None:
            return text
    return _write(preview({"args": args, "kwargs": kwargs} if kwargs else list(args)))


def _short(args: tuple[Any, ...]) -> str | None:
    """What writing their preview would give, at a fraction of the cost; None unless all are short texts and numbers."""
    parts = []
    for one in args:
        kind = type(one)
        if kind is str and len(one) < _SHORT_TEXT and one.isascii():
            parts.append(quote(one))
        elif kind is int:
            parts.append(repr(one))
        elif kind is bool or one is None:
            parts.append(_WORDS[one])
        else:
            return None
    return f"[{', '.join(parts)}]"
