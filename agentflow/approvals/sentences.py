"""What a schema wants, as words that follow "must be"."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from agentflow.approvals.formats import EXAMPLES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jsonschema.exceptions import ValidationError

    from agentflow.approvals.pointers import Json

_TYPES: Final = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "null": "null",
    "array": "a list",
    "object": "an object with fields",
}
_SHOWN = 60


def quote(value: Json) -> str:
    """The value as a person may recognise it, cut to a line."""
    if isinstance(value, str):
        return f"'{_cut(value)}'"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return "an object"
    return _cut(json.dumps(value))


def wanted_by(error: ValidationError) -> str:
    """What the failed keyword wants."""
    described = error.schema.get("description") if isinstance(error.schema, dict) else None
    if error.validator in ("pattern", "not") and isinstance(described, str) and described.strip():
        return f"as described: {_cut(described)}"  # people do not read expressions, nor what a schema rules out
    word = _WORDS.get(str(error.validator))
    return word(error.validator_value) if word else f"allowed by the schema's “{error.validator}”"


def wanted_type(types: str | Sequence[str]) -> str:
    """What a `type` keyword wants."""
    names = [types] if isinstance(types, str) else types
    return " or ".join(_TYPES.get(name, name) for name in names)


def one_of(values: Sequence[Json]) -> str:
    """A closed list of values, the first ten of them."""
    shown = ", ".join(quote(value) for value in values[:10])
    more = len(values) - 10
    return f"one of {shown}" + (f" and {more} more" if more > 0 else "")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


_WORDS: Final[dict[str, Callable[[Any], str]]] = {
    "type": wanted_type,
    "enum": one_of,
    "const": quote,
    "format": lambda name: EXAMPLES.get(name, f"a {name}"),
    "minimum": lambda bound: f"at least {bound}",
    "maximum": lambda bound: f"at most {bound}",
    "exclusiveMinimum": lambda bound: f"more than {bound}",
    "exclusiveMaximum": lambda bound: f"less than {bound}",
    "x-decimal": str,
    "multipleOf": lambda factor: f"a multiple of {factor}",
    "minLength": lambda length: f"at least {_count(length, 'character')} long",
    "maxLength": lambda length: f"at most {_count(length, 'character')} long",
    "pattern": lambda pattern: f"text that matches {_cut(pattern)}",
    "minItems": lambda length: f"a list of at least {_count(length, 'item')}",
    "maxItems": lambda length: f"a list of at most {_count(length, 'item')}",
    "minProperties": lambda length: f"an object with at least {_count(length, 'field')}",
    "maxProperties": lambda length: f"an object with at most {_count(length, 'field')}",
    "uniqueItems": lambda _: "a list without repeated items",
    "contains": lambda _: "a list that contains what the schema asks for",
    "dependentRequired": lambda _: "an object with all fields that depend on each other",
    "not": lambda _: "other than what the schema rules out",
    "items": lambda _: "a list without further items",
}
