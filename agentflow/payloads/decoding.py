"""JSON text back to Python values: first exactly what the tags say, then checked against the annotation."""

from __future__ import annotations

import base64
import json
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from agentflow.errors import UndecodablePayload
from agentflow.later import later
from agentflow.payloads.problems import problems
from agentflow.payloads.shapes import adapter, any_container, classes, is_absent, name_of, shape_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import pydantic
else:
    pydantic = later("pydantic")

Moment = TypeVar("Moment", datetime, time)


def decode(text: str, annotation: Any = Any) -> Any:
    """The value that `encode` wrote, or that plain JSON means under `annotation`.

    Raises `UndecodablePayload` when the text is no payload, does not fit the annotation, or holds an object whose class
    the annotation does not name.
    """
    restored = restore(text, annotation)
    return restored.value if type(restored.value) is annotation and restored.is_scalar else fit(restored, annotation)


class Restored:
    """A payload read back by its tags alone."""

    __slots__ = ("_classes", "is_exact", "is_plain", "is_scalar", "text", "unresolved", "value")

    def __init__(self, text: str, annotation: Any) -> None:
        tree = _load(text)
        self.text = text
        self.unresolved: str | None = None
        self.is_plain = '"$' not in text
        self.is_scalar = type(tree) not in (dict, list)
        self.is_exact = False
        self.value = tree
        if not self.is_plain:
            self.is_exact = type(tree) is dict and "$exact" in tree
            self._classes = classes(annotation)
            self._read(tree["$exact"] if self.is_exact else tree)

    def _read(self, tree: Any) -> None:
        try:
            self.value = self.read(tree)
        except UndecodablePayload:
            raise
        except RecursionError as error:
            raise UndecodablePayload("the stored value is nested too deep to be read") from error
        except Exception as error:
            missing = f"; no class {self.unresolved} is named by the annotation" if self.unresolved else ""
            raise UndecodablePayload(f"the stored value cannot be read: {error}{missing}") from error

    def read(self, tree: Any) -> Any:
        kind = type(tree)
        if kind is list:
            return [self.read(item) for item in tree]
        if kind is not dict:
            return tree
        tag = next(iter(tree), "")
        if not tag.startswith("$"):
            return {key: self.read(item) for key, item in tree.items()}
        reader = _READERS.get(tag)
        if reader is None:
            raise UndecodablePayload(
                f"the stored value has an unknown tag {tag!r}: a newer release of agentflow wrote it"
            )
        return reader(self, tree[tag], tree)

    def find(self, name: str) -> type | None:
        found = self._classes.find(name)
        if found is None:
            self.unresolved = name
        return found


def restore(text: str, annotation: Any) -> Restored:
    """A payload read back by its tags, not yet checked against the annotation."""
    return Restored(text, annotation)


def fit(restored: Restored, annotation: Any) -> Any:
    """The restored value as the annotation has it. Raises `UndecodablePayload` naming what does not fit."""
    if is_absent(annotation) or restored.is_exact:
        if restored.unresolved:
            raise UndecodablePayload(
                f"the stored value holds a {restored.unresolved}, and nothing says which class that is; "
                f"annotate the value as {restored.unresolved}"
            )
        return restored.value
    if restored.is_plain and type(restored.value) is any_container(annotation):
        return restored.value
    check = adapter(annotation)
    try:
        if restored.is_plain and "\\ud" not in restored.text:  # pydantic's reader refuses lone surrogates
            return check.validate_json(restored.text, strict=True, by_alias=True, by_name=True)
        try:
            return check.validate_python(restored.value, strict=True, by_alias=True, by_name=True)
        except pydantic.ValidationError:
            return check.validate_python(restored.value, by_alias=True, by_name=True)
    except pydantic.ValidationError as error:
        found = "; ".join(map(str, problems(error)))
        raise UndecodablePayload(f"the stored value does not fit {name_of(annotation)}: {found}") from error


def _load(text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError as error:
        raise UndecodablePayload("the stored value is nested too deep to be read") from error
    except ValueError as error:
        raise UndecodablePayload(f"the stored value is not JSON: {error}") from error


def _object(restored: Restored, name: str, tree: dict[str, Any]) -> Any:
    fields = {key: restored.read(item) for key, item in tree["fields"].items()}
    cls = restored.find(name)
    if cls is None:
        return fields
    shape = shape_of(cls)
    unset = frozenset(tree.get("unset", ()))
    if shape is not None and shape.fingerprint == tree.get("shape"):
        return shape.rebuild(fields, unset)
    return _of_changed_class(cls, fields, unset)


def _of_changed_class(cls: type, fields: dict[str, Any], unset: frozenset[str]) -> Any:
    """An object recorded before its class was changed: now the new class has its say."""
    given = fields.get("root") if issubclass(cls, pydantic.RootModel) else fields
    try:
        made = adapter(cls).validate_python(given, by_alias=False, by_name=True)
    except pydantic.ValidationError as error:
        found = "; ".join(map(str, problems(error)))
        raise UndecodablePayload(
            f"{cls.__qualname__} was changed since this value was recorded, and no longer takes it: {found}"
        ) from error
    if unset and hasattr(made, "__pydantic_fields_set__"):
        made.__pydantic_fields_set__.difference_update(unset)
    return made


def _enum(restored: Restored, name: str, tree: dict[str, Any]) -> Any:
    value = restored.read(tree["value"])
    cls = restored.find(name)
    return value if cls is None else cls(value)


def _text(restored: Restored, name: str, tree: dict[str, Any]) -> Any:
    value = restored.read(tree["value"])
    cls = restored.find(name)
    return value if cls is None else adapter(cls).validate_python(value)


def _datetime(_restored: Restored, body: str, tree: dict[str, Any]) -> datetime:
    return _zoned(datetime.fromisoformat(body), tree)


def _time(_restored: Restored, body: str, tree: dict[str, Any]) -> time:
    return _zoned(time.fromisoformat(body), tree)


def _zoned(moment: Moment, tree: dict[str, Any]) -> Moment:
    zone = ZoneInfo(tree["zone"]) if "zone" in tree else moment.tzinfo
    return moment.replace(tzinfo=zone, fold=tree.get("fold", 0))


def _dict(restored: Restored, body: list[Any], _tree: dict[str, Any]) -> dict[Any, Any]:
    return {restored.read(key): restored.read(item) for key, item in body}


def _stand_in(_restored: Restored, body: Any, _tree: dict[str, Any]) -> Any:
    raise UndecodablePayload(
        f"a listing has only the size of this value, {body['bytes']:,} bytes: read the run by its id to have it whole"
    )


def _of(make: Callable[[Any], Any]) -> Callable[[Restored, Any, dict[str, Any]], Any]:
    return lambda restored, body, _tree: make(restored.read(body))


_READERS: dict[str, Callable[[Restored, Any, dict[str, Any]], Any]] = {
    "$object": _object, "$enum": _enum, "$text": _text, "$dict": _dict, "$datetime": _datetime, "$time": _time,
    "$str": _of("".join), "$float": _of(float), "$tuple": _of(tuple), "$set": _of(set), "$frozenset": _of(frozenset),
    "$bytes": _of(base64.b64decode), "$bytearray": _of(lambda body: bytearray(base64.b64decode(body))),
    "$complex": _of(lambda body: complex(*body)), "$date": _of(date.fromisoformat),
    "$timedelta": _of(lambda body: timedelta(*body)), "$uuid": _of(UUID), "$decimal": _of(Decimal),
    "$large": _stand_in, "$path": _of(Path), "$posixpath": _of(PurePosixPath), "$windowspath": _of(PureWindowsPath),
}  # fmt: skip
