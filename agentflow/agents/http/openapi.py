"""Tools of an OpenAPI document: one for each operation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from agentflow.agents.http.declared import IDEMPOTENCY, header_for_keys, own_host
from agentflow.agents.http.document import Document
from agentflow.agents.http.endpoint import Endpoint
from agentflow.agents.http.making import effect_of, tool_of
from agentflow.agents.http.naming import distinct
from agentflow.agents.http.operations import Operation, operations_of, server_of, taken_by
from agentflow.agents.http.security import Credentials, let_in, schemes_of
from agentflow.agents.tools.effects import ToolEffect
from agentflow.errors import DefinitionError, EgressRefused

if TYPE_CHECKING:
    from pathlib import Path

    from agentflow.agents.tools.approving import ApprovalPolicy, Rule
    from agentflow.agents.tools.tool import Tool
    from agentflow.egress import Egress

_LONGEST_DESCRIPTION: Final = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wishes:
    """What the caller of `openapi_tools` says of all operations, or of some by name."""

    document: Document
    server: str | None
    needs_approval: Any
    effects: Mapping[str, ToolEffect | str]
    credentials: Mapping[str, Any]
    idempotency_header: str | None
    egress: Egress | None
    options: Mapping[str, Any]


def openapi_tools(
    document: Mapping[str, Any] | str | Path,
    *,
    server: str | None = None,
    include: Sequence[str] = ("*",),
    exclude: Sequence[str] = (),
    prefix: str = "",
    needs_approval: bool | Rule | ApprovalPolicy | Mapping[str, bool | Rule | ApprovalPolicy] = False,
    effects: Mapping[str, ToolEffect | str] | None = None,
    credentials: Credentials | None = None,
    idempotency_header: str | None = IDEMPOTENCY,
    egress: Egress | None = None,
    **options: Any,
) -> list[Tool[..., Any]]:
    """Tools for the operations of an OpenAPI document (3.0 or 3.1), an object or the path of a JSON file.

    `include` and `exclude` are operation ids, `*` in them standing for anything. The effect of an operation is that of
    its method, unless `effects` names another by its id. `needs_approval` holds for every operation that is not `read`,
    or, as a mapping, for the operations it names. `credentials` are secrets by the name of their security scheme.
    Calls go to `server`, or the one the document names, and without `egress` to no other host. `options` are those of
    a tool, for all of them. Raises `DefinitionError` for an operation that cannot be called from here, saying why.
    """
    read = Document.of(document)
    chosen = _chosen(list(operations_of(read)), include, exclude)
    _require_known("effects", effects or {}, chosen)
    _require_known("needs_approval", needs_approval if isinstance(needs_approval, Mapping) else {}, chosen)
    if "effect" in options or "undo" in options:
        raise DefinitionError("openapi_tools: effect= and undo= are not one for all; see effects={operation id: …}")
    wishes = _Wishes(
        document=read,
        server=server,
        needs_approval=needs_approval,
        effects=effects or {},
        credentials=schemes_of(read, credentials or {}),
        idempotency_header=idempotency_header,
        egress=egress,
        options=options,
    )
    names = distinct([(f"{prefix}{one.name}", f"{one.method} {one.path}") for one in chosen])
    return [_tool(one, name, wishes) for one, name in zip(chosen, names, strict=True)]


def _tool(operation: Operation, name: str, wishes: _Wishes) -> Tool[..., Any]:
    server = wishes.server or server_of(wishes.document, operation)
    taken = taken_by(wishes.document, operation)
    effect = effect_of(operation.place, wishes.effects.get(operation.name), operation.method)
    endpoint = Endpoint(
        method=operation.method,
        url=server.rstrip("/") + operation.path,
        places=taken.places,
        media_type=taken.media_type,
        credentials=let_in(wishes.document, operation, wishes.credentials),
        idempotency_header=header_for_keys(wishes.idempotency_header, effect),
    )
    return tool_of(
        endpoint,
        name,
        operation.description[:_LONGEST_DESCRIPTION],
        taken.schema,
        egress=_policy(operation, server, wishes.egress),
        effect=effect,
        options={**wishes.options, "needs_approval": _gate(operation, effect, wishes.needs_approval)},
    )


def _policy(operation: Operation, server: str, egress: Egress | None) -> Egress:
    if not server.startswith(("https://", "http://")):
        raise DefinitionError(f'server={server!r}: wanted a whole address, "https://api.example.com/v1"')
    if egress is None:
        return own_host(operation.place, server)
    try:
        egress.check(server)
    except EgressRefused as refused:
        raise DefinitionError(f"{operation.place}: egress= does not let it call {server!r}: {refused}") from refused
    return egress


def _gate(operation: Operation, effect: ToolEffect, needs_approval: Any) -> Any:
    if isinstance(needs_approval, Mapping):
        return needs_approval.get(operation.name)
    return None if effect is ToolEffect.READ else needs_approval


def _chosen(everything: Sequence[Operation], include: Sequence[str], exclude: Sequence[str]) -> list[Operation]:
    """The operations asked for. Raises `DefinitionError` for a name that stands for none."""
    for what, patterns in (("include", include), ("exclude", exclude)):
        if isinstance(patterns, str):
            raise DefinitionError(f"{what}={patterns!r}: wanted a sequence of operation ids")
        for pattern in patterns:
            if not any(fnmatchcase(one.name, pattern) for one in everything):
                raise DefinitionError(f"{what}: the document has no operation {pattern!r}; {_known(everything)}")
    return [
        one
        for one in everything
        if any(fnmatchcase(one.name, pattern) for pattern in include)
        and not any(fnmatchcase(one.name, pattern) for pattern in exclude)
    ]


def _require_known(what: str, named: Mapping[str, Any], chosen: Sequence[Operation]) -> None:
    unknown = sorted(set(named) - {one.name for one in chosen})
    if unknown:
        raise DefinitionError(f"{what}: no operation {', '.join(unknown)} is made a tool; {_known(chosen)}")


def _known(operations: Sequence[Operation]) -> str:
    shown = ", ".join(one.name for one in operations[:20])
    return f"there is {shown or 'none'}{', …' if len(operations) > 20 else ''}"  # noqa: PLR2004  a line's worth
