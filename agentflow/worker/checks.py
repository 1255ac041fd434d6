"""Checks: whether runs that are executed here were cancelled elsewhere; and other short work beside the loops."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from agentflow.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping

    from agentflow.runtime.turn import Turn
    from agentflow.store.base import Store

    Executed = tuple[Turn, asyncio.Task[None]]

CHECK_AFTER: Final = 0.05  # seconds until a run is left that another program has cancelled


class Checks:
    """Looks whether runs are still held when something was committed. `turns` are those of the worker, by run.

    `looked` is told whenever it has been looked at all of them.
    """

    def __init__(self, store: Store, turns: Mapping[str, Executed], looked: Callable[[], None]) -> None:
        self._store = store
        self._turns = turns
        self._looked = looked
        self._underway: set[asyncio.Task[None]] = set()
        self._moved: dict[str, Executed] = {}
        self._timer: asyncio.TimerHandle | None = None

    def soon(self, work: Coroutine[Any, Any, None]) -> None:
        """Do this beside everything else."""
        begun = asyncio.create_task(work)
        self._underway.add(begun)
        begun.add_done_callback(self._underway.discard)

    def one(self, turn: Turn, task: asyncio.Task[None]) -> None:
        """Look at the run of this turn, together with those of which the same commit says something."""
        if not self._moved:
            asyncio.get_running_loop().call_soon(self._check_moved)
        self._moved[turn.run.id] = turn, task

    def all(self) -> None:
        """Look at every run, once for many commits: a busy neighbour makes hundreds a second."""
        for turn, _ in self._turns.values():
            turn.waits.look()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(CHECK_AFTER, self._check_all)

    def _check_moved(self) -> None:
        moved, self._moved = self._moved, {}
        self.soon(self._check(moved.values()))

    def _check_all(self) -> None:
        self._timer = None
        if self._turns:
            self.soon(self._check(tuple(self._turns.values())))
        self._looked()

    async def _check(self, executed: Iterable[Executed]) -> None:
        """Leave at once the runs that somebody cancelled, instead of at their next write."""
        for worker_id in {turn.lease.worker_id for turn, _ in executed}:
            with suppress(StoreError):
                held = await self._store.held(worker_id)
                for turn, task in executed:
                    if turn.lease.worker_id == worker_id and not turn.is_over:
                        _hold_against(held, turn, task)


def _hold_against(held: Mapping[str, tuple[int, bool]], turn: Turn, task: asyncio.Task[None]) -> None:
    epoch, is_to_pause = held.get(turn.run.id, (0, False))
    if epoch != turn.lease.epoch:
        turn.give_up()
        task.cancel()
    elif is_to_pause:
        turn.is_stopping = True
