"""The operations of an OpenAPI document: what each takes, where that goes, and what lets one in."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from agentflow.agents.http.endpoint import FORM, JSON, Place
from agentflow.agents.http.naming import distinct
from agentflow.agents.http.schemas import Schemas
from agentflow.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentflow.agents.http.document import Document, Object

METHODS: Final = ("get", "head", "put", "delete", "post", "patch", "options")
_STYLES: Final = {
    "path": {"simple"},
    "query": {"form", "spaceDelimited", "pipeDelimited"},
    "header": {"simple"},
}
_SLOT: Final = re.compile(r"\{([^{}]*)\}")
_SET_BY_OTHERS: Final = {"accept", "content-type", "authorization"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation. `name` is its `operationId`, or made of its method and path."""

    name: str
    method: str
    path: str
    entry: Object
    shared: Object

    @property
    def place(self) -> str:
        """How messages name it."""
        return f"operation {self.name!r} ({self.method} {self.path})"

    @property
    def description(self) -> str:
        """What it does, as the document says."""
        said = [str(self.entry.get(word, "")).strip() for word in ("summary", "description")]
        return "\n\n".join(dict.fromkeys(filter(None, said))) or f"{self.method} {self.path}"


def operations_of(document: Document) -> Iterator[Operation]:
    """Every operation of the document, in its order."""
    paths = document.root.get("paths", {})
    for path, item in document.resolved(paths, what="paths").items():
        shared = document.resolved(item, what=f"path {path!r}")
        for method in METHODS:
            entry = shared.get(method)
            if isinstance(entry, Mapping):
                name = str(entry.get("operationId") or f"{method} {path}")
                yield Operation(name=name, method=method.upper(), path=path, entry=entry, shared=shared)


@dataclass(frozen=True, slots=True)
class Taken:
    """What an operation takes: the schema of a call's arguments, where each goes, and the type of a body."""

    schema: dict[str, Any]
    places: tuple[Place, ...]
    media_type: str


def taken_by(document: Document, operation: Operation) -> Taken:
    """What the operation takes. Raises `DefinitionError` for a parameter or body that cannot be sent from here."""
    schemas = Schemas(document)
    parameters = [one for one in _parameters(document, operation) if _is_sent(operation, one)]
    body = _body(document, operation)
    named = [(str(one["name"]), f"{one['in']} {one['name']}") for one in parameters]
    names = distinct(named if body is None else [*named, ("body", "the body")])
    properties: dict[str, Any] = {}
    required: list[str] = []
    places: list[Place] = []
    for name, one in zip(names, parameters, strict=False):
        place, schema = _placed(operation, name, one)
        places.append(place)
        properties[name] = _described(schemas.of(schema), one)
        if one["in"] == "path" or one.get("required") is True:
            required.append(name)
    media_type = ""
    if body is not None:
        media_type, schema, is_required = body
        places.append(Place(argument=names[-1], wire="body", where="body"))
        properties[names[-1]] = schemas.of(schema)
        required += [names[-1]] if is_required else []
    whole: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    whole |= {"required": required} if required else {}
    whole |= {"$defs": schemas.definitions} if schemas.definitions else {}
    return Taken(whole, tuple(places), media_type)


def _parameters(document: Document, operation: Operation) -> list[Object]:
    """The operation's own parameters and those of its path that it does not replace."""
    found: dict[tuple[Any, Any], Object] = {}
    for listed in (operation.shared.get("parameters", ()), operation.entry.get("parameters", ())):
        for entry in listed:
            one = document.resolved(entry, what=f"a parameter of {operation.place}")
            if not isinstance(one.get("name"), str) or not isinstance(one.get("in"), str):
                raise DefinitionError(f"{operation.place}: a parameter has no name or no place")
            found[one["in"], one["name"]] = one
    declared, slots = {name for place, name in found if place == "path"}, set(_SLOT.findall(operation.path))
    if declared - slots:
        raise DefinitionError(f"{operation.place}: path parameters {', '.join(declared - slots)} are not in its path")
    if slots - declared:
        raise _refused(operation, f"nothing says what {', '.join(slots - declared)} in its path is")
    return list(found.values())


def _is_sent(operation: Operation, one: Object) -> bool:
    if one["in"] == "header" and one["name"].lower() in _SET_BY_OTHERS:
        return False  # OpenAPI says to ignore them: the body and the security schemes set these
    if one["in"] in _STYLES:
        return True
    if one.get("required") is True:
        raise _refused(operation, f"it needs the {one['in']} parameter {one['name']!r}, which is not sent")
    return False


def _placed(operation: Operation, name: str, one: Object) -> tuple[Place, Any]:
    where, wire = str(one["in"]), str(one["name"])
    content = one.get("content")
    if isinstance(content, Mapping) and content:
        if list(content) != [JSON]:
            raise _refused(operation, f"parameter {wire!r} is sent as {', '.join(content)}; only JSON is written")
        return Place(argument=name, wire=wire, where=where, style="json"), content[JSON].get("schema", {})
    style = str(one.get("style", "form" if where == "query" else "simple"))
    if style not in _STYLES[where]:
        hint = (
            "; give it as several parameters, or write this one by hand with http_tool" if style == "deepObject" else ""
        )
        raise _refused(operation, f"parameter {wire!r} has style {style!r}, which is not written{hint}")
    explode = bool(one.get("explode", style == "form"))
    return Place(argument=name, wire=wire, where=where, style=style, explode=explode), one.get("schema", {})


def _described(schema: Any, one: Object) -> Any:
    said = one.get("description")
    if not isinstance(said, str) or not isinstance(schema, dict) or "description" in schema:
        return schema
    return {**schema, "description": said}


def _body(document: Document, operation: Operation) -> tuple[str, Any, bool] | None:
    """The type, the schema and whether there must be one, of the body; None where there is none."""
    if operation.entry.get("requestBody") is None:
        return None
    body = document.resolved(operation.entry["requestBody"], what=f"the body of {operation.place}")
    content = body.get("content", {})
    kinds = {str(kind).partition(";")[0].strip().lower(): one for kind, one in content.items()}
    for kind, one in sorted(kinds.items(), key=lambda pair: pair[0] != JSON):
        if kind in (JSON, FORM) or kind.endswith("+json"):
            return kind, dict(one or {}).get("schema", {}), body.get("required") is True
    if body.get("required") is True:
        raise _refused(operation, f"its body is {', '.join(kinds) or 'of no type'}; JSON or a form can be sent")
    return None


def _refused(operation: Operation, said: str) -> DefinitionError:
    return DefinitionError(f"{operation.place}: {said}. Leave it out with exclude=({operation.name!r},)")


def server_of(document: Document, operation: Operation) -> str:
    """The server the document names for the operation. Raises `DefinitionError` for none that is a whole address."""
    for holder in (operation.entry, operation.shared, document.root):
        servers = holder.get("servers")
        if isinstance(servers, Sequence) and servers and isinstance(servers[0], Mapping):
            url = str(servers[0].get("url", ""))
            for name, one in dict(servers[0].get("variables") or {}).items():
                url = url.replace(f"{{{name}}}", str(one.get("default", "")))
            if url.startswith(("https://", "http://")):
                return url
    raise DefinitionError(
        f'{operation.place}: the document names no whole address of a server; give server="https://…"'
    )
