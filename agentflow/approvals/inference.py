"""A schema for plain JSON that came without one: as narrow as the value shows and no narrower."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

from agentflow.approvals.pointers import Json, Schema, child

if TYPE_CHECKING:
    from collections.abc import Mapping

_NULL: Schema = {"type": "null"}
_TYPE_NAMES = {type(None): "null", bool: "boolean", int: "integer", float: "number", str: "string"}
_NUMERIC = ("integer", "number")


def infer(value: Json, known: Mapping[str, Schema] | None = None) -> Schema:
    """A schema `value` fits. Types are kept (an int stays an int); a lone null says nothing, so it allows anything.

    `known` gives, by pointer, the schemas of parts that had a type of their own.
    """
    return _loosen(_shape(value, "", known or {}))


def merge(one: Schema, other: Schema) -> Schema:
    """A schema for what fits either of two inferred ones."""
    if one == other:
        return one
    if _is_object(one) and _is_object(other):
        return _merge_objects(one, other)
    if one.get("type") == other.get("type") == "array":
        return _merge_arrays(one, other)
    if one.get("type") in _NUMERIC and other.get("type") in _NUMERIC:
        return {"type": "number"}
    return _either(one, other)


def _shape(value: Json, pointer: str, known: Mapping[str, Schema]) -> Schema:
    if pointer in known:
        return known[pointer]
    if isinstance(value, list):
        items = [_shape(part, child(pointer, place), known) for place, part in enumerate(value)]
        return {"type": "array", "items": reduce(merge, items)} if items else {"type": "array"}
    if isinstance(value, dict):
        properties = {key: _shape(part, child(pointer, key), known) for key, part in value.items()}
        return {"type": "object", "properties": properties, "required": list(value), "additionalProperties": True}
    return {"type": _TYPE_NAMES[type(value)]}


def _is_object(schema: Schema) -> bool:
    return schema.get("type") == "object" and "properties" in schema


def _merge_objects(one: Schema, other: Schema) -> Schema:
    properties = dict(one["properties"])
    for key, part in other["properties"].items():
        properties[key] = merge(properties[key], part) if key in properties else part
    required = [key for key in one["required"] if key in other["required"]]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": True}


def _merge_arrays(one: Schema, other: Schema) -> Schema:
    if "items" in one and "items" in other:
        return {"type": "array", "items": merge(one["items"], other["items"])}
    return one if "items" in one else other


def _either(one: Schema, other: Schema) -> Schema:
    """Both as alternatives; an alternative of the same type is widened instead of repeated."""
    alternatives: list[Schema] = list(one.get("anyOf", [one]))
    for wanted in other.get("anyOf", [other]):
        for place, known in enumerate(alternatives):
            merged = _same_family(known, wanted)
            if merged is not None:
                alternatives[place] = merged
                break
        else:
            alternatives.append(wanted)
    return {"anyOf": alternatives}


def _same_family(one: Schema, other: Schema) -> Schema | None:
    same = (
        one == other
        or (_is_object(one) and _is_object(other))
        or one.get("type") == other.get("type") == "array"
        or (one.get("type") in _NUMERIC and other.get("type") in _NUMERIC)
    )
    return merge(one, other) if same else None


def _loosen(schema: Schema) -> Schema:
    """The same schema with each lone null replaced by "anything"."""
    if schema == _NULL:
        return {}
    loose = dict(schema)
    if "properties" in loose:
        loose["properties"] = {key: _loosen(part) for key, part in loose["properties"].items()}
    if "items" in loose:
        loose["items"] = _loosen(loose["items"])
    if "anyOf" in loose:
        loose["anyOf"] = [part if part == _NULL else _loosen(part) for part in loose["anyOf"]]
    return loose
