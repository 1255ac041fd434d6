"""The options of a tool, as they are given and as they are kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from agentflow.agents.tools.answering import LONGEST
from agentflow.agents.tools.approving import ApprovalPolicy, policy_of
from agentflow.agents.tools.effects import ToolEffect, effect_of
from agentflow.errors import DefinitionError, InvalidSetting, ToolError
from agentflow.limits import Rate
from agentflow.retry import ONCE, Retry
from agentflow.tasks.step import Span, positive

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta

    from agentflow.agents.tools.approving import Rule
    from agentflow.tasks.breaker import Breaker
    from agentflow.tasks.undo import Undo

OnError = Literal["tell", "fail"]


class ToolOptions(TypedDict, total=False):
    """What may be said of a tool. What is left out has the defaults that `tool` names."""

    effect: ToolEffect | str
    needs_approval: bool | Rule | ApprovalPolicy
    undo: Callable[..., Any] | Undo
    lookup: Callable[..., Any]
    timeout: Span
    retry: Retry
    breaker: Breaker
    fallback: Any
    rate: Rate | str
    rate_key: str
    on_error: OnError
    answer_limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How calls of a tool are made."""

    effect: ToolEffect
    approval: ApprovalPolicy | None
    timeout: timedelta | None
    retry: Retry
    breaker: Breaker | None
    rate: Rate | None
    rate_key: str
    on_error: OnError
    answer_limit: int

    @classmethod
    def of(cls, tool: str, options: Mapping[str, Any]) -> Policy:
        """The policy that these options say. Raises `DefinitionError` or `InvalidDuration`."""
        unknown = sorted(set(options) - set(ToolOptions.__annotations__))
        if unknown:
            known = ", ".join(ToolOptions.__annotations__)
            raise DefinitionError(f"tool {tool!r} has no option {', '.join(unknown)}; there is {known}")
        rate = _rate(tool, options)
        return cls(
            effect=effect_of(tool, options),
            approval=policy_of(tool, options.get("needs_approval")),
            timeout=positive("timeout", options.get("timeout")),
            retry=_retry(tool, options.get("retry")),
            breaker=options.get("breaker"),
            rate=rate,
            rate_key=options.get("rate_key") or tool,
            on_error=_on_error(tool, options.get("on_error", "tell")),
            answer_limit=_limit(tool, options.get("answer_limit", LONGEST)),
        )


def _rate(tool: str, options: Mapping[str, Any]) -> Rate | None:
    given = options.get("rate")
    if given is None:
        if options.get("rate_key") is not None:
            raise DefinitionError(f"tool {tool!r} has rate_key= and no rate=: give one, such as rate='10/min'")
        return None
    try:
        return Rate.of(given)
    except InvalidSetting as error:
        raise DefinitionError(f"tool {tool!r}, rate=: {error}") from error


def _retry(tool: str, given: Retry | None) -> Retry:
    """The policy, by which what a tool tells the model is not tried again: the model has to write something else."""
    if given is None:
        return ONCE
    if not isinstance(given, Retry):
        raise DefinitionError(f"tool {tool!r}, retry={given!r}: wanted a Retry, such as Retry(max_attempts=3)")
    return replace(given, give_up_on=(*given.give_up_on, ToolError))


def _on_error(tool: str, given: OnError) -> OnError:
    if given not in {"tell", "fail"}:
        raise DefinitionError(f"tool {tool!r}, on_error={given!r}: wanted 'tell' (the model) or 'fail' (the run)")
    return given


def _limit(tool: str, given: int) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or given < 1:
        raise DefinitionError(f"tool {tool!r}, answer_limit={given!r}: wanted a number of characters, 1 or more")
    return given
