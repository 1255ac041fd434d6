"""A tool of an HTTP endpoint: the policy its calls have by its method, what a person is shown, and the call itself."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from agentflow.agents.http.answers import result_of
from agentflow.agents.tools.approving import ApprovalPolicy
from agentflow.agents.tools.effects import ToolEffect
from agentflow.agents.tools.tool import Tool
from agentflow.clock import SystemClock
from agentflow.egress import Egress, fetch
from agentflow.errors import (
    AnswerTooLarge,
    DefinitionError,
    EgressRefused,
    HostUnreachable,
    InvalidSetting,
    ServerUnavailable,
    ToolError,
)
from agentflow.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentflow.agents.http.endpoint import Endpoint
    from agentflow.agents.tools.approving import Rule
    from agentflow.agents.tools.injecting import ToolContext

EFFECTS: Final = {
    "GET": ToolEffect.READ,
    "HEAD": ToolEffect.READ,
    "OPTIONS": ToolEffect.READ,
    "PUT": ToolEffect.IDEMPOTENT,
    "DELETE": ToolEffect.IDEMPOTENT,
    "POST": ToolEffect.IRREVERSIBLE,
    "PATCH": ToolEffect.IRREVERSIBLE,
}
"""What a method promises (RFC 9110, 9.2); PATCH and POST promise nothing."""

_SURELY_NOT_DONE: Final = Retry(retry_on=(HostUnreachable, ServerUnavailable))
_AS_OFTEN_AS_NEEDED: Final = Retry(give_up_on=(ToolError, EgressRefused, AnswerTooLarge, InvalidSetting))


@dataclass(frozen=True, slots=True)
class HttpCall:
    """What such a tool does when it is called."""

    endpoint: Endpoint
    egress: Egress
    effect: ToolEffect

    async def __call__(self, arguments: Mapping[str, Any], context: ToolContext[Any]) -> Any:
        request = self.endpoint.request(arguments, key=context.idempotency_key)
        try:
            answer = await fetch(
                self.egress, request.method, request.url, headers=request.headers, content=request.content
            )
        except (EgressRefused, AnswerTooLarge) as error:
            raise ToolError(str(error)) from error
        is_repeatable = self.effect is not ToolEffect.IRREVERSIBLE
        return result_of(request, answer, is_repeatable=is_repeatable, now=SystemClock().now())


def tool_of(
    endpoint: Endpoint,
    name: str,
    description: str,
    schema: Mapping[str, Any],
    *,
    egress: Egress,
    effect: ToolEffect,
    options: Mapping[str, Any],
) -> Tool[..., Any]:
    """The tool that calls this endpoint. Raises `DefinitionError`."""
    given = {word: value for word, value in options.items() if value is not None}
    gate = given.pop("needs_approval", None)
    if gate is not None and gate is not False:
        given["needs_approval"] = shown_to_people(endpoint, gate)
    # Asked again only where nothing can have been done: the server was not reached, or said that it did not begin.
    given.setdefault("retry", _SURELY_NOT_DONE if effect is ToolEffect.IRREVERSIBLE else _AS_OFTEN_AS_NEEDED)
    return Tool.of_schema(
        HttpCall(endpoint, egress, effect),
        name=name,
        description=description,
        schema=schema,
        origin=f"{endpoint.method} {endpoint.url}",
        effect=effect,
        **given,
    )


def effect_of(what: str, given: ToolEffect | str | None, method: str, *, undo: object = None) -> ToolEffect:
    """The effect given, or that of the method, where nothing undoes it. Raises `DefinitionError`."""
    if method not in EFFECTS:
        raise DefinitionError(f"{what}, method={method!r}: wanted one of {', '.join(EFFECTS)}")
    if given is None:
        return EFFECTS[method] if undo is None else ToolEffect.COMPENSABLE
    try:
        return ToolEffect(given)
    except ValueError:
        known = ", ".join(repr(one.value) for one in ToolEffect)
        raise DefinitionError(f"{what}, effect={given!r}: wanted one of {known}") from None


def shown_to_people(endpoint: Endpoint, gate: bool | Rule | ApprovalPolicy) -> ApprovalPolicy:
    """The policy, asking with the method, URL and body of the very call unless it has words of its own."""
    if gate is True:
        policy = ApprovalPolicy()
    elif isinstance(gate, ApprovalPolicy):
        policy = gate
    else:
        policy = ApprovalPolicy(when=gate)  # type: ignore[arg-type]  # it says so itself if it is no rule
    open_part = replace(endpoint, headers={}, credentials=(), idempotency_header=None)

    def title(arguments: Mapping[str, Any]) -> str:
        request = open_part.request(arguments, key="")
        return f"{request.method} {request.url.partition('?')[0]}"

    def body(arguments: Mapping[str, Any]) -> str:
        request = open_part.request(arguments, key="")
        return _fenced(f"{request.method} {request.url}", _readable(request.content))

    return replace(policy, title=policy.title or title, body=policy.body or body)


def _readable(content: bytes) -> str:
    text = content.decode()
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    except ValueError:
        return text


def _fenced(line: str, content: str) -> str:
    """The request as a block of code that nothing in it can end: its lines are indented, and none is empty."""
    shown = f"{line}\n\n{content}" if content else line
    return "\n".join(f"    {part}" for part in shown.splitlines())
