"""Checks: whether a run that is executed here was cancelled elsewhere; and other short work beside the loops."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from agentflow.errors import StoreError
from agentflow.states import RunStatus

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from agentflow.runtime.turn import Turn
    from agentflow.store.base import Store

CHECK_AFTER: Final = 0.05  # seconds until a run is left that another program has cancelled


class Checks:
    """Looks at runs in the store when something was committed about them. `turns` are those of the worker, by run."""

    def __init__(self, store: Store, turns: Mapping[str, tuple[Turn, asyncio.Task[None]]]) -> None:
        self._store = store
        self._turns = turns
        self._underway: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def soon(self, work: Coroutine[Any, Any, None]) -> None:
        """Do this beside everything else."""
        begun = asyncio.create_task(work)
        self._underway.add(begun)
        begun.add_done_callback(self._underway.discard)

    def one(self, turn: Turn, task: asyncio.Task[None]) -> None:
        """Look at the run of this turn."""
        self.soon(self._check(turn, task))

    def all(self) -> None:
        """Look at every run, once for many commits: a busy neighbour makes hundreds a second."""
        for turn, _ in self._turns.values():
            turn.waits.look()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(CHECK_AFTER, self._check_all)

    def _check_all(self) -> None:
        self._timer = None
        for turn, task in self._turns.values():
            self.one(turn, task)

    async def _check(self, turn: Turn, task: asyncio.Task[None]) -> None:
        """Leave a run at once when somebody cancelled it, instead of at its next write."""
        with suppress(StoreError):
            run = await self._store.run(turn.run.id)
            if (run.epoch, run.status) != (turn.lease.epoch, RunStatus.RUNNING) and not turn.is_over:
                turn.give_up()
                task.cancel()
            elif run.pause is not None:
                turn.is_stopping = True
