"""Schemas of an OpenAPI document as JSON Schema of today (2020-12), with what they refer to beside them.

Version 3.1 uses JSON Schema itself. 3.0 has a dialect: `nullable`, exclusive bounds as flags, siblings of `$ref` that
mean nothing. A property that is `readOnly` is no part of what is sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from agentflow.errors import DefinitionError

if TYPE_CHECKING:
    from agentflow.agents.http.document import Document

_NO_WORDS: Final = {"xml", "externalDocs", "example", "discriminator", "nullable", "readOnly", "writeOnly"}
_OF_SCHEMAS: Final = {"properties", "patternProperties", "$defs", "dependentSchemas"}
_AS_THEY_ARE: Final = {"enum", "const", "default", "examples", "required"}


class Schemas:
    """The schemas one tool needs. `definitions` grows with each that is referred to."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._names: dict[str, str] = {}
        self.definitions: dict[str, Any] = {}

    def of(self, schema: Any) -> Any:
        """The schema, its references turned to `#/$defs/…`. Raises `DefinitionError` for a reference outside."""
        if not isinstance(schema, Mapping):
            return schema
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return self._object(schema)
        pointed = {"$ref": f"#/$defs/{self._defined(reference)}"}
        siblings = {} if self._document.is_3_0 else {name: one for name, one in schema.items() if name != "$ref"}
        return self._object(siblings) | pointed

    def _defined(self, reference: str) -> str:
        if reference in self._names:
            return self._names[reference]
        target = self._document.at(reference)
        if not isinstance(target, Mapping | bool):
            raise DefinitionError(f"$ref {reference[:200]!r} leads to what is no schema")
        name = base = re.sub(r"[^A-Za-z0-9_.-]", "_", reference.rpartition("/")[2]) or "schema"
        count = 1
        while name in self.definitions:
            count += 1
            name = f"{base}_{count}"
        self._names[reference] = name
        self.definitions[name] = {}  # taken, before what is inside refers to it again
        self.definitions[name] = self.of(target)
        return name

    def _object(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        if schema.get("$dynamicRef") is not None or schema.get("$id") is not None:
            raise DefinitionError("a schema with $id or $dynamicRef is not read from an OpenAPI document")
        found = {name: self._word(name, value) for name, value in schema.items() if not self._is_dropped(name)}
        if self._document.is_3_0:
            _as_of_today(found, schema)
        unsent = {name for name, one in _properties(schema).items() if self._is_read_only(one)}
        if unsent:
            found["properties"] = {name: one for name, one in found["properties"].items() if name not in unsent}
            found["required"] = [name for name in found.get("required", ()) if name not in unsent]
        return found

    def _word(self, name: str, value: Any) -> Any:
        if name in _AS_THEY_ARE:
            return value
        if name in _OF_SCHEMAS and isinstance(value, Mapping):
            return {key: self.of(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self.of(one) for one in value]
        return self.of(value)

    def _is_dropped(self, name: str) -> bool:
        return name in _NO_WORDS or name.startswith("x-")

    def _is_read_only(self, schema: Any) -> bool:
        if isinstance(schema, Mapping) and isinstance(schema.get("$ref"), str):
            schema = self._document.at(schema["$ref"])
        return isinstance(schema, Mapping) and schema.get("readOnly") is True


def _properties(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    found = schema.get("properties")
    return found if isinstance(found, Mapping) else {}


def _as_of_today(found: dict[str, Any], schema: Mapping[str, Any]) -> None:
    """What 3.0 writes in its own way."""
    for flag, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        is_exclusive = found.get(flag)
        if isinstance(is_exclusive, bool):
            del found[flag]
            if is_exclusive and bound in found:
                found[flag] = found.pop(bound)
    if schema.get("nullable") is True and isinstance(found.get("type"), str):
        found["type"] = [found["type"], "null"]
        if "enum" in found and None not in found["enum"]:
            found["enum"] = [*found["enum"], None]
