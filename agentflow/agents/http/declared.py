"""An HTTP tool declared by hand."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Unpack
from urllib.parse import urlsplit

from agentflow.agents.http.credentials import Credential, header_name, headers_of
from agentflow.agents.http.endpoint import FORM, JSON, Endpoint, Place
from agentflow.agents.http.making import effect_of, tool_of
from agentflow.agents.tools.effects import ToolEffect
from agentflow.approvals import schema_of
from agentflow.egress import Egress
from agentflow.errors import DefinitionError, EgressRefused

if TYPE_CHECKING:
    from agentflow.agents.tools.options import ToolOptions
    from agentflow.agents.tools.tool import Tool
    from agentflow.verifiers.secret import Secret

IDEMPOTENCY: Final = "Idempotency-Key"
_SLOT: Final = re.compile(r"\{([^{}]*)\}")
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_BODIES: Final = {"json": JSON, "form": FORM}
_MAX_BYTES: Final = 500_000
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}


def http_tool(
    *,
    name: str,
    url: str,
    description: str,
    method: str = "GET",
    parameters: Mapping[str, Any] | None = None,
    required: Sequence[str] | None = None,
    query: Sequence[str] = (),
    body: str | None = None,
    headers: Mapping[str, str | Secret] | None = None,
    auth: Credential | Sequence[Credential] = (),
    idempotency_header: str | None = IDEMPOTENCY,
    egress: Egress | None = None,
    **options: Unpack[ToolOptions],
) -> Tool[..., Any]:
    """A tool that calls this URL, with arguments in the place of its `{name}`s.

    `parameters` says what each argument is, as a type or a JSON Schema; those of the URL's path are texts unless it
    does. What is not in the path goes into the query, or, with `body="json"` or `"form"`, into the body, which is so by
    default for POST, PUT and PATCH; `query` names those that go into the query all the same. All are required but those
    whose schema has a `default`, unless `required` names them. `effect` is `read` for GET and HEAD, `idempotent` for
    PUT and DELETE and `irreversible` for others, unless given. Without `egress` the tool calls the URL's own host and
    no other. Raises `DefinitionError`.
    """
    what, way = f"http_tool {name!r}", method.upper()
    effect = effect_of(what, options.pop("effect", None), way, undo=options.get("undo"))
    host, slots = _checked_url(what, url, egress), _slots(what, url)
    schemas = _schemas(what, parameters or {}, slots)
    media_type = _media_type(what, body, way)
    places = _places(what, schemas, slots, query, media_type)
    sent = headers_of(headers or {}, what=what)
    let_in = (auth,) if isinstance(auth, Credential) else tuple(auth)
    key_in = header_for_keys(idempotency_header, effect)
    endpoint = Endpoint(way, url, places, media_type, sent, let_in, key_in)
    schema = _whole(what, schemas, required)
    policy = egress or own_host(what, host)
    return tool_of(endpoint, name, description, schema, egress=policy, effect=effect, options=options)


def own_host(what: str, url: str) -> Egress:
    """The policy that lets calls go to this URL's host and port only. Raises `DefinitionError` for one inside."""
    parts = urlsplit(url)
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    policy = Egress(hosts=(parts.hostname or "",), ports=(port,), schemes=(parts.scheme,), max_bytes=_MAX_BYTES)
    own = f'hosts=("{parts.hostname}",), ports=({port},)'
    try:
        policy.check(url)
        if _is_inward(parts.hostname or ""):
            raise DefinitionError(f"{what}: {parts.hostname!r} is a name of this network; {_MEANT.format(own)}")
    except EgressRefused as refused:
        raise DefinitionError(f"{what}: {refused}. If that is where it is to go, {_MEANT.format(own)}") from refused
    return policy


def _is_inward(host: str) -> bool:
    return host.endswith(".localhost") or not (set(host) & {".", ":"})


_MEANT: Final = 'give egress=Egress({}, allow_private=("…",)) with its network'


def header_for_keys(name: str | None, effect: ToolEffect) -> str | None:
    """The header a call's idempotency key is sent in; None where there is nothing to do twice."""
    return None if name is None or effect is ToolEffect.READ else header_name(name)


def _checked_url(what: str, url: str, egress: Egress | None) -> str:
    """The URL without what follows its host. Raises `DefinitionError` for a host that a model would choose."""
    whole = re.fullmatch(r"(https?://[^/?#\s]+)([/?].*)?", url) if isinstance(url, str) else None
    if whole is None or "#" in url:
        raise DefinitionError(f'{what}, url={url!r}: wanted "https://host/path", with no fragment')
    if _SLOT.search(whole[1]) or "{" in whole[1]:
        raise DefinitionError(
            f"{what}: the host of {url!r} has a place for an argument; the model does not choose hosts"
        )
    query = (whole[2] or "").partition("?")[2]
    if _SLOT.search(query):
        raise DefinitionError(f"{what}: the query of {url!r} has a place for an argument; name it in query= instead")
    if egress is not None:
        try:
            egress.check(_SLOT.sub("x", url))
        except EgressRefused as refused:
            raise DefinitionError(f"{what}: its egress= does not let it call its own url: {refused}") from refused
    return whole[1]


def _slots(what: str, url: str) -> list[str]:
    found = _SLOT.findall(url)
    for one in found:
        if not _NAME.fullmatch(one):
            raise DefinitionError(f"{what}: {{{one}}} in the URL names no argument; write {{order}}")
    return list(dict.fromkeys(found))


def _schemas(what: str, parameters: Mapping[str, Any], slots: Sequence[str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {name: {"type": "string"} for name in slots}
    for name, given in parameters.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise DefinitionError(f"{what}: {name!r} is no name for an argument; use letters, digits, _ and -")
        found[name] = dict(given) if isinstance(given, Mapping) else _schema_of(what, name, given)
    return found


def _schema_of(what: str, name: str, given: Any) -> dict[str, Any]:
    try:
        return dict(schema_of(given) or {})
    except Exception as error:
        raise DefinitionError(
            f"{what}, parameter {name!r}: {given!r} is no type that has a schema ({type(error).__name__}); give a type "
            'such as int, or a JSON Schema such as {"type": "integer"}'
        ) from error


def _media_type(what: str, body: str | None, method: str) -> str:
    if body is None:
        return JSON if method in ("POST", "PUT", "PATCH") else ""
    if body not in _BODIES and body != "none":
        raise DefinitionError(f'{what}, body={body!r}: wanted "json", "form" or "none"')
    if method in ("GET", "HEAD") and body != "none":
        raise DefinitionError(f"{what}: a {method} has no body; leave body= out")
    return _BODIES.get(body, "")


def _places(
    what: str, schemas: Mapping[str, Any], slots: Sequence[str], query: Sequence[str], media_type: str
) -> tuple[Place, ...]:
    unknown = [name for name in query if name not in schemas or name in slots]
    if isinstance(query, str) or unknown:
        raise DefinitionError(f"{what}, query={query!r}: wanted names of parameters that are not in the path")
    return tuple(
        Place(argument=name, wire=name, where="path", style="simple", explode=False)
        if name in slots
        else Place(argument=name, wire=name, where="field" if media_type and name not in query else "query")
        for name in schemas
    )


def _whole(what: str, schemas: dict[str, dict[str, Any]], required: Sequence[str] | None) -> dict[str, Any]:
    if required is not None and (isinstance(required, str) or not set(required) <= set(schemas)):
        raise DefinitionError(f"{what}, required={required!r}: wanted names among {', '.join(schemas) or 'none'}")
    definitions: dict[str, Any] = {}
    for name, one in schemas.items():
        for key, value in one.pop("$defs", {}).items():
            if definitions.setdefault(key, value) != value:
                raise DefinitionError(
                    f"{what}, parameter {name!r}: another parameter has a different type named {key!r}"
                )
    needed = [name for name, one in schemas.items() if "default" not in one] if required is None else list(required)
    schema: dict[str, Any] = {"type": "object", "properties": schemas, "additionalProperties": False}
    return schema | ({"required": needed} if needed else {}) | ({"$defs": definitions} if definitions else {})
