"""Upkeep: what keeps promises when other workers die, and raises the alarm where nothing would move a run on."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from agentflow.errors import StoreError, StoreUnavailable
from agentflow.worker.retention import Retention, retention

if TYPE_CHECKING:
    from agentflow.clock import Clock
    from agentflow.settings import WorkerSettings
    from agentflow.store.base import Store

logger = logging.getLogger("agentflow.worker")
SWEEP_LIMIT: Final = 100
STUCK_LIMIT: Final = 20
LOOK_EVERY: Final = 6
"""Rounds of upkeep from one look for stuck runs to the next: it reads every run that waits."""
PRUNE_FROM: Final = 6
"""The round from which what is too old is removed: a worker that has just come up has better things to do."""


class Upkeep:
    """Recovers lost runs, times out what is overdue and looks for stuck runs, round after round."""

    def __init__(self, store: Store, clock: Clock, settings: WorkerSettings) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._retention = Retention(store, retention())
        self._known: set[str] = set()

    async def go_on(self) -> None:
        """Do a round three times in the span of a lease, for ever. Before the first it looks for stuck runs only."""
        rounds = 0
        while True:
            try:
                if rounds:
                    await self.recover()
                if rounds >= PRUNE_FROM:
                    await self._retention.round()
                if rounds % LOOK_EVERY == 0:
                    await self.raise_alarm()
            except Exception as error:  # noqa: BLE001  a worker that ends silently is worse than one that repeats itself
                complain("lost runs could not be looked for", error)
            rounds += 1
            await self._clock.sleep(self._settings.lease_for / 3)

    async def recover(self) -> None:
        """Recover the runs of lost workers and time out what is overdue."""
        while True:
            recovered = await self._store.sweep(limit=SWEEP_LIMIT, max_recoveries=self._settings.max_recoveries)
            expired = await self._store.expire(limit=SWEEP_LIMIT)
            if max(recovered, expired) < SWEEP_LIMIT:
                return

    async def raise_alarm(self) -> None:
        """Say of each run, once, that nothing would move it on: a defect of agentflow, or of who wrote past it."""
        found = await self._store.stuck(limit=STUCK_LIMIT)
        for one in found:
            if one.id not in self._known:
                logger.error(
                    "run %s of task %s is %s and nothing would ever move it on; cancel it, or fork it, and report this",
                    one.id,
                    one.task,
                    one.status,
                )
        self._known = {one.id for one in found}


def complain(what: str, error: Exception) -> None:
    """Say what went wrong; that the database is away it says itself, and anything of ours has its traceback."""
    level = logging.DEBUG if isinstance(error, StoreUnavailable) else logging.WARNING
    logger.log(level, "%s (%s); trying again", what, error, exc_info=not isinstance(error, StoreError))
