"""Values that are not JSON's own as trees that are: an object whose first key is a `$tag`."""

from __future__ import annotations

import base64
import json
import math
import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PosixPath, PurePosixPath, PureWindowsPath, WindowsPath
from types import NoneType
from typing import TYPE_CHECKING, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from agentflow.errors import NotRecordable, PayloadTooLarge
from agentflow.payloads.remedies import TOO_DEEP, remedy_for, type_name
from agentflow.payloads.shapes import is_textual, shape_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

DEPTH = 200
INT_BITS = 14_280  # Python reads no integer of more than 4300 digits from text

_sort_key = json.JSONEncoder(separators=(",", ":")).encode
_BETWEEN_SURROGATES = re.compile("(?<=[\ud800-\udbff])(?=[\udc00-\udfff])")


class Refused(Exception):
    """A part that cannot be stored. Each container on the way out adds its segment of the path."""

    def __init__(self, value: Any, remedy: str) -> None:
        self.type_name = type_name(value)
        self.remedy = remedy
        self.segments: list[str] = []
        self.owners: list[int] = [id(value)]

    def inside(self, container: Any, segment: object) -> None:
        self.segments.append(str(segment).replace("~", "~0").replace("/", "~1"))
        self.owners.append(id(container))

    def error(self) -> NotRecordable:
        path, remedy = self.segments[::-1], self.remedy
        if remedy is TOO_DEEP and len(set(self.owners)) < len(self.owners):
            owners = self.owners[::-1]
            path = path[: next(at for at, owner in enumerate(owners) if owner in owners[:at])]
            remedy = "it contains itself; return data without the loop"
        return NotRecordable(path="".join(f"/{part}" for part in path), type_name=self.type_name, remedy=remedy)


class Tagger:
    """Turns a value into a tree of JSON's own types, keeping count of its size."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0

    def tag(self, value: Any, depth: int) -> Any:
        if depth > DEPTH:
            raise Refused(value, TOO_DEEP)
        write = _WRITERS.get(type(value)) or _writer(value)
        return write(self, value, depth + 1)

    def weigh(self, size: int) -> None:
        """Stop early: a value far over the limit must not be copied first to be measured."""
        self._size += size
        if self._size > self._limit:
            raise PayloadTooLarge(size=self._size, limit=self._limit)

    def items(self, values: Iterable[Any], depth: int) -> list[Any]:
        tagged: list[Any] = []
        self.weigh(2)
        try:
            for value in values:
                tagged.append(self.tag(value, depth))  # noqa: PERF401 - its length is the position of what was refused
        except Refused as refused:
            refused.inside(values, len(tagged))
            raise
        self.weigh(len(tagged))
        return tagged

    def fields(self, owner: Any, fields: Iterable[tuple[str, Any]], depth: int) -> dict[str, Any]:
        tagged: dict[str, Any] = {}
        name = ""
        self.weigh(2)
        try:
            for name, value in fields:
                self.weigh(len(name) + 4)
                tagged[name] = self.tag(value, depth)
        except Refused as refused:
            refused.inside(owner, name)
            raise
        return tagged


def _as_it_is(_tagger: Tagger, value: Any, _depth: int) -> Any:
    return value


def _int(tagger: Tagger, value: int, _depth: int) -> Any:
    if value.bit_length() > INT_BITS:
        raise Refused(value, "it has more than 4,298 digits; return it as text or bytes")
    tagger.weigh(1)
    return value


def _str(tagger: Tagger, value: str, _depth: int) -> Any:
    tagger.weigh(len(value) + 2)
    if value.isascii():
        return value
    parts = _BETWEEN_SURROGATES.split(value)  # side by side, JSON would read two escapes as one character
    return value if len(parts) == 1 else {"$str": parts}


def _float(_tagger: Tagger, value: float, _depth: int) -> Any:
    return value if math.isfinite(value) else {"$float": repr(value)}


def _list(tagger: Tagger, value: list[Any], depth: int) -> Any:
    return tagger.items(value, depth)


def _dict(tagger: Tagger, value: dict[Any, Any], depth: int) -> Any:
    if all(type(key) is str and key.isascii() and not key.startswith("$") for key in value):
        return tagger.fields(value, value.items(), depth)
    pairs = []
    for key, item in value.items():
        try:
            pairs.append([tagger.tag(key, depth), tagger.tag(item, depth)])
        except Refused as refused:
            refused.inside(value, key if isinstance(key, str) else type_name(key))
            raise
    tagger.weigh(4 * len(pairs))
    return {"$dict": pairs}


def _collection(name: str) -> Callable[[Tagger, Any, int], Any]:
    return lambda tagger, value, depth: {name: tagger.items(value, depth)}


def _unordered(name: str) -> Callable[[Tagger, Any, int], Any]:
    """Sorted by text, so that a set has one text whatever the order of this process's hashes."""
    return lambda tagger, value, depth: {name: sorted(tagger.items(value, depth), key=_sort_key)}


def _text(name: str) -> Callable[[Tagger, Any, int], Any]:
    def write(tagger: Tagger, value: Any, depth: int) -> Any:
        return {name: _str(tagger, str(value), depth)}

    return write


def _bytes(name: str) -> Callable[[Tagger, Any, int], Any]:
    def write(tagger: Tagger, value: Any, _depth: int) -> Any:
        tagger.weigh(-(-len(value) // 3) * 4 + 14)
        return {name: base64.b64encode(value).decode()}

    return write


def _timedelta(_tagger: Tagger, value: timedelta, _depth: int) -> Any:
    return {"$timedelta": [value.days, value.seconds, value.microseconds]}


def _moment(name: str) -> Callable[[Tagger, Any, int], Any]:
    """Wall time and zone: adding a day across a clock change must give what it gave before it was stored."""

    def write(_tagger: Tagger, value: Any, _depth: int) -> Any:
        zone = value.tzinfo
        if isinstance(zone, ZoneInfo) and zone.key:
            tree = {name: value.replace(tzinfo=None).isoformat(), "zone": zone.key}
        else:
            tree = {name: value.isoformat()}
        return {**tree, "fold": 1} if value.fold else tree

    return write


def _complex(tagger: Tagger, value: complex, depth: int) -> Any:
    return {"$complex": [_float(tagger, value.real, depth), _float(tagger, value.imag, depth)]}


def _enum(tagger: Tagger, value: Enum, depth: int) -> Any:
    return {"$enum": type(value).__qualname__, "value": tagger.tag(value.value, depth)}


def _textual(tagger: Tagger, value: Any, depth: int) -> Any:
    return {"$text": type(value).__qualname__, "value": _str(tagger, str(value), depth)}


def _object(tagger: Tagger, value: Any, depth: int) -> Any:
    shape = shape_of(type(value))
    assert shape is not None
    found = zip(shape.fields, value, strict=True) if shape.is_tuple else _attributes(value, shape.fields)
    tree = {"$object": shape.cls.__qualname__, "shape": shape.fingerprint, "fields": tagger.fields(value, found, depth)}
    if shape.is_model and (unset := [name for name in tree["fields"] if name not in value.model_fields_set]):
        tree["unset"] = unset
    return tree


def _attributes(value: Any, names: Iterable[str]) -> list[tuple[str, Any]]:
    """The fields an object has, with the extras of a model that allows them."""
    missing = object()
    found = [(name, item) for name in names if (item := getattr(value, name, missing)) is not missing]
    return [*found, *(getattr(value, "__pydantic_extra__", None) or {}).items()]


_WRITERS: dict[type, Callable[[Tagger, Any, int], Any]] = {
    NoneType: _as_it_is, bool: _as_it_is, int: _int, float: _float, str: _str, list: _list, dict: _dict,
    tuple: _collection("$tuple"), set: _unordered("$set"), frozenset: _unordered("$frozenset"),
    bytes: _bytes("$bytes"), bytearray: _bytes("$bytearray"), complex: _complex,
    datetime: _moment("$datetime"), time: _moment("$time"), date: _text("$date"), timedelta: _timedelta,
    UUID: _text("$uuid"), Decimal: _text("$decimal"), PosixPath: _text("$path"), WindowsPath: _text("$path"),
    PurePosixPath: _text("$posixpath"), PureWindowsPath: _text("$windowspath"),
}  # fmt: skip

# An instance of a subclass is written as what it is at heart (a numpy float as a float, a Markup as a str).
_AT_HEART: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (str, str.__str__),
    (int, int.__pos__),
    (float, float.__pos__),
    (bytes, lambda value: bytes(memoryview(value))),
    (list, lambda value: [*list.__iter__(value)]),
    (dict, lambda value: dict(dict.items(value))),
    (tuple, lambda value: (*tuple.__iter__(value),)),
    (frozenset, lambda value: frozenset(frozenset.__iter__(value))),
    (set, lambda value: set(set.__iter__(value))),
    (datetime, lambda value: datetime.combine(value.date(), value.timetz()).replace(fold=value.fold)),
    (UUID, lambda value: UUID(int=value.int)),
    (Decimal, Decimal),
    (timedelta, lambda value: timedelta(value.days, value.seconds, value.microseconds)),
)


def _writer(value: Any) -> Callable[[Tagger, Any, int], Any]:
    """How to write a value of a class that is not Python's own. Raises `Refused` when there is no way."""
    if isinstance(value, Enum):
        return _enum
    if not isinstance(value, type) and shape_of(type(value)) is not None:
        return _object
    if is_textual(type(value)):
        return _textual
    for base, bare in _AT_HEART:
        if isinstance(value, base) and not getattr(value, "__dict__", None):
            return lambda tagger, item, depth: _WRITERS[base](tagger, bare(item), depth)
    raise Refused(value, remedy_for(value))
