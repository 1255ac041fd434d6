"""What lets a call in, as an OpenAPI document names it and as it is given here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from agentflow.agents.http.credentials import Credential, api_key, bearer
from agentflow.errors import DefinitionError
from agentflow.verifiers.secret import Secret

if TYPE_CHECKING:
    from agentflow.agents.http.document import Document
    from agentflow.agents.http.operations import Operation

Credentials = Mapping[str, Secret | Credential]


def schemes_of(document: Document, given: Credentials) -> dict[str, Credential]:
    """The credentials by the name of their scheme. Raises `DefinitionError` for a scheme the document has not."""
    components = document.root.get("components") or {}
    known = components.get("securitySchemes") or {}
    unknown = sorted(set(given) - set(known))
    if unknown:
        names = ", ".join(known) or "none"
        raise DefinitionError(f"credentials for {', '.join(unknown)}: the document's security schemes are {names}")
    return {
        name: one if isinstance(one, Credential) else _credential(name, one, document.resolved(known[name], what=name))
        for name, one in given.items()
    }


def _credential(name: str, secret: Any, scheme: Mapping[str, Any]) -> Credential:
    kind, way = scheme.get("type"), str(scheme.get("scheme", "")).lower()
    if kind in ("oauth2", "openIdConnect") or (kind == "http" and way == "bearer"):
        return bearer(secret)
    if kind == "apiKey":
        where, key = scheme.get("in"), str(scheme.get("name", ""))
        if where == "cookie":
            return Credential("cookie", bearer(secret).secret, key)
        return api_key(secret, **{str(where): key}) if where in ("header", "query") else _unknown(name)
    if kind == "http" and way == "basic":
        raise DefinitionError(f'security scheme {name!r} wants a user too: give basic("user", Secret.env("…"))')
    return _unknown(name)


def _unknown(name: str) -> Credential:
    raise DefinitionError(f"security scheme {name!r} is none of bearer, basic and apiKey; give bearer(…) or api_key(…)")


def let_in(document: Document, operation: Operation, held: Mapping[str, Credential]) -> tuple[Credential, ...]:
    """The credentials of the first of the operation's alternatives that are all held.

    Raises `DefinitionError` where there is none, naming what is asked for.
    """
    alternatives = operation.entry.get("security", document.root.get("security"))
    if not alternatives:
        return ()
    for one in alternatives:
        if one and all(name in held for name in one):
            return tuple(held[name] for name in one)
    if {} in alternatives:
        return ()
    wanted = " or ".join(" with ".join(one) for one in alternatives)
    raise DefinitionError(
        f"{operation.place} asks for {wanted}: give credentials={{…: Secret.env(…)}}, "
        f"or leave it out with exclude=({operation.name!r},)"
    )
