"""One call of a tool as a durable step, with what undoes it and what tells what became of it."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from agentflow.agents.tools.bodies import FunctionBody, supplied
from agentflow.agents.tools.effects import ToolEffect
from agentflow.agents.tools.injecting import ToolContext, hints_of, wants_of
from agentflow.errors import DefinitionError, Fatal, ToolError
from agentflow.retry import Retry
from agentflow.runtime.operations.rates import hold_off_after
from agentflow.runtime.operations.values import operation
from agentflow.tasks.fallback import Fallback
from agentflow.tasks.step import ASK, ATTENTION, Step
from agentflow.tasks.undo import RESULT, Undo, undo_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from agentflow.agents.tools.bodies import Body
    from agentflow.agents.tools.injecting import Wants
    from agentflow.agents.tools.options import Policy

    OneCall = Callable[[Mapping[str, Any]], Awaitable[Any]]

CALL: Final = "call"
ARGUMENTS: Final = "arguments"


class ToolStep(Step[..., Any]):
    """The step that a call of a tool is. It is given `{"call": its id, "arguments": plain JSON}`, which is recorded."""

    operation = "tool"


class ToolChain(Fallback):
    """A tool and what is tried when it fails. What a tool tells the model is an answer, and no failure of the tool."""

    __slots__ = ()

    def goes_on_after(self, error: Exception) -> bool:
        """Whether the next hop is tried after this error."""
        return not isinstance(error, ToolError | Fatal)


class Call:
    """What belongs to one call and is not recorded; a tool's step is bound to it."""

    __slots__ = ("_agent", "_body", "_context", "_given", "_tool")

    def __init__(self, tool: str, body: Body, *, agent: str, context: Any, given: Mapping[str, Any]) -> None:
        self._tool = tool
        self._body = body
        self._agent = agent
        self._context = context
        self._given = given

    async def run(self, call: Mapping[str, Any]) -> Any:
        """What the tool gives."""
        return await self._body.call(call[ARGUMENTS], self._of(call), self._given)

    async def other(self, function: Callable[..., Any], wants: Wants, call: Mapping[str, Any], **more: Any) -> Any:
        """What a function gives that is called with the tool's arguments, such as its undo."""
        return await self._supplied(function, wants, call, self._of(call), more)

    async def look_up(self, function: Callable[..., Any], wants: Wants, call: Mapping[str, Any]) -> Any:
        """What the tool's lookup says. Its context has the idempotency key of the call that it is asked about."""
        own = self._of(call)
        about = replace(own, idempotency_key=own.idempotency_key.rpartition("/")[0])
        return await self._supplied(function, wants, call, about, {})

    async def _supplied(
        self,
        function: Callable[..., Any],
        wants: Wants,
        call: Mapping[str, Any],
        context: ToolContext[Any],
        more: Mapping[str, Any],
    ) -> Any:
        return await supplied(function, {**self._body.typed(call[ARGUMENTS]), **more}, wants, context)

    def _of(self, call: Mapping[str, Any]) -> ToolContext[Any]:
        return context_of(self._tool, call[CALL], self._agent, self._context)


def context_of(tool: str, call_id: str, agent: str, context: Any) -> ToolContext[Any]:
    """The context of a call of this tool, made where the call is."""
    now = operation()
    return ToolContext(
        run_id="" if now is None else now.run_id,
        agent=agent,
        call_id=call_id,
        tool=tool,
        context=context,
        idempotency_key="" if now is None else now.idempotency_key,
    )


def step_of(tool: str, body: Body, policy: Policy, options: Mapping[str, Any]) -> ToolStep:
    """The step of a tool, to be bound to each `Call`. Raises `DefinitionError`."""
    made = ToolStep(
        _running(policy.rate_key if policy.rate is not None else None),
        name=tool,
        retry=policy.retry,
        timeout=policy.timeout,
        effect=policy.effect.of_step,
        breaker=policy.breaker,
        undo=_undo(tool, body, options.get("undo")),
        lookup=_lookup(tool, body, options.get("lookup")),
        on_unknown=ASK if policy.effect is ToolEffect.IRREVERSIBLE else ATTENTION,
    )
    made.function.__annotations__["return"] = body.result
    _ = made.result  # looked up once, for all that are bound
    return made


def _running(rate_key: str | None) -> Callable[..., Any]:
    async def run(self: Call, call: Mapping[str, Any]) -> Any:
        try:
            return await self.run(call)
        except Exception as error:
            if rate_key is not None:
                await hold_off_after(rate_key, error)
            raise

    run.__annotations__.clear()
    return run


def _undo(tool: str, body: Body, given: Callable[..., Any] | Undo | None) -> Undo | None:
    """The undo of a tool's step. Raises `DefinitionError` for one that cannot take the tool's arguments."""
    if given is None:
        return None
    undo = given if isinstance(given, Undo) else Undo(given)
    wants = _checked(tool, "undo", undo.function, body)

    async def take_back(self: Call, call: Mapping[str, Any], result: Any = None) -> None:
        more = {RESULT: result} if undo.takes_result else {}
        await self.other(undo.function, wants, call, **more)

    take_back.__qualname__ = take_back.__name__ = undo.name
    return Undo(take_back, retry=undo.retry)


def _lookup(tool: str, body: Body, given: Callable[..., Any] | None) -> Step[..., Any] | None:
    """The lookup of a tool's step. Raises `DefinitionError` for one that cannot take the tool's arguments."""
    if given is None:
        return None
    if not callable(given):
        raise DefinitionError(f"tool {tool!r}, lookup={given!r}: wanted a function of the tool's arguments")
    wants = _checked(tool, "lookup", given, body)

    async def look_up(self: Call, call: Mapping[str, Any]) -> Any:
        return await self.look_up(given, wants, call)

    look_up.__qualname__ = look_up.__name__ = str(getattr(given, "__name__", "lookup"))
    if isinstance(given, Step):
        return Step(look_up, name=given.name, retry=given.retry, timeout=given.timeout)
    return Step(look_up, retry=Retry())


def _checked(tool: str, what: str, function: Callable[..., Any], body: Body) -> Wants:
    """What such a function wants injected. Raises `DefinitionError` if it does not take the arguments of the tool."""
    wants = wants_of(hints_of(function, what=f"{what} of tool {tool!r}"), what=f"{what} of tool {tool!r}")
    if not isinstance(body, FunctionBody):
        return wants
    keyword = inspect.Parameter.KEYWORD_ONLY
    names = [inspect.Parameter(name, keyword) for name in body.told.signature.parameters]
    taken = inspect.signature(function)
    left = [one for name, one in taken.parameters.items() if name not in wants]
    other = _signed(getattr(function, "__qualname__", what), inspect.Signature(left))
    try:
        undo_of(other, _signed(tool, inspect.Signature(names)))
    except DefinitionError as error:
        raise DefinitionError(f"tool {tool!r}: {str(error).replace('undo=', f'{what}=', 1)}") from error
    return wants


def _signed(name: str, signature: inspect.Signature) -> Callable[..., Any]:
    """A function that nobody calls, with this signature."""

    def stand_in(**_: Any) -> None: ...

    stand_in.__signature__ = signature  # type: ignore[attr-defined]  # inspect reads it
    stand_in.__qualname__ = stand_in.__name__ = name
    return stand_in
