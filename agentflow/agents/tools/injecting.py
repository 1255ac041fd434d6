"""What a tool is given that no model sees and no journal keeps: the call's context, and what providers make."""

from __future__ import annotations

import inspect
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar, get_args, get_origin

from agentflow.errors import DefinitionError
from agentflow.runtime.operations.threads import in_thread
from agentflow.tasks.annotations import resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AsyncExitStack
    from types import TracebackType

C = TypeVar("C")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolContext(Generic[C]):
    """The call a tool is part of. `context` is what the agent was called with.

    `idempotency_key` is the same on every attempt and replay: give it to systems that accept one. A tool's lookup is
    given the key of the call that it is asked about, its undo one of its own. `call_id` is the model's name for the
    call, `agent` the id of the agent that made it.
    """

    run_id: str
    agent: str
    call_id: str
    tool: str
    context: C
    idempotency_key: str


@dataclass(frozen=True, slots=True, eq=False)
class Depends:
    """In `Annotated[Shop, Depends(open_shop)]`: the parameter gets what `open_shop()` gives for this call.

    A provider is sync or async, a function that returns or a generator that yields once, or a class. What a generator
    yields, and what a class that is a context manager makes, is closed when the call is over. A provider may ask for
    `ToolContext` and for other providers in the same way; each is called once a call.
    """

    provider: Callable[..., Any]

    def __post_init__(self) -> None:
        if not callable(self.provider):
            raise DefinitionError(f"Depends({self.provider!r}): wanted a function that gives the value, not the value")


@dataclass(frozen=True, slots=True, eq=False)
class Provided:
    """A provider and what it is given itself."""

    provider: Callable[..., Any]
    wants: Wants

    @property
    def is_sync(self) -> bool:
        """Whether calling it may block."""
        bare = inspect.unwrap(self.provider)
        is_made_quickly = inspect.iscoroutinefunction(bare) or inspect.isasyncgenfunction(bare)
        return not (is_made_quickly or inspect.isgeneratorfunction(bare) or isinstance(self.provider, type))


Wants = dict[str, Provided | None]
"""The parameters of a function that are injected: by name, the provider, or None for the context of the call."""


def wants_of(hints: Mapping[str, Any], *, what: str) -> Wants:
    """What a function with these annotations wants injected. Raises `DefinitionError` for an unusable provider."""
    return _wants(hints, what, ())


def hints_of(function: Callable[..., Any], *, what: str) -> dict[str, Any]:
    """The annotations of anything callable. Raises `DefinitionError` naming one that cannot be resolved."""
    if isinstance(function, partial):
        return hints_of(function.func, what=what)
    bare: Any = inspect.unwrap(function)
    if isinstance(bare, type):
        bare = vars(bare).get("__init__")
    elif not (inspect.isfunction(bare) or inspect.ismethod(bare)):
        bare = getattr(type(bare), "__call__", bare)  # noqa: B004  its annotations are wanted
    return resolve(bare, task=what, names={}) if hasattr(bare, "__annotations__") else {}


def _wants(hints: Mapping[str, Any], what: str, within: tuple[Callable[..., Any], ...]) -> Wants:
    found: Wants = {}
    for name, annotation in hints.items():
        if name == "return":
            continue
        marks = [mark for mark in _metadata(annotation) if isinstance(mark, Depends)]
        if len(marks) > 1:
            raise DefinitionError(f"{what}: parameter {name!r} has {len(marks)} providers; name one with Depends(…)")
        if marks:
            found[name] = _provided(marks[0].provider, f"{what}, parameter {name!r}", within)
        elif _is_context(annotation):
            found[name] = None
    return found


def _provided(provider: Callable[..., Any], what: str, within: tuple[Callable[..., Any], ...]) -> Provided:
    named = getattr(provider, "__qualname__", repr(provider))
    if provider in within:
        raise DefinitionError(f"{what}: provider {named} depends on itself")
    wants = _wants(hints_of(provider, what=named), f"provider {named}", (*within, provider))
    try:
        taken = inspect.signature(provider).parameters.values()
    except (TypeError, ValueError):  # written in C: what it takes shows when it is called
        return Provided(provider, wants)
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    for one in taken:
        if one.name not in wants and one.default is one.empty and one.kind not in variadic:
            raise DefinitionError(
                f"{what}: provider {named} takes {one.name!r}, which nothing gives: annotate it as ToolContext or with "
                "Depends(…), or give it a default"
            )
    return Provided(provider, wants)


def _metadata(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()


def _is_context(annotation: Any) -> bool:
    if get_origin(annotation) is Annotated:
        return _is_context(get_args(annotation)[0])
    return (get_origin(annotation) or annotation) is ToolContext


class Supply:
    """What one call is given. Each provider is called once; what it opened is closed with `stack`."""

    def __init__(self, context: ToolContext[Any], stack: AsyncExitStack) -> None:
        self._context = context
        self._stack = stack
        self._made: dict[int, Any] = {}

    async def of(self, wants: Wants, *, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The injected arguments by name, `given` ones as they are. Raises whatever a provider raises."""
        found = dict(given or {})
        for name, one in wants.items():
            if name not in found:
                found[name] = self._context if one is None else await self._given(one)
        return found

    async def _given(self, one: Provided) -> Any:
        made = id(one.provider)
        if made not in self._made:
            self._made[made] = await self._opened(one, await self.of(one.wants))
        return self._made[made]

    async def _opened(self, one: Provided, arguments: Mapping[str, Any]) -> Any:
        provider: Any = one.provider
        if inspect.isasyncgenfunction(provider):
            provider = asynccontextmanager(provider)
        elif inspect.isgeneratorfunction(provider):
            provider = contextmanager(provider)
        made = await in_thread(provider, **arguments) if one.is_sync else provider(**arguments)
        if inspect.isawaitable(made):
            made = await made
        is_own = isinstance(provider, type) or _is_declared(made)
        if is_own and hasattr(made, "__aenter__"):
            return await self._stack.enter_async_context(made)
        if is_own and hasattr(made, "__enter__"):
            return await self._stack.enter_async_context(_InThread(made))
        return made


def _is_declared(made: Any) -> bool:
    """Whether this is a context manager by descent, as those that contextlib makes of generators are.

    Anything else that a function returns may be shared by others, and is not this call's to close.
    """
    return any(one in type(made).__mro__ for one in (AbstractAsyncContextManager, AbstractContextManager))


class _InThread(AbstractAsyncContextManager[Any]):
    """A sync context manager, entered and left in threads: it may block."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def __aenter__(self) -> Any:
        return await in_thread(self._inner.__enter__)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return bool(await in_thread(self._inner.__exit__, kind, error, trace))
