"""Which kind of field a schema and the value at hand make. Whatever is not understood is a JSON text of its own."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from agentflow.approvals.formats import fits_format
from agentflow.approvals.forms.fields import FieldKind
from agentflow.approvals.pointers import ABSENT, Absent, Json, Schema
from agentflow.approvals.refs import alternatives, branch_for, constants, resolve
from agentflow.approvals.text import has_hidden

_LONG = 80
_UNREAD: Final = ("if", "dependentSchemas", "$dynamicRef", "unevaluatedProperties", "unevaluatedItems")
_SHAPING: Final = ("type", "properties", "items", "prefixItems", "$ref", "enum", "const", "anyOf", "oneOf", "allOf")
_BY_FORMAT: Final = {"date": FieldKind.DATE, "date-time": FieldKind.DATETIME, "time": FieldKind.TIME}
_SIMPLE: Final = {"integer": FieldKind.INTEGER, "number": FieldKind.NUMBER, "boolean": FieldKind.BOOLEAN}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A kind with the flat schema it was read from, and the alternatives if it has any."""

    kind: FieldKind
    schema: Schema = field(default_factory=dict)
    nullable: bool = False
    branches: tuple[Json, ...] = ()
    ids: tuple[str, ...] = ()
    chosen: int = 0


def shape_of(schema: Json, base: Json | Absent, root: Schema) -> Shape:
    """The shape for this value. A value that does not suit the schema's kind is shown as JSON, and so survives."""
    shape = _declared(schema, base, root)
    if base is ABSENT or (base is None and shape.nullable) or _suits(shape, base):
        return shape
    return Shape(kind=FieldKind.JSON, schema=shape.schema)


def _declared(schema: Json, base: Json | Absent, root: Schema) -> Shape:
    flat = resolve(schema, root)
    if flat is None or any(word in flat for word in _UNREAD):
        return Shape(kind=FieldKind.JSON, schema=flat or {})
    if "anyOf" in flat or "oneOf" in flat:
        return _one_of_several(flat, base, root)
    if "enum" in flat or "const" in flat:
        return Shape(kind=FieldKind.CHOICE, schema=flat)
    types = flat.get("type")
    if isinstance(types, list):
        rest = [name for name in types if name != "null"]
        kind = _kind(flat, rest[0], base) if len(rest) == 1 else FieldKind.JSON
        return Shape(kind=kind, schema=flat, nullable="null" in types and kind is not FieldKind.JSON)
    return Shape(kind=_kind(flat, types or _implied(flat), base), schema=flat)


def _one_of_several(flat: Schema, base: Json | Absent, root: Schema) -> Shape:
    listed = flat.get("anyOf") or flat.get("oneOf") or []
    branches = alternatives(flat)
    outer = {word: said for word, said in flat.items() if word not in ("anyOf", "oneOf", "discriminator")}
    if not any(isinstance(branch, dict) and word in branch for branch in branches for word in _SHAPING):
        return _declared(outer, base, root)  # the alternatives only restrict; the validator sees to them
    if any(word in outer for word in _SHAPING) or not branches:
        return Shape(kind=FieldKind.JSON, schema=flat)
    nullable = len(branches) < len(listed)
    if len(branches) == 1:
        only = resolve(branches[0], root)
        inner = (
            _declared({**only, **outer}, base, root) if only is not None else Shape(kind=FieldKind.JSON, schema=flat)
        )
        return replace(inner, nullable=inner.kind is not FieldKind.JSON and (nullable or inner.nullable))
    chosen = 0 if base is ABSENT or (base is None and nullable) else branch_for(branches, base, root)
    if chosen is None:
        return Shape(kind=FieldKind.JSON, schema=flat)
    ids = _ids(branches, flat, root)
    return Shape(
        kind=FieldKind.VARIANT, schema=flat, nullable=nullable, branches=tuple(branches), ids=ids, chosen=chosen
    )


def _ids(branches: list[Json], flat: Schema, root: Schema) -> tuple[str, ...]:
    """A short distinct name for each alternative: its discriminating value, title or type."""
    ids: list[str] = []
    told_by = flat.get("discriminator", {}).get("propertyName")
    for place, branch in enumerate(branches):
        inner = resolve(branch, root) or {}
        fixed = constants(inner)
        wanted = fixed.get(told_by) if told_by in fixed else next(iter(fixed.values()), None)
        name = wanted if isinstance(wanted, str) else inner.get("title") or inner.get("type")
        plain = isinstance(name, str) and name and not has_hidden(name) and name not in ids
        ids.append(str(name) if plain else f"option {place + 1}")
    return tuple(ids)


def _implied(flat: Schema) -> str:
    if "properties" in flat:
        return "object"
    return "array" if "prefixItems" in flat else ""


def _kind(flat: Schema, type: str, base: Json | Absent) -> FieldKind:
    if type in _SIMPLE:
        return _SIMPLE[type]
    if type == "string":
        return _text_kind(flat, base)
    if type == "array":
        return _array_kind(flat, base)
    if type == "object":
        return _object_kind(flat, base)
    return FieldKind.JSON


def _text_kind(flat: Schema, base: Json | Absent) -> FieldKind:
    named = flat.get("format", "")
    if named in _BY_FORMAT and (base is ABSENT or base is None or (isinstance(base, str) and fits_format(base, named))):
        return _BY_FORMAT[named]
    if isinstance(base, str):
        if has_hidden(base):
            return FieldKind.JSON  # its escapes show what an input would hide, or change
        return FieldKind.LONG_TEXT if "\n" in base or len(base) > _LONG else FieldKind.TEXT
    return FieldKind.LONG_TEXT if flat.get("x-long") is True else FieldKind.TEXT


def _array_kind(flat: Schema, base: Json | Absent) -> FieldKind:
    if "prefixItems" not in flat:
        return FieldKind.ARRAY
    same_length = not isinstance(base, list) or len(base) == len(flat["prefixItems"])
    return FieldKind.TUPLE if same_length else FieldKind.JSON


def _object_kind(flat: Schema, base: Json | Absent) -> FieldKind:
    if flat.get("properties"):
        return FieldKind.JSON if "patternProperties" in flat else FieldKind.OBJECT
    if flat.get("additionalProperties", True) is False and "patternProperties" not in flat:
        return FieldKind.OBJECT
    fragile = isinstance(base, dict) and any(has_hidden(key) or "\n" in key for key in base)
    return FieldKind.JSON if fragile or len(flat.get("patternProperties", {})) > 1 else FieldKind.MAP


def _suits(shape: Shape, base: Json) -> bool:
    match shape.kind:
        case FieldKind.JSON | FieldKind.CHOICE | FieldKind.VARIANT:
            return True
        case FieldKind.BOOLEAN:
            return isinstance(base, bool)
        case FieldKind.INTEGER | FieldKind.NUMBER:
            return isinstance(base, int | float) and not isinstance(base, bool)
        case FieldKind.ARRAY | FieldKind.TUPLE:
            return isinstance(base, list)
        case FieldKind.OBJECT | FieldKind.MAP:
            return isinstance(base, dict)
        case _:
            return isinstance(base, str)
