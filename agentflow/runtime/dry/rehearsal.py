"""A turn in which nothing happens: the code runs against its journal, and rests where something would really be done.

No function runs that is not recorded, nothing is written, no clock is waited for. A branch that comes to its first
unrecorded operation waits there for ever; when every branch waits, the turn ends as one that is parked.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from agentflow.payloads import record
from agentflow.runtime.parallel.branches import Waiting
from agentflow.runtime.scope import SCOPES
from agentflow.tasks.calling import current_caller

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable

    from agentflow.runtime.index import Recorded
    from agentflow.runtime.operations.performing import Work
    from agentflow.runtime.parallel.racing import Begin
    from agentflow.runtime.scope import Scope
    from agentflow.runtime.turn import Turn

    T = TypeVar("T")

UNDECORATED: Final = frozenset({"await", "hop"})
"""Operations whose code is not a task's: what it does between its recorded operations is not recorded."""


class Asked(NamedTuple):
    """An operation the code asks for, and what the journal holds of it."""

    key: str
    operation: str
    recorded: Recorded | None


def rehearsed(scope: Scope, operation: Coroutine[Any, Any, T]) -> Coroutine[Any, Any, T]:
    """The operation of a scope, as it is in a real turn; a rehearsal does not follow every code past it."""
    rehearsal = scope.turn.rehearsal
    return operation if rehearsal is None else rehearsal.followed(scope, operation)


class Rehearsal:
    """What becomes of the operations of a turn that only looks at its code."""

    def __init__(self, turn: Turn, watch: Callable[[Asked], None] | None) -> None:
        self._turn = turn
        self._watch = watch
        self._operations: dict[str, str] = {}
        self._last: dict[str, str] = {}

    def asked(self, scope: Scope, key: str, operation: str, recorded: Recorded | None) -> None:
        """The code of this scope has come to an operation."""
        self._operations[key] = operation
        self._last[scope.path] = key
        if self._watch is not None:
            self._watch(Asked(key, operation, recorded))

    async def go_into(self, scope: Scope, key: str, work: Work) -> Any:
        """What comes of an operation that is begun, replayed as far as it is recorded; one that is not is rested at."""
        if work.is_leaf or work.operation not in SCOPES or not self._turn.index.order.get(key):
            await self.rest(scope, key)
        attempt = 1 + len(self._turn.index.by_key[key].failures)
        try:
            _, seen = record(await work.call(key, attempt), work.result, of=work.name)
        except Exception as error:
            if work.retry.delay_after(attempt, error, chance=0.0) is not None:
                await self.rest(scope, key)
            self._turn.raised(error, self._turn.key_of(error) or key)
            raise
        return seen

    async def pass_by(self, work: Work, recorded: Recorded) -> None:
        """The code has come to an operation whose end is recorded, which is what it is going to get."""

    async def pass_branches(self, scope: Scope, key: str, numbers: Iterable[int], begin: Begin) -> None:
        """The same, for branches of a `gather` or `map` that is over."""

    async def rest_here(self) -> None:
        """Rest at the operation the present code asked for last: it is about to do what cannot be rehearsed."""
        caller: Any = current_caller.get()
        scope: Scope = caller.scope
        await self.rest(scope, self._last.get(scope.path) or scope.path)

    async def followed(self, scope: Scope, operation: Awaitable[T]) -> T:
        """What an operation gives or raises; rests instead where that would set free what nothing is recorded of."""
        try:
            given = await operation
        except Exception:
            await self._follow(scope)
            raise
        await self._follow(scope)
        return given

    async def _follow(self, scope: Scope) -> None:
        """Rest at the end of what is recorded in an awaited function: its own code from there on may do anything."""
        for one in scope.outward():
            operation = self._operations.get(one.path)
            if one.is_replaying or operation == "task":
                return
            if operation in UNDECORATED:
                await self.rest(scope, one.path)

    async def rest(self, scope: Scope, key: str) -> None:
        """Wait for ever; leaves the turn when every branch does."""
        waiting = Waiting(key, asyncio.get_running_loop().create_future())
        await self._turn.waits.wait_out(scope.branch, waiting)
