"""`gather`: what it is given side by side, each a branch of the run."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, Literal, overload

from agentflow.errors import DefinitionError, UnsupportedAwait
from agentflow.runtime.asyncio_calls import replace
from agentflow.runtime.operations.leaf import InStep
from agentflow.runtime.parallel.branching import side_by_side
from agentflow.tasks.calling import awaited, current_caller, durable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine
    from typing import TypeVar

    from agentflow.runtime.parallel.completion import Branches, Completion

    A = TypeVar("A")
    B = TypeVar("B")
    C = TypeVar("C")
    T = TypeVar("T")


@overload
def gather(
    first: Awaitable[A], second: Awaitable[B], /, *, return_exceptions: Literal[False] = False
) -> Coroutine[None, None, tuple[A, B]]: ...
@overload
def gather(
    first: Awaitable[A], second: Awaitable[B], third: Awaitable[C], /, *, return_exceptions: Literal[False] = False
) -> Coroutine[None, None, tuple[A, B, C]]: ...
@overload
def gather(
    *awaitables: Awaitable[T], return_exceptions: Literal[False] = False
) -> Coroutine[None, None, tuple[T, ...]]: ...
@overload
def gather(
    *awaitables: Awaitable[T], return_exceptions: bool
) -> Coroutine[None, None, tuple[T | BaseException, ...]]: ...
@overload
def gather(*awaitables: Awaitable[T], until: Completion) -> Coroutine[None, None, Branches[T]]: ...
@durable
def gather(*awaitables: Awaitable[Any], until: Completion | None = None, return_exceptions: bool = False) -> Any:
    """The results, in the order given, of awaitables that run side by side.

    Inside a run each is a branch with its own order of operations, and the run is parked when all that are left wait.
    The first error stops the other branches, withdraws what they wait for and is raised; with `return_exceptions=True`
    errors are results. `until` says when they have done enough and stops the rest then: `Branches` tell what became of
    each. Raises `CompletionFailed` when `until` cannot be met any more, and `DefinitionError` for one that never could:
    nothing was started then. Outside a run and without `until` it is `asyncio.gather`.
    """
    return _gather(awaitables, until, return_exceptions)


@durable
async def _gather(awaitables: tuple[Awaitable[Any], ...], until: Completion | None, return_exceptions: bool) -> Any:
    try:
        return await _results(awaitables, until, return_exceptions)
    finally:
        _discard(awaitables)


async def _results(awaitables: tuple[Awaitable[Any], ...], until: Completion | None, return_exceptions: bool) -> Any:
    if until is not None and return_exceptions:
        raise DefinitionError("gather(until=…, return_exceptions=True): with until= each branch tells its error itself")
    if until is None and _is_outside():
        return tuple(await asyncio.gather(*awaitables, return_exceptions=return_exceptions))
    results = await side_by_side(
        "gather",
        len(awaitables),
        lambda number: _branch(awaitables[number]),
        until=until,
        keep_errors=return_exceptions,
    )
    if until is not None:
        return results
    return tuple(one.value if one.error is None else one.error for one in results)


def _is_outside() -> bool:
    caller = current_caller.get()
    return caller is None or isinstance(caller, InStep)


async def _branch(one: Awaitable[Any]) -> Any:
    if isinstance(one, asyncio.Future) and not _is_outside():
        raise UnsupportedAwait(
            "gather was given an asyncio task or future, which runs by itself; give it the coroutine"
        )
    name = getattr(one, "__qualname__", type(one).__qualname__).rpartition("<locals>.")[2]
    return await awaited(name, one)


def _discard(awaitables: tuple[Awaitable[Any], ...]) -> None:
    """Close the coroutines that are not going to run, so that nobody is warned about them."""
    for one in awaitables:
        if inspect.iscoroutine(one):
            one.close()


replace(asyncio.gather, gather)
