"""Places of a value with what their schema says about them: what a field is made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from agentflow.approvals.forms.fields import FieldKind, Option
from agentflow.approvals.pointers import ABSENT, Absent, Json, Schema

if TYPE_CHECKING:
    from agentflow.approvals.forms.shapes import Shape

LIMIT = 5000
"""Parts of a value beyond which the form is one JSON text."""

DEPTH = 12
"""Levels of fields beyond which the rest is a JSON text."""


Known: TypeAlias = Sequence[tuple[str | int, Json]]
"""The rows of the original: their places or keys, and their values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A place to make a field for: where it is, what was there, what the agent had there."""

    schema: Json
    base: Json | Absent
    agent: Json | Absent
    path: str = ""
    pointer: str = ""
    origin: str | None = ""
    """The place in the agent's value, None for an added row."""
    label: str = ""
    optional: bool = False
    locked: bool = False
    depth: int = 0
    blanks: frozenset[str] = frozenset()
    """References already followed without a value: a second time round would never end."""
    in_variant: bool = False
    null_taken: bool = False
    """The variant around it has the box for null, under the same name."""
    silent: bool = False
    """Inside of what is null or left out: nothing there counts as changed."""


def size_of(value: Json) -> int:
    """How many parts a value has, counted no further than matters."""
    pending, count = [value], 0
    while pending and count <= LIMIT:
        part = pending.pop()
        count += 1
        if isinstance(part, dict | list):
            pending += part.values() if isinstance(part, dict) else part
    return count


def known_rows(base: Json | Absent) -> Known:
    if isinstance(base, dict):
        return list(base.items())
    return list(enumerate(base)) if isinstance(base, list) else []


def choices(shape: Shape, chosen: int) -> tuple[Option, ...]:
    return tuple(Option(name, name, selected=place == chosen) for place, name in enumerate(shape.ids))


def row_schema(shape: Shape) -> Json:
    if shape.kind is FieldKind.ARRAY:
        return shape.schema.get("items", {})
    patterns = shape.schema.get("patternProperties")
    return next(iter(patterns.values())) if patterns else shape.schema.get("additionalProperties", {})


def says(schema: Json, word: str) -> Json:
    return schema.get(word) if isinstance(schema, dict) else None


def own_title(schema: Json) -> Json:
    """The title given to this place; that of a type it refers to names the type, not the place."""
    return None if says(schema, "$ref") else says(schema, "title")


def references(schema: Json) -> frozenset[str]:
    """What the schema or an alternative of it refers to."""
    if not isinstance(schema, dict):
        return frozenset()
    places = [schema, *schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())]
    return frozenset(
        place["$ref"] for place in places if isinstance(place, dict) and isinstance(place.get("$ref"), str)
    )


def is_locked(schema: Json, spot: Spot) -> bool:
    return spot.locked or says(schema, "readOnly") is True


def default(schema: Json) -> Json | Absent:
    """What a field of an added row starts with."""
    if not isinstance(schema, dict):
        return ABSENT
    return schema["const"] if "const" in schema else schema.get("default", ABSENT)


def hints(schema: Schema) -> dict[str, Any]:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    return {
        "minimum": "" if low is None else str(low),
        "maximum": "" if high is None else str(high),
        "pattern": str(schema.get("pattern", "")),
        "min_length": schema.get("minLength"),
        "max_length": schema.get("maxLength"),
        "format": str(schema.get("format", "")),
    }
