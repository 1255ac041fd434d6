"""`gather`: branches side by side, each a scope of its own."""

from __future__ import annotations

import asyncio
import inspect
import json
from typing import TYPE_CHECKING, Any, Literal, cast, overload

from agentflow.errors import UnsupportedAwait
from agentflow.failures import Failure
from agentflow.requests import NewEntry
from agentflow.runtime.asyncio_calls import replace
from agentflow.runtime.branches import Branch
from agentflow.runtime.callers import InRun
from agentflow.runtime.leaf import InStep
from agentflow.runtime.scope import Scope
from agentflow.states import EntryKind
from agentflow.tasks.calling import current_caller, durable, is_durable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine
    from typing import TypeVar

    from agentflow.tasks.calling import Caller

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
@durable
def gather(*awaitables: Awaitable[Any], return_exceptions: bool = False) -> Any:
    """The results, in the order given, of awaitables that run side by side.

    Inside a run each is a branch with its own order of operations, and the run is parked when all that are left wait.
    The first error withdraws what the other branches wait for, cancels them and is raised; with
    `return_exceptions=True` errors are results. Outside a run it is `asyncio.gather`.
    """
    return _gather(awaitables, return_exceptions)


@durable
async def _gather(awaitables: tuple[Awaitable[Any], ...], return_exceptions: bool) -> tuple[Any, ...]:
    caller = current_caller.get()
    if caller is None or isinstance(caller, InStep):
        return tuple(await asyncio.gather(*awaitables, return_exceptions=return_exceptions))
    scope = cast("InRun", caller).scope
    try:
        key, recorded = scope.ask("gather", "gather")
    except BaseException:
        discard(awaitables)
        raise
    if recorded is not None and recorded.final is not None:
        discard(awaitables)
        error = Failure.from_json(recorded.final.error or "").to_exception()
        scope.turn.raised(error, recorded.failed_in)
        raise error
    scope.busy += 1
    try:
        return await _Gathering(scope, key, return_exceptions).run(awaitables)
    finally:
        scope.busy -= 1


class _Gathering:
    """The branches of one `gather` in a turn."""

    def __init__(self, scope: Scope, key: str, return_exceptions: bool) -> None:
        self._scope = scope
        self._turn = scope.turn
        self._key = key
        self._return_exceptions = return_exceptions

    async def run(self, awaitables: tuple[Awaitable[Any], ...]) -> tuple[Any, ...]:
        branches = [Branch() for _ in awaitables]
        self._scope.branch.children.update(branches)
        tasks = [
            asyncio.create_task(self._branch(index, branch, one))
            for index, (branch, one) in enumerate(zip(branches, awaitables, strict=True))
        ]
        try:
            if tasks:
                when = asyncio.ALL_COMPLETED if self._return_exceptions else asyncio.FIRST_EXCEPTION
                await asyncio.wait(tasks, return_when=when)
                if self._turn.is_handing_back:
                    await asyncio.wait(tasks)
            return await self._results(tasks)
        finally:
            await self._stop(tasks, awaitables)
            self._scope.branch.children.difference_update(branches)

    async def _branch(self, index: int, branch: Branch, one: Awaitable[Any]) -> Any:
        inner = Scope(self._turn, f"{self._key}[{index}]", branch)
        inner.enter()
        current_caller.set(cast("Caller", InRun(inner)))
        try:
            result = await _as_operation(InRun(inner), one)
            inner.leave()
        except Exception as error:
            if not self._return_exceptions:
                raise
            result = error
        self._scope.branch.children.discard(branch)
        if self._scope.branch.children:
            await self._turn.waits.finished_branch()
        return result

    async def _results(self, tasks: list[asyncio.Task[Any]]) -> tuple[Any, ...]:
        for task in tasks:
            error = task.exception() if task.done() and not task.cancelled() else None
            if error is not None and not isinstance(error, Exception):
                raise error  # the turn is over, or has diverged: every branch unwinds
        for task in tasks:
            error = task.exception() if task.done() and not task.cancelled() else None
            if isinstance(error, Exception):
                await self._record_failure(tasks, error)
                raise error
        return tuple(task.result() for task in tasks)

    async def _record_failure(self, tasks: list[asyncio.Task[Any]], error: Exception) -> None:
        """Stop the other branches and record which error ended them, so that a replay raises the same one."""
        await self._stop(tasks, ())
        self._scope.branch.children.clear()
        inner = self._turn.key_of(error) or self._key
        self._turn.raised(error, inner)
        entry = NewEntry(EntryKind.FAILED, self._key, "gather", error=Failure.of(error).to_json())
        entry.detail = json.dumps({"retry": inner})
        await self._turn.settle(entry, self._key)

    @staticmethod
    async def _stop(tasks: list[asyncio.Task[Any]], awaitables: tuple[Awaitable[Any], ...]) -> None:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled():
                task.exception()
        discard(awaitables)


async def _as_operation(caller: InRun, one: Awaitable[Any]) -> Any:
    if is_durable(one):
        return await one
    if isinstance(one, asyncio.Future):
        raise UnsupportedAwait(
            "gather was given an asyncio task or future, which runs by itself; give it the coroutine"
        )
    name = getattr(one, "__qualname__", type(one).__qualname__).rpartition("<locals>.")[2]
    return await caller.awaited(name, one)


def discard(awaitables: tuple[Awaitable[Any], ...]) -> None:
    """Close the coroutines that are not going to run, so that nobody is warned about them."""
    for one in awaitables:
        if inspect.iscoroutine(one):
            one.close()


replace(asyncio.gather, gather)
