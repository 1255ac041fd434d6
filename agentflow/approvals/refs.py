"""Schemas read as trees: references followed inside the schema only, parts of a value paired with their schemas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agentflow.approvals.pointers import ABSENT, Absent, Json, Schema, at, member
from agentflow.later import later

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentflow.approvals import validation
else:
    validation = later("agentflow.approvals.validation")

NOTHING: Final[Schema] = {"not": {}}
_MAPS = ("properties", "$defs", "patternProperties", "dependentSchemas")
_SINGLES = ("items", "additionalProperties", "contains", "propertyNames", "not", "if", "then", "else")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_HOPS = 32


def rewritten(schema: Json, change: Callable[[Schema], Schema]) -> Json:
    """The schema with `change` made to each schema in it, inner ones first; defaults and constants are left alone."""
    if not isinstance(schema, dict):
        return schema
    copy = dict(schema)
    for word in _MAPS:
        if isinstance(copy.get(word), dict):
            copy[word] = {name: rewritten(part, change) for name, part in copy[word].items()}
    for word in _SINGLES:
        if word in copy:
            copy[word] = rewritten(copy[word], change)
    for word in _LISTS:
        if isinstance(copy.get(word), list):
            copy[word] = [rewritten(part, change) for part in copy[word]]
    return change(copy)


def resolve(schema: Json, root: Schema) -> Schema | None:
    """The schema with its own `$ref` and `allOf` folded in, or None when they lead elsewhere or contradict."""
    if schema is True:
        return {}
    if not isinstance(schema, dict):
        return dict(NOTHING) if schema is False else None
    flat = dict(schema)
    for _ in range(_HOPS):
        if "$ref" in flat:
            pointed = target(flat.pop("$ref"), root)
            if pointed is None:
                return None
            flat = {**pointed, **flat}
        elif "allOf" in flat:
            folded = _folded(flat, root)
            if folded is None:
                return None
            flat = folded
        else:
            return flat
    return None


def target(reference: Json, root: Schema) -> Schema | None:
    """The schema a reference names inside `root`, or None."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    found = at(root, reference[1:])
    return found if isinstance(found, dict) else None


def _folded(schema: Schema, root: Schema) -> Schema | None:
    """`allOf` merged into its schema where each keyword is said once, or the same; properties and required add up."""
    merged = {word: said for word, said in schema.items() if word != "allOf"}
    for part in schema["allOf"]:
        flat = resolve(part, root)
        if flat is None:
            return None
        for word, said in flat.items():
            if word == "properties":
                merged[word] = {**said, **merged.get(word, {})}
            elif word == "required":
                merged[word] = list(dict.fromkeys([*merged.get(word, []), *said]))
            elif word not in merged or word in ("title", "description", "default"):
                merged.setdefault(word, said)
            elif merged[word] != said:
                return None
    return merged


def alternatives(schema: Schema) -> list[Json]:
    """The branches of `anyOf` or `oneOf`, the null one left out."""
    branches = schema.get("anyOf") or schema.get("oneOf") or []
    return [branch for branch in branches if branch != {"type": "null"}]


def branch_for(branches: list[Json], value: Json, root: Schema) -> int | None:
    """Which alternative `value` is: by the constants that tell them apart, else the first it fits."""
    flat = [resolve(branch, root) for branch in branches]
    told = [place for place, branch in enumerate(flat) if branch and _constants_match(branch, value)]
    if len(told) == 1:
        return told[0]
    return next((place for place, branch in enumerate(branches) if validation.fits(branch, value, root=root)), None)


def constants(branch: Schema) -> dict[str, Json]:
    """The properties an alternative fixes to one value."""
    properties = branch.get("properties", {})
    return {name: part["const"] for name, part in properties.items() if isinstance(part, dict) and "const" in part}


def _constants_match(branch: Schema, value: Json) -> bool:
    fixed = constants(branch)
    return bool(fixed) and isinstance(value, dict) and all(value.get(name) == wanted for name, wanted in fixed.items())


def settled(schema: Json, value: Json | Absent, root: Schema) -> Schema | None:
    """The flat schema `value` is judged by, with its alternative chosen; None when there is no telling."""
    flat = resolve(schema, root)
    for _ in range(_HOPS):
        branches = alternatives(flat) if flat else []
        if flat is None or not branches or value is ABSENT:
            return flat
        place = 0 if len(branches) == 1 else branch_for(branches, value, root)
        if place is None:
            return None
        chosen = resolve(branches[place], root)
        outer = {word: said for word, said in flat.items() if word not in ("anyOf", "oneOf", "discriminator")}
        flat = None if chosen is None else {**chosen, **outer}
    return None


def parts(schema: Schema, value: Json) -> Iterator[tuple[str | int, Json, Json | Absent]]:
    """Each part of a flat schema with the part of the value it is about: (token, schema, value or `ABSENT`)."""
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        rest = schema.get("additionalProperties", True)
        for name in dict.fromkeys([*properties, *value]):
            yield name, properties.get(name, rest), member(value, name)
    elif isinstance(value, list):
        first = schema.get("prefixItems", [])
        for place, item in enumerate(value):
            yield place, first[place] if place < len(first) else schema.get("items", True), item
