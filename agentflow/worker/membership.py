"""A worker's standing in the database: its lease and what it says of itself, from its registration until it retires."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from agentflow.errors import StoreError
from agentflow.worker import hosts
from agentflow.worker.heartbeat import Heartbeat

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentflow.settings import WorkerSettings
    from agentflow.store.base import Store
    from agentflow.tasks.catalog import Catalog

logger = logging.getLogger("agentflow.worker")
FAREWELL: Final = 5.0
"""Seconds a worker that ends tries to say so: a database that is away must not keep it."""


class Membership:
    """One worker's lease. `beat` hears on the event loop which runs it still covers, `lost` that it is gone."""

    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        settings: WorkerSettings,
        *,
        beat: Callable[[dict[str, int]], None],
        lost: Callable[[], None],
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._settings = settings
        self._beat = beat
        self._lost = lost
        self._heartbeat: Heartbeat | None = None
        self.id = ""

    async def begin(self) -> None:
        """Register as a new worker, and keep the lease from now on. Raises `StoreError`."""
        settings, pid = self._settings, os.getpid()
        worker = await self._store.register_worker(
            host=hosts.host(),
            pid=pid,
            started=hosts.started(pid),
            lease_for=settings.lease_for,
            tasks=self._catalog.served(settings.labels, settings.tasks),
            labels=settings.labels,
            lacks=self._catalog.lacks(settings.labels, settings.tasks),
            queues=settings.queues,
        )
        self.id = worker.id
        loop = asyncio.get_running_loop()
        self._heartbeat = Heartbeat(
            lambda: self._store.renew(worker.id, settings.lease_for),
            every=settings.heartbeat_every,
            lease_for=settings.lease_for,
            beat=lambda held: _on(loop, self._beat, held),
            lost=lambda: _on(loop, self._lost),
        )
        self._heartbeat.start()

    async def drain(self) -> None:
        """Let everybody see that the worker takes no more runs; a database that is away is not told."""
        if self._heartbeat is None:
            return
        with suppress(StoreError):
            await self._store.drain_worker(self.id)

    async def end(self) -> None:
        """Give the lease back: what it still covers is queued again at once, at no cost to the runs."""
        if self._heartbeat is None:
            return
        self.drop()
        try:
            await asyncio.wait_for(self._store.retire_worker(self.id), FAREWELL)
        except (StoreError, TimeoutError) as error:
            said = str(error) or f"the database did not answer for {FAREWELL:g} s"
            logger.warning("worker %s ends without giving its lease back (%s); it runs out by itself", self.id, said)

    def drop(self) -> None:
        """Stop renewing; the lease stays as it is and runs out."""
        if self._heartbeat is not None:
            self._heartbeat.stop()
            self._heartbeat = None


def _on(loop: asyncio.AbstractEventLoop, call: Any, *args: Any) -> None:
    """Call on the event loop from the heartbeat's thread; a loop that has ended needs no call."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(call, *args)
