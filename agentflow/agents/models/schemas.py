"""What providers take of JSON Schema when they bind a model to it: closed objects, and not every keyword.

A schema that cannot be said in their terms is no error: the model is then asked for it in words or without being bound,
and whoever asked checks the answer, as it does anyway.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

REF: Final = "#/$defs/"
LOOSE: Final = frozenset(
    {"allOf", "not", "if", "then", "else", "prefixItems", "patternProperties", "propertyNames", "dependentRequired"}
)
"""Keywords no provider binds a model to."""
DROPPED: Final = frozenset({"default", "discriminator", "examples", "$schema", "$id"})
LIMITS: Final = frozenset(
    {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "pattern"}
    | {"minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties"}
)
TYPED: Final = frozenset({"type", "anyOf", "oneOf", "$ref", "enum", "const"})


class _CannotBind(Exception):
    """This schema allows what no grammar of the provider's can."""


@dataclass(frozen=True, slots=True)
class _Dialect:
    is_all_required: bool
    has_limits: bool


def output_schema(schema: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
    """The schema as OpenAI binds models to it, and True; or as it was given, and False."""
    try:
        return _closed_root(schema, _Dialect(is_all_required=True, has_limits=True)), True
    except _CannotBind:
        return schema, False


def format_schema(schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The schema as Anthropic binds models to it, limits told in descriptions; None if it cannot be."""
    try:
        if _is_recursive(schema):
            return None
        return _closed_root(schema, _Dialect(is_all_required=False, has_limits=False))
    except _CannotBind:
        return None


def _closed_root(schema: Mapping[str, Any], dialect: _Dialect) -> dict[str, Any]:
    if schema.get("type") != "object":
        raise _CannotBind
    return _closed(schema, dialect)


def _closed(node: Any, dialect: _Dialect) -> dict[str, Any]:
    if not isinstance(node, Mapping) or not TYPED & node.keys() or LOOSE & node.keys():
        raise _CannotBind
    said = {key: value for key, value in node.items() if key not in DROPPED}
    if not dialect.has_limits:
        said = _with_limits_told(said)
    if "oneOf" in said:
        said["anyOf"] = said.pop("oneOf")
    if "$ref" in said and len(said) > 1 and "$defs" not in said:
        said["anyOf"] = [{"$ref": said.pop("$ref")}]
    for key in ("$defs", "properties"):
        if key in said:
            said[key] = {name: _closed(one, dialect) for name, one in said[key].items()}
    if "anyOf" in said:
        said["anyOf"] = [_closed(one, dialect) for one in said["anyOf"]]
    if said.get("type") == "array" or "items" in said:
        said["items"] = _closed(said.get("items"), dialect)
    if said.get("type") == "object":
        _close(said, dialect)
    return said


def _close(said: dict[str, Any], dialect: _Dialect) -> None:
    if said.get("additionalProperties", False) is not False or "properties" not in said:
        raise _CannotBind
    said["additionalProperties"] = False
    if dialect.is_all_required:
        said["required"] = list(said["properties"])


def _with_limits_told(said: dict[str, Any]) -> dict[str, Any]:
    limits = [f"{key}: {said[key]}" for key in said if key in LIMITS]
    if not limits:
        return said
    rest = {key: value for key, value in said.items() if key not in LIMITS}
    words = [str(rest["description"])] if rest.get("description") else []
    rest["description"] = " ".join([*words, f"({', '.join(limits)})"])
    return rest


def _is_recursive(schema: Mapping[str, Any]) -> bool:
    defs = schema.get("$defs", {})
    leads_to = {name: _refs(one) for name, one in defs.items()}

    def comes_back(name: str, seen: frozenset[str]) -> bool:
        return name in seen or any(comes_back(one, seen | {name}) for one in leads_to.get(name, ()))

    return any(comes_back(name, frozenset()) for name in leads_to)


def _refs(node: Any) -> set[str]:
    if isinstance(node, Mapping):
        own = {str(node["$ref"]).removeprefix(REF)} if "$ref" in node else set()
        return own.union(*(_refs(one) for one in node.values()))
    if isinstance(node, list | tuple):
        return set().union(*(_refs(one) for one in node)) if node else set()
    return set()
