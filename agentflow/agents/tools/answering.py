"""What a model is told of a call: its result as text, or what is wrong."""

from __future__ import annotations

import json
from typing import Any, Final

from agentflow.errors import AllFailed, Fatal, PayloadError, ToolError
from agentflow.payloads import to_json

LONGEST: Final = 50_000
"""Characters of a result that a model is told, unless the tool says otherwise."""
NOTHING: Final = "done"
_LONGEST_ERROR: Final = 2_000


def answer_text(tool: str, result: Any, *, limit: int = LONGEST) -> str:
    """The result as a model is told it: texts as they are, other values as JSON.

    Raises `ToolError` for what has no text a model could read, such as bytes; the call is done all the same.
    """
    if result is None:
        return NOTHING
    if isinstance(result, str):
        return _cut(str.__str__(result), limit)
    if isinstance(result, (bytes, bytearray, memoryview)):
        raise ToolError(_UNTELLABLE.format(tool=tool, what=f"{len(result):,} bytes"))
    try:
        return _cut(json.dumps(to_json(result), ensure_ascii=False), limit)
    except PayloadError as error:
        what = f"a {type(result).__name__} that is no JSON ({error})"
        raise ToolError(_UNTELLABLE.format(tool=tool, what=what)) from error


_UNTELLABLE: Final = (
    "{tool} was called and has ended; its result is {what}, which a model cannot be told. Whoever wrote the tool: "
    "return text or plain data, or keep the content elsewhere and return how to find it"
)


def failure_text(error: Exception) -> str:
    """What a model is told of a call that failed: a `ToolError` in its own words, others by type and text."""
    if isinstance(error, ToolError):
        return _cut(str(error) or type(error).__name__, _LONGEST_ERROR)
    text = str(error) if isinstance(error, AllFailed) else f"{type(error).__name__}: {error}"
    return _cut(f"the tool failed: {text}", _LONGEST_ERROR)


def is_for_the_model(error: Exception, on_error: str) -> bool:
    """Whether a model is told of this error, and the run goes on."""
    if isinstance(error, Fatal):
        return False
    return isinstance(error, ToolError) or on_error == "tell"


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    return f"{text[:limit]}\n… ({len(text) - limit:,} of {len(text):,} characters are left out)"
