"""`map`: one function for many items side by side, so many at a time."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterable, Iterable
from typing import TYPE_CHECKING, Any, cast, overload

from agentflow.errors import DefinitionError, UnsupportedAwait
from agentflow.runtime.callers import InRun
from agentflow.runtime.chains import hop_work
from agentflow.runtime.operations.performing import perform
from agentflow.runtime.parallel.branching import side_by_side
from agentflow.tasks.calling import DURABLE, awaited, checkpoint, current_caller, durable
from agentflow.tasks.fallback import Hop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from typing import TypeVar

    from agentflow.runtime.parallel.completion import Branches, Completion

    A = TypeVar("A")
    R = TypeVar("R")


@overload
def map(  # noqa: A001  the word everybody knows for it
    fn: Callable[[A], Awaitable[R]], items: Iterable[A], *, concurrency: int | None = None
) -> Coroutine[None, None, list[R]]: ...
@overload
def map(  # noqa: A001  the word everybody knows for it
    fn: Callable[[A], Awaitable[R]], items: Iterable[A], *, concurrency: int | None = None, until: Completion
) -> Coroutine[None, None, Branches[R]]: ...
@overload
def map(  # noqa: A001  the word everybody knows for it
    fn: Hop, items: Iterable[Any], *, concurrency: int | None = None, until: Completion | None = None
) -> Coroutine[None, None, Any]: ...
@durable
def map(  # noqa: A001  the word everybody knows for it
    fn: Any, items: Iterable[Any], *, concurrency: int | None = None, until: Completion | None = None
) -> Any:
    """The values of `fn(item)` for each of the items, in their order.

    `fn` is a step, a task, an async function, a fallback chain or a hop. Inside a run each call is a branch with its
    own order of operations. `items` is gone through once, before the first call. At most `concurrency` branches are at
    work at a time, one that waits for a person or a timer included; they are begun in order. `until` and errors are as
    in `gather`. Raises `DefinitionError` for what cannot be mapped; nothing was started then.
    """
    return _map(fn, items, concurrency, until)


@durable
async def _map(fn: Any, items: Any, concurrency: int | None, until: Completion | None) -> Any:
    if not callable(fn) and not isinstance(fn, Hop):
        raise DefinitionError(f"map({fn!r}, …): wanted a step, a task or an async function")
    if concurrency is not None and (
        isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1
    ):
        raise DefinitionError(f"map(concurrency={concurrency!r}): wanted a whole number from 1, or None for no limit")
    taken = _taken(items)
    results = await side_by_side(
        "map", len(taken), lambda number: _call(fn, taken[number]), until=until, limit=concurrency
    )
    return list(results.values) if until is None else results


def _taken(items: Any) -> list[Any]:
    if isinstance(items, AsyncIterable):
        raise DefinitionError("map was given an asynchronous iterable; collect its items in a step and map that")
    if not isinstance(items, Iterable):
        raise DefinitionError(f"map was given {type(items).__qualname__}, which is no iterable of items")
    return list(items)


async def _call(fn: Any, item: Any) -> Any:
    """Await `fn(item)` as the code of a task would."""
    if isinstance(fn, Hop):
        return await _hop(fn, item)
    bare = _bare(fn)
    if getattr(bare, DURABLE, False):
        return await fn(item)
    if inspect.iscoroutinefunction(inspect.unwrap(bare)) or inspect.iscoroutinefunction(type(bare).__call__):
        return await checkpoint(_name_of(bare), fn, item)
    value = fn(item)  # of a lambda, say: what it gives is what is recorded, under its own name
    if not inspect.isawaitable(value):
        raise UnsupportedAwait(f"map: {_name_of(bare)} gave {type(value).__qualname__}, which cannot be awaited")
    return await awaited(_name_of(value), value)


async def _hop(hop: Hop, item: Any) -> Any:
    caller = current_caller.get()
    if not isinstance(caller, InRun):
        return await hop.run(item)
    return await perform(caller.scope, hop_work(caller.scope, hop, (item,), {}))


def _bare(fn: Any) -> Any:
    """The function that a partial calls."""
    return _bare(fn.func) if isinstance(fn, functools.partial) else fn


def _name_of(one: Any) -> str:
    return cast("str", getattr(one, "__qualname__", type(one).__qualname__)).rpartition("<locals>.")[2]
