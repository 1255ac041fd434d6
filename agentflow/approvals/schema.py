"""What a person is asked about: a value as plain JSON, and the schema that says what it may become."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache
from math import isfinite
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, PydanticSchemaGenerationError, PydanticUserError, TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticUndefinedAnnotation
from pydantic.json_schema import GenerateJsonSchema, PydanticJsonSchemaWarning
from pydantic_core import PydanticSerializationError

from agentflow.approvals.decimals import DECIMAL_BOUNDS
from agentflow.approvals.inference import infer
from agentflow.approvals.pointers import Json, Schema, child, tokens
from agentflow.approvals.refs import parts, rewritten, settled
from agentflow.errors import NotRecordable
from agentflow.payloads import canonical

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPTH = 64
"""How deep data may be nested: a person has to find their way in it, and validators recurse."""

_PLAIN = (bool, int, float, str, type(None))
_DIGITS = 1000
_NOT_FINITE = "JSON has no NaN or infinity; send null or text"
_REMEDY = "ask about plain data, a Pydantic model or a dataclass of such"


@dataclass(frozen=True, slots=True)
class Described:
    """Data for a person to decide on: its JSON value and the schema a corrected value must fit."""

    value: Json
    schema: Schema


def describe(subject: Any, annotation: Any | None = None) -> Described:
    """The data as JSON with its schema: by its type, by `annotation`, or inferred where it is plain JSON.

    Raises `NotRecordable` with the pointer of what has no JSON form (NaN, bytes that are no text, a lone surrogate,
    an object of no known type, data nested too deeply).
    """
    if annotation is not None:
        value, schema = _typed(subject, "", annotation)
    else:
        known: dict[str, Schema] = {}
        value = _untyped(subject, "", known)
        schema = known[""] if set(known) == {""} else _assembled(value, known)
    _require_json(value)
    return Described(_with_ordered_sets(schema, value, schema), schema)


def schema_of(annotation: Any) -> Schema:
    """The schema of a type's values in JSON: objects closed, defaulted fields required, computed ones marked."""
    if isinstance(annotation, dict):
        return annotation
    adapter = _adapter(annotation)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PydanticJsonSchemaWarning)  # a default that is no JSON is no default here
        schema = adapter.json_schema(mode="serialization", by_alias=True, schema_generator=_Generator)
    closed: Schema = rewritten(schema, _closed)
    return closed


def settable(schema: Schema, value: Json) -> Json:
    """The value without its computed fields, which no constructor takes."""
    return _settable(schema, value, schema)


def _settable(schema: Json, value: Json, root: Schema) -> Json:
    flat = settled(schema, value, root)
    if flat is None or not isinstance(value, dict | list):
        return value
    kept = [
        (token, _settable(part, found, root)) for token, part, found in _present(flat, value) if not _computed(part)
    ]
    return dict(kept) if isinstance(value, dict) else [found for _, found in kept]


def _present(flat: Schema, value: Json) -> Iterator[tuple[str | int, Json, Json]]:
    """The parts that are there, in the value's own order."""
    found = {token: (part, inner) for token, part, inner in parts(flat, value)}
    for token in value if isinstance(value, dict) else range(len(value)):
        yield (token, *found[token])


def _computed(schema: Json) -> bool:
    return isinstance(schema, dict) and schema.get("x-computed") is True


class _Generator(GenerateJsonSchema):
    def field_is_required(self, field: Any, total: bool) -> bool:
        """What is always written is required back: leaving a field out must not quietly mean its default."""
        if field["type"] == "typed-dict-field" or any(word in field for word in ("serialization_exclude_if",)):
            return super().field_is_required(field, total)
        return True

    def decimal_schema(self, schema: Any) -> Schema:
        """A decimal is written as text, which JSON Schema's own bounds say nothing of; `x-decimal` carries them."""
        bounds = {word: str(schema[word]) for word in DECIMAL_BOUNDS if schema.get(word) is not None}
        finite = {} if schema.get("allow_inf_nan") else {"format": "decimal"}
        return {"type": "string", **finite, **({"x-decimal": bounds} if bounds else {})}

    def computed_field_schema(self, schema: Any) -> Schema:
        return {**super().computed_field_schema(schema), "x-computed": True}


def _closed(schema: Schema) -> Schema:
    if schema.get("type") == "object" and "properties" in schema and "additionalProperties" not in schema:
        return {**schema, "additionalProperties": False}
    return schema


@lru_cache(maxsize=512)
def _cached(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation)


def _adapter(annotation: Any) -> TypeAdapter[Any]:
    try:
        return _cached(annotation)
    except TypeError:  # an annotation that cannot be hashed is not kept
        return TypeAdapter(annotation)


def _untyped(subject: Any, pointer: str, known: dict[str, Schema]) -> Json:
    """Plain containers are walked; anything with a type of its own is described by that type."""
    if type(subject) in _PLAIN:
        return subject
    if len(tokens(pointer)) > DEPTH:
        raise NotRecordable(path=pointer, type_name=_type_name(subject), remedy=f"nest data at most {DEPTH} deep")
    if type(subject) is dict and all(type(key) is str for key in subject):
        return {key: _untyped(part, child(pointer, key), known) for key, part in subject.items()}
    if type(subject) in (list, tuple):
        return [_untyped(part, child(pointer, place), known) for place, part in enumerate(subject)]
    if type(subject) in (set, frozenset):
        items = [_untyped(part, pointer, {}) for part in subject]
        return sorted(items, key=canonical)
    value, known[pointer] = _typed(subject, pointer, type(subject))
    return value


def _typed(subject: Any, pointer: str, annotation: Any) -> tuple[Json, Schema]:
    try:
        schema, adapter = schema_of(annotation), _adapter(annotation)
        value = adapter.dump_python(subject, mode="json", by_alias=True, warnings=False)
        native = adapter.dump_python(subject, by_alias=True, warnings=False)
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        where, culprit = _culprit(subject, pointer)
        raise NotRecordable(path=where, type_name=_type_name(culprit), remedy=_REMEDY) from error
    except (PydanticSchemaGenerationError, PydanticInvalidForJsonSchema, PydanticUserError) as error:
        raise NotRecordable(path=pointer, type_name=_type_name(subject), remedy=_REMEDY) from error
    except (PydanticUndefinedAnnotation, NameError) as error:
        remedy = f"its annotations cannot be read ({error}); define the types it names at module level"
        raise NotRecordable(path=pointer, type_name=_type_name(subject), remedy=remedy) from error
    _require_finite(native, value, pointer)
    return value, schema


def _require_finite(subject: Any, value: Json, pointer: str) -> None:
    """Raise `NotRecordable` where pydantic wrote null for NaN or an infinity: a person would be shown nothing."""
    if isinstance(subject, float) and not isfinite(subject) and value is None:
        raise NotRecordable(path=pointer, type_name="float", remedy=_NOT_FINITE)
    if isinstance(subject, dict) and isinstance(value, dict):
        for (key, inner), written in zip(subject.items(), value.values(), strict=False):
            _require_finite(inner, written, child(pointer, str(key)))
    elif isinstance(subject, list | tuple | set | frozenset) and isinstance(value, list):
        for place, (inner, written) in enumerate(zip(subject, value, strict=False)):
            _require_finite(inner, written, child(pointer, place))


def _culprit(subject: Any, pointer: str, depth: int = 0) -> tuple[str, Any]:
    """The innermost part that pydantic cannot write, with its pointer."""
    for token, part in _members(subject) if depth < DEPTH else ():
        try:
            _adapter(Any).dump_python(part, mode="json", warnings=False)
        except (PydanticSerializationError, ValueError, RecursionError):
            return _culprit(part, child(pointer, token), depth + 1)
    return pointer, subject


def _members(subject: Any) -> list[tuple[str | int, Any]]:
    if isinstance(subject, BaseModel):
        return list(subject)
    if is_dataclass(subject) and not isinstance(subject, type):
        return [(field.name, getattr(subject, field.name)) for field in fields(subject)]
    if isinstance(subject, dict):
        return [(str(key), part) for key, part in subject.items()]
    return list(enumerate(subject)) if isinstance(subject, list | tuple | set | frozenset) else []


def _assembled(value: Json, known: dict[str, Schema]) -> Schema:
    """One schema for plain JSON with typed parts in it; their definitions move to the top."""
    shared: dict[str, Json] = {}
    hoisted = {pointer: _hoisted(schema, shared) for pointer, schema in known.items()}
    schema = infer(value, hoisted)
    return {"$defs": shared, **schema} if shared else schema


def _hoisted(schema: Schema, shared: dict[str, Json]) -> Schema:
    own = schema.get("$defs", {})
    body = {word: said for word, said in schema.items() if word != "$defs"}
    if body.get("type") == "object":
        own, body = {**own, body.get("title", "Part"): body}, {"$ref": f"#{child('/$defs', body.get('title', 'Part'))}"}
    names = {name: _free_name(name, part, shared) for name, part in own.items()}
    moves = {f"#{child('/$defs', old)}": f"#{child('/$defs', new)}" for old, new in names.items()}

    def moved(part: Schema) -> Schema:
        return {**part, "$ref": moves.get(part["$ref"], part["$ref"])} if "$ref" in part else part

    shared.update({names[name]: rewritten(part, moved) for name, part in own.items()})
    result: Schema = rewritten(body, moved)
    return result


def _free_name(name: str, part: Json, shared: dict[str, Json]) -> str:
    """The name itself unless it is taken by something else."""
    free, number = name, 2
    while free in shared and shared[free] != part:
        free, number = f"{name}-{number}", number + 1
    return free


def _require_json(value: Json) -> None:
    """Raise `NotRecordable` for what JSON text cannot carry exactly."""
    pending: list[tuple[str, Json, int]] = [("", value, 0)]
    while pending:
        pointer, part, depth = pending.pop()
        remedy = _why_not(part, depth)
        if remedy:
            raise NotRecordable(path=pointer, type_name=_type_name(part), remedy=remedy)
        if isinstance(part, dict | list):
            inner = part.items() if isinstance(part, dict) else enumerate(part)
            pending += [(child(pointer, token), found, depth + 1) for token, found in inner]


def _why_not(part: Json, depth: int) -> str:
    if isinstance(part, float) and not isfinite(part):
        return _NOT_FINITE
    if isinstance(part, int) and abs(part) >= 10**_DIGITS:
        return f"numbers have at most {_DIGITS} digits; send text"
    texts = [part] if isinstance(part, str) else list(part) if isinstance(part, dict) else []
    if any("\ud800" <= letter <= "\udfff" for text in texts if not text.isascii() for letter in text):
        return "it holds half of a surrogate pair, which no text can carry; decode it properly or send bytes as base64"
    return f"nest data at most {DEPTH} deep" if depth > DEPTH else ""


def _with_ordered_sets(schema: Json, value: Json, root: Schema) -> Json:
    """Sets in one order, whatever the process: their order in memory must not change the digest."""
    if not isinstance(value, dict | list):
        return value
    flat = settled(schema, value, root)
    if flat is None:
        return value
    inner = [(token, _with_ordered_sets(part, found, root)) for token, part, found in _present(flat, value)]
    if isinstance(value, dict):
        return dict(inner)
    items = [found for _, found in inner]
    return sorted(items, key=canonical) if flat.get("uniqueItems") is True else items


def _type_name(value: Any) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
