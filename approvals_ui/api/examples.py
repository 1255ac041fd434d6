"""Examples for the OpenAPI document, made of those that the fields declare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "#/components/schemas/"


def example_of(schema: Mapping[str, Any], components: Mapping[str, Any]) -> Any:
    """A value that fits the schema; each of its parts is one that the documentation shows anyway."""
    if "$ref" in schema:
        return example_of(components[schema["$ref"].removeprefix(PREFIX)], components)
    if "examples" in schema:
        return schema["examples"][0]
    for name in ("const", "enum"):
        if name in schema:
            return schema[name] if name == "const" else schema[name][0]
    if "anyOf" in schema:
        return _of_several(schema["anyOf"], components)
    return _of_type(schema, components)


def _of_several(choices: list[Mapping[str, Any]], components: Mapping[str, Any]) -> Any:
    """Null where it may be: what every run has is told by the others, and nobody reads nineteen made-up instants."""
    return None if {"type": "null"} in choices else example_of(choices[0], components)


def _of_type(schema: Mapping[str, Any], components: Mapping[str, Any]) -> Any:
    match schema.get("type"):
        case "object":
            wanted = schema.get("required", ())
            return {
                name: example_of(part, components)
                for name, part in schema.get("properties", {}).items()
                if name in wanted
            }
        case "array":
            return [example_of(schema["items"], components)] if "items" in schema else []
        case "string":
            return "…"
        case "integer" | "number":
            return schema.get("minimum", 0)
        case "boolean":
            return False
        case _:
            return None
