"""What a tool does when it is called: a typed function of the program, or a call that takes plain JSON."""

from __future__ import annotations

import inspect
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from agentflow.agents.tools.checking import refused, unfitting
from agentflow.agents.tools.injecting import Supply
from agentflow.errors import InvalidInput
from agentflow.payloads import to_json
from agentflow.runtime.operations.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from agentflow.agents.tools.injecting import ToolContext, Wants
    from agentflow.agents.tools.signatures import Told

    PlainCall = Callable[[Mapping[str, Any], ToolContext[Any]], Awaitable[Any]]


class Body(Protocol):
    """What is behind a tool."""

    @property
    def origin(self) -> str:
        """Where it comes from, in words that errors use."""
        ...

    @property
    def result(self) -> Any:
        """The annotation of what it gives."""
        ...

    def typed(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Plain JSON arguments as the values it gets. Raises `ArgumentsRefused`."""
        ...

    def bound(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """What a caller in Python gives, as plain JSON by name, and what of it is not to be recorded."""
        ...

    async def run(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], context: ToolContext[Any]) -> Any:
        """What it gives to a caller in Python, outside of any run."""
        ...

    async def call(
        self, arguments: Mapping[str, Any], context: ToolContext[Any], given: Mapping[str, Any] | None = None
    ) -> Any:
        """What it gives for these plain JSON arguments; `given` are injected ones that need not be made."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class FunctionBody:
    """A typed function; what it wants injected is made for each call and closed after it."""

    told: Told
    function: Callable[..., Any]

    @property
    def origin(self) -> str:
        named = getattr(self.function, "__qualname__", repr(self.function))
        return f"{getattr(self.function, '__module__', '?')}.{named}"

    @property
    def result(self) -> Any:
        return self.told.signature.result

    def typed(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            return self.told.signature.validate_members(arguments)
        except InvalidInput as error:
            raise refused(self.told.name, (unfitting(one, arguments) for one in error.errors)) from None

    def bound(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        found = inspect.signature(self.function).bind_partial(*args, **kwargs).arguments
        given = {name: found.pop(name) for name in self.told.wants if name in found}
        checked = self.told.signature.validate((), found)
        return {name: to_json(value) for name, value in checked.items()}, given

    async def run(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], context: ToolContext[Any]) -> Any:
        found = inspect.signature(self.function).bind_partial(*args, **kwargs).arguments
        left = {name: one for name, one in self.told.wants.items() if name not in found}
        return await supplied(self.function, found, left, context)

    async def call(
        self, arguments: Mapping[str, Any], context: ToolContext[Any], given: Mapping[str, Any] | None = None
    ) -> Any:
        return await supplied(self.function, self.typed(arguments), self.told.wants, context, given=given)


@dataclass(frozen=True, slots=True, eq=False)
class PlainBody:
    """A call that takes its arguments as the model wrote them, checked by the schema and by nothing else."""

    origin: str
    function: PlainCall
    result: Any = Any

    def typed(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        return arguments

    def bound(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        if args:
            raise TypeError(f"{self.origin} takes its arguments by name")
        return {name: to_json(value) for name, value in kwargs.items()}, {}

    async def run(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], context: ToolContext[Any]) -> Any:
        arguments, _ = self.bound(args, kwargs)
        return await self.function(arguments, context)

    async def call(
        self, arguments: Mapping[str, Any], context: ToolContext[Any], given: Mapping[str, Any] | None = None
    ) -> Any:
        del given
        return await self.function(arguments, context)


async def supplied(
    function: Callable[..., Any],
    arguments: Mapping[str, Any],
    wants: Wants,
    context: ToolContext[Any],
    *,
    given: Mapping[str, Any] | None = None,
) -> Any:
    """What a function gives, called with its arguments and what it wants injected; a sync one in a thread."""
    failure: BaseException | None = None
    async with AsyncExitStack() as stack:
        try:
            injected = await Supply(context, stack).of(wants, given=given)
            return await called(function, {**arguments, **injected})
        except BaseException as error:
            failure = error
            raise
    assert failure is not None
    raise failure  # a provider's context manager has swallowed it: there is no result all the same


async def called(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """What a function gives, sync or async, called with arguments by name."""
    if inspect.iscoroutinefunction(inspect.unwrap(function)):
        return await function(**arguments)
    result = await in_thread(function, **arguments)
    return await result if inspect.isawaitable(result) else result
