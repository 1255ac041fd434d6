"""What a task sees is what the store will give it again: the value is written, read back, and the copy handed on."""

from __future__ import annotations

import json
from types import NoneType
from typing import Any

from agentflow.errors import NotRecordable, PayloadTooLarge, UndecodablePayload
from agentflow.payloads.decoding import fit, restore
from agentflow.payloads.encoding import LIMIT, encode
from agentflow.payloads.shapes import any_container, is_absent

_read = json.JSONDecoder().raw_decode
_IMMUTABLE = frozenset({str, int, float, bool, NoneType})


def record(value: Any, annotation: Any = Any, *, limit: int = LIMIT, of: str | None = None) -> tuple[str, Any]:
    """The text to store and the value the task sees: a copy that `decode(text, annotation)` gives again on replay.

    A value that does not fit its annotation but needs none is kept as it is: Python does not check annotations, and a
    call that has done its work must not fail for one. Raises `NotRecordable` when nothing says how to read the text
    back; `of` names the function in its remedy.
    """
    kind = type(value)
    text = encode(value, limit=limit)
    if kind in _IMMUTABLE and (annotation is kind or annotation is Any):
        return text, value
    if any_container(annotation) is kind and '"$' not in text:
        return text, _read(text)[0]
    restored = restore(text, annotation)
    if is_absent(annotation):
        if restored.unresolved:
            raise _unreadable(value, restored.unresolved, of)
        return text, restored.value
    try:
        seen = fit(restored, annotation)
        is_same = seen is restored.value or encode(seen, limit=limit) == text
        if is_same and (not restored.unresolved or seen == value):
            return text, seen
    except (UndecodablePayload, NotRecordable, PayloadTooLarge):
        pass  # it is not what the annotation says; it may still be readable by its tags
    if restored.unresolved:
        raise _unreadable(value, restored.unresolved, of)
    return f'{{"$exact":{text}}}', restore(text, annotation).value


def _unreadable(value: Any, name: str, of: str | None) -> NotRecordable:
    wanted = type(value).__qualname__ if type(value).__qualname__ == name else f"a type that names {name}"
    what = f"the return type of `{of}`" if of else "the return type"
    return NotRecordable(
        path="", type_name=name, remedy=f"nothing says how to read it back: annotate {what} as `-> {wanted}`"
    )
