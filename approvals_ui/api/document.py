"""The OpenAPI 3.1 document: made of what the endpoints of the application say of themselves."""

import inspect
import json
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from agentflow.access import SCOPES
from agentflow.errors import AgentflowError
from approvals_ui.access import SIGNED_IN
from approvals_ui.api.endpoint import EVENT_STREAM, PREFIX, Endpoint
from approvals_ui.api.examples import example_of
from approvals_ui.api.fields import PATH_FIELDS
from approvals_ui.api.problem_shapes import PROBLEM_SCHEMA, Problem, problem_of, problems_of
from approvals_ui.problems import PROBLEM_JSON

REFS: Final = "#/components/schemas/{name}"
JSON: Final = "application/json"
TAGS: Final = {
    "runs": "Start runs, wait for them, read and steer them.",
    "tasks": "What may be started.",
    "approvals": "What runs ask people.",
    "standing approvals": "Decisions made ahead.",
    "events": "What happened elsewhere: it wakes runs, and starts them.",
    "schedules": "What starts runs at its times.",
    "webhooks": "What other systems deliver, and what became of it.",
    "subscriptions": "URLs that are told of what happens.",
    "queues": "Where runs line up.",
    "sums": "Costs and counts, and who asks.",
    "tokens": "Who may call this API.",
    "callbacks": "Where other systems answer a run. The token in the address is the right to.",
}
INTRODUCTION: Final = """Start runs, wait for them, read them, and answer what they ask.

Send a token as `Authorization: Bearer TOKEN`; `agentflow tokens create` makes one. Each operation names the scope it
needs. Bodies are JSON (`application/json`); a field or parameter that there is not is refused with the one that was
probably meant. Listings give some `items` and the `next_cursor` of what follows. Every error is a problem document
(RFC 9457) whose `type` stays for good; where nothing was changed, `detail` says so. `429` and `503` come with
`Retry-After`."""


def document_of(app: Litestar) -> dict[str, Any]:
    """The document of what this application serves under the prefix."""
    routes = [route for route in app.routes if isinstance(route, HTTPRoute) and route.path.startswith(f"{PREFIX}/")]
    found = [(route, called, said) for route in routes for called, said in _endpoints(route)]
    components = _components([said for _, _, said in found])
    paths: dict[str, Any] = {}
    for route, called, said in sorted(found, key=lambda one: _place(one[2], one[0])):
        described = _operation(route, called, said, components)
        for method in sorted(called.http_methods):
            paths.setdefault(route.path_format, {})[method.lower()] = described
    used = {said.tag for _, _, said in found}
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "agentflow",
            "version": "1",
            "summary": "Durable runs, and the people who decide in them.",
            "description": INTRODUCTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The server that gave this document."}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items() if name in used],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": {"bearerAuth": _bearer()}},
    }


def _endpoints(route: HTTPRoute) -> Iterable[tuple[HTTPRouteHandler, Endpoint]]:
    for called in route.route_handlers:
        if "endpoint" in called.opt:
            yield called, called.opt["endpoint"]


def _place(said: Endpoint, route: HTTPRoute) -> tuple[int, int, str]:
    return list(TAGS).index(said.tag), route.path.count("/"), route.path


def _bearer() -> dict[str, Any]:
    scopes = "\n".join(f"- `{name}`: {text}" for name, text in SCOPES.items())
    text = f"A token of the API; `*` is all scopes. There are:\n\n{scopes}"
    return {"type": "http", "scheme": "bearer", "bearerFormat": "af_ID_SECRET", "description": text}


def _components(every: Sequence[Endpoint]) -> dict[str, Any]:
    kinds: list[Any] = [Problem]
    for said in every:
        kinds += [kind for kind in (said.takes, *said.gives.values()) if kind not in (None, str)]
    _, found = msgspec.json.schema_components(list(dict.fromkeys(kinds)), ref_template=REFS)
    found["Problem"] = PROBLEM_SCHEMA | {"title": "Problem"}
    return {name: _tidy(schema) for name, schema in sorted(found.items())}


def _tidy(schema: Any) -> Any:
    """Without empty lists of what is required, which nobody needs to read."""
    if isinstance(schema, dict):
        return {name: _tidy(one) for name, one in schema.items() if not (name == "required" and not one)}
    return [_tidy(one) for one in schema] if isinstance(schema, list) else schema


def _operation(
    route: HTTPRoute, called: HTTPRouteHandler, said: Endpoint, components: Mapping[str, Any]
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": said.id,
        "summary": said.summary,
        "description": f"{inspect.cleandoc(called.fn.__doc__ or '')}\n\n{_wanted(said)}",
        "tags": [said.tag],
        "security": [{"bearerAuth": _scopes(said)}] if said.scope else [],
    }
    parameters = [*_path_parameters(route), *_query_parameters(said), *_header_parameters(said)]
    if parameters:
        found["parameters"] = parameters
    if said.takes is not None:
        found["requestBody"] = _body(said)
    found["responses"] = _responses(said, components, has_id=bool(route.path_parameters), method=called)
    return found


def _wanted(said: Endpoint) -> str:
    if said.scope is None:
        return "The token in the address is the right to it."
    return "Any token will do." if said.scope == SIGNED_IN else f"Needs the scope `{said.scope}`."


def _scopes(said: Endpoint) -> list[str]:
    return [] if said.scope in (None, SIGNED_IN) else [str(said.scope)]


# -- what is asked


def _path_parameters(route: HTTPRoute) -> list[dict[str, Any]]:
    return [_parameter(name, PATH_FIELDS[name], place="path", required=True) for name in route.path_parameters]


def _query_parameters(said: Endpoint) -> list[dict[str, Any]]:
    if said.query is None:
        return []
    schema = _schema(said.query)
    return [
        _written(name, part, place="query", required=name in schema.get("required", ()))
        for name, part in schema.get("properties", {}).items()
    ]


def _header_parameters(said: Endpoint) -> list[dict[str, Any]]:
    return [_parameter(name, kind, place="header", required=False) for name, kind in said.headers.items()]


def _parameter(name: str, kind: Any, *, place: str, required: bool) -> dict[str, Any]:
    return _written(name, msgspec.json.schema(kind), place=place, required=required)


def _schema(kind: type[Any]) -> dict[str, Any]:
    """The schema of a class of parameters, with everything in its place: parameters refer to nothing."""
    (_,), found = msgspec.json.schema_components([kind], ref_template=REFS)

    def inlined(part: Any) -> Any:
        if isinstance(part, list):
            return [inlined(one) for one in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            return inlined(found[part["$ref"].rpartition("/")[2]]) | {n: v for n, v in part.items() if n != "$ref"}
        return {name: inlined(one) for name, one in part.items()}

    whole: dict[str, Any] = inlined(found[kind.__name__])
    return whole


def _written(name: str, schema: dict[str, Any], *, place: str, required: bool) -> dict[str, Any]:
    schema = _without_null(schema)
    text = schema.pop("description", None) or name.replace("_", " ").capitalize() + "."
    examples = schema.get("examples") or schema.get("enum") or schema.get("items", {}).get("examples")
    written: dict[str, Any] = {
        "name": name,
        "in": place,
        "required": required,
        "description": text,
        "schema": schema,
    }
    if examples:
        written["example"] = (
            [examples[0]] if schema.get("type") == "array" and "examples" not in schema else examples[0]
        )
    return written


def _without_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter that is left out is not null: null cannot be written in an address."""
    schema = {name: part for name, part in schema.items() if not (name == "default" and part is None)}
    choices = [one for one in schema.pop("anyOf", ()) if one != {"type": "null"}]
    if len(choices) == 1:
        return {**choices[0], **schema}
    return schema | ({"anyOf": choices} if choices else {})


def _body(said: Endpoint) -> dict[str, Any]:
    assert said.takes is not None
    content: dict[str, Any] = {"schema": {"$ref": REFS.format(name=said.takes.__name__)}}
    if said.examples:
        content["examples"] = {
            name.replace(" ", "-"): {"summary": name.capitalize(), "value": value}
            for name, value in said.examples.items()
        }
    return {"required": not said.is_body_optional, "content": {JSON: content}}


# -- what is answered


def _responses(
    said: Endpoint, components: Mapping[str, Any], *, has_id: bool, method: HTTPRouteHandler
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for status, kind in said.gives.items():
        text = said.said.get(status) or HTTPStatus(status).phrase + "."
        found[str(status)] = {"description": text} | _content(kind, components)
        if status == HTTPStatus.CREATED and any(part in said.summary for part in ("Start", "Fork", "Make", "Create")):
            found["201"]["headers"] = {
                "Location": {
                    "required": True,
                    "description": "The path of what was made.",
                    "schema": {"type": "string", "format": "uri-reference"},
                }
            }
    is_write = not method.http_methods <= {"GET", "HEAD"}
    for status, kinds in problems_of(said, has_id=has_id, is_write=is_write).items():
        found[str(status)] = _problem_response(status, kinds)
    return dict(sorted(found.items()))


def _content(kind: Any, components: Mapping[str, Any]) -> dict[str, Any]:
    if kind is None:
        return {}
    if kind is str:
        example = 'id: 1\nevent: run_triggered\ndata: {"type": "run_triggered", "seq": 1}\n\n'
        return {"content": {EVENT_STREAM: {"schema": {"type": "string"}, "example": example}}}
    schema = {"$ref": REFS.format(name=kind.__name__)}
    return {"content": {JSON: {"schema": schema, "example": _plain(example_of(schema, components))}}}


def _plain(value: Any) -> Any:
    return json.loads(msgspec.json.encode(value))


def _problem_response(status: int, kinds: Sequence[type[AgentflowError] | str]) -> dict[str, Any]:
    told = [problem_of(status, kind) for kind in kinds]
    named = {one["type"].rpartition(":")[2]: {"summary": one["title"], "value": one} for one in told}
    response: dict[str, Any] = {
        "description": " ".join(dict.fromkeys(_sentence(one["detail"]) for one in told)),
        "content": {PROBLEM_JSON: {"schema": {"$ref": REFS.format(name="Problem")}, "examples": named}},
    }
    if status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
        response["headers"] = {
            "Retry-After": {"required": True, "description": "Seconds.", "schema": {"type": "integer", "minimum": 0}}
        }
    if status == HTTPStatus.UNAUTHORIZED:
        response["headers"] = {
            "WWW-Authenticate": {"required": True, "description": "Bearer.", "schema": {"type": "string"}}
        }
    return response


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
