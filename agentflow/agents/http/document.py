"""An OpenAPI document: read, and its references followed, within itself and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from agentflow.errors import DefinitionError

Object = Mapping[str, Any]
_LONGEST_CHAIN: Final = 32


class Document:
    """An OpenAPI document of version 3.0 or 3.1. Raises `DefinitionError` for what is none."""

    def __init__(self, root: Object) -> None:
        version = root.get("openapi")
        if not isinstance(version, str) or not version.startswith(("3.0", "3.1")):
            raise DefinitionError(f"an OpenAPI document of version 3.0 or 3.1 is wanted; this one has {version!r}")
        self.root = root
        self.is_3_0 = version.startswith("3.0")

    @classmethod
    def of(cls, source: Object | str | Path) -> Document:
        """The document given: as an object, or as the path of a JSON file."""
        if isinstance(source, Mapping):
            return cls(source)
        if str(source).startswith(("http://", "https://")):
            raise DefinitionError(
                f"{str(source)[:200]!r}: an OpenAPI document is not fetched; keep a copy with your code"
            )
        try:
            root = json.loads(Path(source).read_text(encoding="utf-8"))
        except OSError as error:
            raise DefinitionError(f"OpenAPI document {str(source)!r} cannot be read: {error}") from error
        except ValueError as error:
            said = f"OpenAPI document {str(source)!r} is not JSON ({error})"
            raise DefinitionError(f"{said}; of YAML, give the object: yaml.safe_load(text)") from error
        if not isinstance(root, Mapping):
            raise DefinitionError(f"OpenAPI document {str(source)!r} is no object")
        return cls(root)

    def at(self, reference: str) -> Any:
        """What a reference points to. Raises `DefinitionError` for one that leaves the document or leads nowhere."""
        if not reference.startswith("#/"):
            raise DefinitionError(
                f"$ref {reference[:200]!r} points outside of the document, and nothing is fetched for it; "
                "bundle the document into one first"
            )
        found: Any = self.root
        for part in reference[2:].split("/"):
            name = unquote(part).replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and name.isdigit() and int(name) < len(found):
                found = found[int(name)]
            elif isinstance(found, Mapping) and name in found:
                found = found[name]
            else:
                raise DefinitionError(f"$ref {reference[:200]!r} leads nowhere: there is no {name!r}")
        return found

    def resolved(self, value: Any, *, what: str) -> Object:
        """An object as it stands, or that which it refers to. Raises `DefinitionError` for a circle."""
        for _ in range(_LONGEST_CHAIN):
            if not isinstance(value, Mapping):
                raise DefinitionError(f"{what} is no object in the OpenAPI document")
            reference = value.get("$ref")
            if not isinstance(reference, str):
                return value
            value = self.at(reference)
        raise DefinitionError(f"{what} refers to itself in the OpenAPI document")
