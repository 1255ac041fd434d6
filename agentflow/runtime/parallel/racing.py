"""Numbered branches side by side on one event loop, until a rule is decided; then the rest is stopped."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from agentflow.runtime.parallel.completion import Branches, BranchResult

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from agentflow.runtime.parallel.completion import Terms

    Begin = Callable[[int], Awaitable[Any]]


class Race:
    """Branches that are begun in order, so many at a time. Nothing of them is recorded."""

    def __init__(self, numbers: Sequence[int], begin: Begin, terms: Terms, *, limit: int | None = None) -> None:
        self._numbers = numbers
        self._begin = begin
        self._terms = terms
        self._room = len(numbers) if limit is None else limit
        self._ended: dict[int, BranchResult[Any]] = {}
        self._failed = 0
        self._started: set[int] = set()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._decided: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._left_by: BaseException | None = None
        self._is_stopping = False

    async def run(self, count: int) -> Branches[Any]:
        """What became of each of `count` branches. Raises what ends the code around too: a cancel, a turn's end."""
        try:
            if self._numbers:
                self._start()
                await self._decided
            if self._left_by is not None:
                await self._let_go()
                raise self._left_by
        finally:
            await self._stop()
        return Branches(self._result(number) for number in range(count))

    def _start(self) -> None:
        """Begin as many as there is room for."""
        while len(self._started) < len(self._numbers) and len(self._started) - len(self._ended) < self._room:
            number = self._numbers[len(self._started)]
            self._started.add(number)
            self._open(number)
            task = self._tasks[number] = asyncio.create_task(self._branch(number))
            task.add_done_callback(partial(self._done, number))

    def _open(self, number: int) -> None:
        """A branch is about to begin."""

    async def _branch(self, number: int) -> None:
        try:
            value = await self._begin(number)
        except Exception as error:  # noqa: BLE001  a failed branch is a result, for the rule to judge
            self._take(BranchResult(index=number, status="failed", error=error))
        else:
            self._take(BranchResult(index=number, status="succeeded", value=value))

    def _take(self, result: BranchResult[Any]) -> None:
        """A branch has ended: that decides the rule, or makes room for another. Whatever ends later was stopped."""
        if self._is_stopping:
            return
        self._ended[result.index] = result
        self._failed += result.error is not None
        if self._decided.done():
            return
        if self._terms.is_decided(len(self._ended) - self._failed, self._failed):
            self._decide()
        else:
            self._start()

    def _decide(self) -> None:
        self._decided.set_result(None)

    def _done(self, number: int, task: asyncio.Task[None]) -> None:
        del self._tasks[number]
        left_by = asyncio.CancelledError() if task.cancelled() else task.exception()
        if left_by is not None and not self._decided.done():
            self._left_by = left_by
            self._decide()

    async def _let_go(self) -> None:
        """A branch has left the code around; the others are about to be stopped."""

    async def _stop(self) -> None:
        """Cancel what is still at work, and see each to its end: nothing that was begun goes on behind anybody."""
        self._is_stopping = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _result(self, number: int) -> BranchResult[Any]:
        if number in self._ended:
            return self._ended[number]
        return BranchResult(index=number, status="cancelled" if number in self._started else "not_started")
