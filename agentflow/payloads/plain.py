"""Values as people and forms see them: JSON without tags, and back under an annotation."""

from __future__ import annotations

import dataclasses
import json
from enum import Enum
from itertools import islice
from types import NoneType
from typing import TYPE_CHECKING, Any

from agentflow.errors import NotRecordable, UndecodablePayload
from agentflow.ids import without_tokens
from agentflow.later import later
from agentflow.payloads.canonical import canonical, digest
from agentflow.payloads.encoding import LIMIT, encode
from agentflow.payloads.problems import problems
from agentflow.payloads.remedies import is_secret, type_name
from agentflow.payloads.shapes import adapter, is_absent, is_model, name_of, shape_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pydantic
    import pydantic_core
else:
    pydantic, pydantic_core = later("pydantic"), later("pydantic_core")

_LARGE = '{"$large":'
_DEEPEST = 12
_MOST_ITEMS = 200
_MOST_NODES = 5_000
_LONGEST = 16_384
_SHOWN = 1_000


def to_json(value: Any) -> Any:
    """The value as plain JSON, as its types write themselves: models by alias, dates and Decimal as text.

    Raises `NotRecordable` for what has no plain JSON, and for secrets, whose text people must not be shown.
    """
    encode(value, limit=64 * LIMIT)  # finds loops, secrets and live objects, and says where they are
    try:
        plain = pydantic_core.to_jsonable_python(
            value, by_alias=True, inf_nan_mode="strings", timedelta_mode="iso8601", serialize_as_any=True
        )
    except (pydantic_core.PydanticSerializationError, ValueError) as error:
        reason = f"it has no plain JSON: {error}; bytes that are no UTF-8 text need pydantic's Base64Bytes"
        raise NotRecordable(path="", type_name=type(value).__qualname__, remedy=reason) from error
    return _finite(plain)


def from_json(value: Any, annotation: Any = Any) -> Any:
    """The value that plain JSON means under an annotation; strict, so "12" is no int. Tags mean nothing here.

    Raises `UndecodablePayload` listing every field that does not fit.
    """
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise UndecodablePayload(f"the value is no JSON: {error}") from error
    if is_absent(annotation):
        return json.loads(text)
    try:
        return adapter(annotation).validate_json(text, strict=True, by_alias=True, by_name=True)
    except pydantic.ValidationError as error:
        found = "; ".join(map(str, problems(error)))
        raise UndecodablePayload(f"the value does not fit {name_of(annotation)}: {found}") from error


def readable(text: str) -> Any:
    """A stored payload as plain JSON for a page: tags are taken off, no class is needed. Never checked, never fails.

    Tokens of callbacks are hidden in it.
    """
    try:
        tree = json.loads(without_tokens(text))
        return tree if is_stand_in(text) else _untagged(tree)
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
        return {"$unreadable": text[:_SHOWN]}


def large_stand_in(digest: str, size: int) -> str:
    """What stands in a listing for a payload that is too large for one; the record itself, read alone, has it."""
    return f'{_LARGE}{{"bytes":{size},"digest":"sha256:{digest}"}}}}'


def is_stand_in(text: str) -> bool:
    """Whether a payload is not the value but a listing's stand-in for it."""
    return text.startswith(_LARGE)


def preview(value: Any) -> Any:
    """Plain JSON that says what a value is, for any value: what cannot be stored becomes `{"$unrecordable": its type}`.

    Bounded in depth and size; a long text is cut and carries its digest, so that two different ones still differ.
    """
    return _Preview().of(value, 0)


def _finite(plain: Any) -> Any:
    """NaN and the infinities as text: they are no JSON."""
    if isinstance(plain, float):
        return plain if plain - plain == 0 else {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[repr(plain)]
    if isinstance(plain, dict):
        return {key: _finite(item) for key, item in plain.items()}
    return [_finite(item) for item in plain] if isinstance(plain, list) else plain


def _untagged(tree: Any) -> Any:
    if isinstance(tree, list):
        return [_untagged(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    tag = next(iter(tree), "")
    if not tag.startswith("$"):
        return {key: _untagged(item) for key, item in tree.items()}
    body = tree[_BODIES.get(tag, tag)]
    if tag == "$object":
        return {key: _untagged(item) for key, item in body.items()}
    if tag == "$dict":
        return {key if isinstance(key, str) else json.dumps(_untagged(key)): _untagged(item) for key, item in body}
    return "".join(body) if tag == "$str" else _untagged(body)


_BODIES = {"$object": "fields", "$enum": "value", "$text": "value"}


class _Preview:
    def __init__(self) -> None:
        self._nodes = 0

    def of(self, value: Any, depth: int) -> Any:
        self._nodes += 1
        try:
            return self._of(value, depth)
        except Exception:  # noqa: BLE001 - whatever the value's own code does, its type can be said
            return _unrecordable(value)

    def _of(self, value: Any, depth: int) -> Any:
        if is_secret(value):
            return "**********"
        for kinds, show in _SHOWN_AS:
            if isinstance(value, kinds):
                return show(value)
        if isinstance(value, Enum):
            return self.of(value.value, depth + 1)
        if not isinstance(value, _NESTED) and shape_of(type(value)) is None:
            return readable(encode(value))
        if depth >= _DEEPEST or self._nodes > _MOST_NODES:
            return {"$more": type_name(value)}
        return self._nested(value, depth)

    def _nested(self, value: Any, depth: int) -> Any:
        if is_model(type(value)):
            return self._members(((name, getattr(value, name)) for name in type(value).model_fields), depth)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return self._members(
                ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value)), depth
            )
        if isinstance(value, dict):
            return self._members(value.items(), depth, len(value))
        items = [self.of(item, depth + 1) for item in islice(value, _MOST_ITEMS)]
        if isinstance(value, (set, frozenset)):
            items.sort(key=canonical)
        return [*items, {"$more": len(value) - _MOST_ITEMS}] if len(value) > _MOST_ITEMS else items

    def _members(self, members: Iterable[tuple[Any, Any]], depth: int, size: int = 0) -> dict[str, Any]:
        shown = {}
        for key, item in islice(members, _MOST_ITEMS):
            name = key if isinstance(key, str) else canonical(self.of(key, depth + 1))
            shown[name[:_SHOWN]] = self.of(item, depth + 1)
        if size > _MOST_ITEMS:
            shown["$more"] = size - _MOST_ITEMS
        return shown


_NESTED = (dict, list, tuple, set, frozenset)
_SHOWN_AS: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    ((bool, NoneType), lambda value: value),
    (str, lambda value: _cut(str.__str__(value))),
    (int, lambda value: json.loads(encode(value))),
    (float, lambda value: _finite(float.__pos__(value))),
    ((bytes, bytearray), lambda value: _cut(value.decode(errors="backslashreplace"))),
)


def _cut(text: str) -> Any:
    if len(text) <= _LONGEST:
        return text
    return {"$cut": text[:_SHOWN], "length": len(text), "digest": digest(text)}


def _unrecordable(value: Any) -> dict[str, str]:
    kind = type(value)
    return {"$unrecordable": f"{kind.__module__}.{kind.__qualname__}"}
