"""The arguments of a call as the journal keeps them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from agentflow.payloads import preview

if TYPE_CHECKING:
    from collections.abc import Mapping

_write = json.JSONEncoder(ensure_ascii=False).encode
_SCALARS = frozenset({int, bool, type(None)})
_SHORT_TEXT = 1000


def input_text(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str | None:
    """The arguments of a call as the journal keeps them, for people and for comparison; None if there are none."""
    if not kwargs:
        if not args:
            return None
        if all(
            type(one) in _SCALARS or (type(one) is str and len(one) < _SHORT_TEXT and one.isascii()) for one in args
        ):
            return _write(args)  # what `preview` would give, at a tenth of the cost
    return _write(preview({"args": args, "kwargs": kwargs} if kwargs else list(args)))
