"""The clock of one process: looks at the schedules when the next one is due, and at least once a second.

APScheduler keeps the time. What is due is read from the store at each look, so schedules that others add, change or
fire are seen, and nothing is lost with this process.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from agentflow.clock import MICROSECOND, SystemClock
from agentflow.errors import StoreUnavailable
from schedulers.declaring import declare
from schedulers.firing import LATE, Firing

if TYPE_CHECKING:
    from agentflow.client import Client
    from agentflow.records import Reconciled

logger = logging.getLogger(__name__)

POLL: Final = "poll"
NEXT: Final = "next"


class Ticker:
    """Fires the schedules stored with the client's, from `start` until `stop`. What is due the store's clock says."""

    def __init__(self, client: Client, *, poll_every: timedelta = timedelta(seconds=1)) -> None:
        self._client = client
        self._poll_every = poll_every
        self._firing = Firing(client)
        self._looking = asyncio.Lock()
        self._looked_at: datetime | None = None
        self._is_cut_off = False
        self._scheduler: AsyncIOScheduler | None = None

    async def start(self) -> Reconciled:
        """How the stored schedules were reconciled with those declared in code; from now on they fire.

        Raises what `declare` raises; nothing was started then. Starting twice changes nothing.
        """
        started_at = self._client.now()
        reconciled = await declare(self._client)
        if self._scheduler is None:
            self._looked_at = started_at - MICROSECOND  # what comes due from now on is late at worst, never missed
            # Each look would be two lines of APScheduler's log.
            library = logging.getLogger("apscheduler")
            library.setLevel(library.level or logging.WARNING)
            self._scheduler = AsyncIOScheduler(timezone=UTC)
            self._wake(POLL, "interval", seconds=self._poll_every.total_seconds(), next_run_time=SystemClock().now())
            self._scheduler.start()
        return reconciled

    @property
    def trouble(self) -> str:
        """Why schedules are not looked at at present; empty if they are."""
        if self._scheduler is None:
            return "it does not look at schedules"
        return "the database could not be asked for schedules" if self._is_cut_off else ""

    async def stop(self) -> None:
        """Look no more, once a look that has begun is done. May be called twice."""
        scheduler, self._scheduler = self._scheduler, None
        if scheduler is None:
            return
        async with self._looking:
            scheduler.shutdown(wait=False)
            stopped = asyncio.Event()  # APScheduler stops in the loop's next round
            asyncio.get_running_loop().call_soon(stopped.set)
            await stopped.wait()

    async def _look(self) -> None:
        if self._looking.locked():  # the look under way ends with a wake-up for what comes due meanwhile
            return
        async with self._looking:
            now = self._client.now()
            try:
                looked = await self._firing.look(since=self._here_since(now), ahead=self._poll_every)
            except StoreUnavailable as error:
                if not self._is_cut_off:
                    logger.warning("schedules are not looked at while the store is out of reach: %s", error)
                self._is_cut_off = True
                return
            self._is_cut_off, self._looked_at = False, now
            self._wake_for(looked.next_at)

    def _here_since(self, now: datetime) -> datetime | None:
        """When this process last looked; None if it was away meanwhile, not started or suspended."""
        is_here = self._looked_at is not None and now - self._looked_at <= LATE
        return self._looked_at if is_here else None

    def _wake_for(self, at: datetime | None) -> None:
        delay = None if at is None else at - self._client.now()
        if delay is not None and delay < self._poll_every:
            # Not a wait by the store's clock: the wake-up comes near the instant, the look judges whether it has come.
            self._wake(NEXT, "date", run_date=SystemClock().now() + max(delay, timedelta()))

    def _wake(self, id: str, trigger: str, **when: Any) -> None:
        if self._scheduler is not None:
            self._scheduler.add_job(
                self._look,
                trigger,
                id=id,
                replace_existing=True,
                max_instances=3,  # a look that finds another under way returns at once
                coalesce=True,
                misfire_grace_time=None,
                **when,
            )
