"""A worker as tests want it: it can replay at every operation, does not wait out short pauses, and can die."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from agentflow.runtime.operations.bounds import SHORT
from agentflow.worker import Worker

if TYPE_CHECKING:
    from datetime import datetime

    from agentflow.settings import WorkerSettings
    from agentflow.store.base import Claimed, Store
    from agentflow.tasks.catalog import Catalog
    from agentflow.testing.clock import FakeClock


class Naps:
    """The clock of a turn: what is too short to park a run passes by itself, everything else when the test says so."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        return self._clock.now()

    async def sleep(self, span: timedelta) -> None:
        if timedelta(0) < span <= SHORT:
            self._clock.advance(span)
        else:
            await self._clock.sleep(span)


def with_every_label(settings: WorkerSettings, catalog: Catalog) -> WorkerSettings:
    """The settings, where they name no label with all that the tasks need: what a test runs, it means to run."""
    needed = {label for lacks in catalog.lacks().values() for label in lacks}
    return settings if settings.labels or not needed else replace(settings, labels=tuple(needed))


class TestWorker(Worker):
    """Executes runs for a `Harness`."""

    __test__ = False  # pytest takes it for tests by its name

    def __init__(
        self, store: Store, catalog: Catalog, settings: WorkerSettings, clock: FakeClock, *, replay_always: bool
    ) -> None:
        super().__init__(store, catalog, settings, clock)
        self._naps = Naps(clock)
        self._replay_always = replay_always

    def _begin(self, claimed: Claimed) -> None:
        super()._begin(claimed)
        turn, _ = self._turns[claimed.run.id]
        turn.clock = self._naps
        turn.is_stopping = self._replay_always  # as if the worker were asked to stop: back at the next checkpoint

    async def die(self) -> None:
        """Leave everything as a killed process does: nothing is handed back, the lease is not returned."""
        self._stopping = True
        left = [*self._loops, *self._matching.drop()]
        for turn, task in list(self._turns.values()):
            turn.give_up()
            left.append(task)
        for each in left:
            each.cancel()
        if left:
            await asyncio.wait(left)
        self._put_down()
