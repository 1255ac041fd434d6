"""Strays: runs that this worker holds and does not execute.

The commit of a claim, or of a turn's end, may be stored although the database said that it failed: a disk that was full
or gone for a moment. The worker's lease covers such a run, so no other worker would ever take it.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from agentflow.errors import StoreError
from agentflow.requests import HandedBack, Lease

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from agentflow.store.base import Store

logger = logging.getLogger("agentflow.worker")


class Strays:
    """Finds them by what the heartbeat says is held, and hands them back."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: set[tuple[str, int]] = set()

    def among(self, held: Mapping[str, int], executed: Container[str]) -> list[tuple[str, int]]:
        """Those that were held and not executed at the last beat too: not one that is just beginning or ending."""
        now = {(run_id, epoch) for run_id, epoch in held.items() if run_id not in executed}
        found, self._seen = sorted(now & self._seen), now
        return found

    async def hand_back(self, run_id: str, epoch: int, worker_id: str, executed: Container[str]) -> None:
        """Queue the run again, unless a turn has begun or ended meanwhile."""
        if run_id in executed:
            return
        logger.warning("run %s is held by this worker, which never heard of its claim; handing it back", run_id)
        with suppress(StoreError):  # the next beat finds it again
            await self._store.finish(Lease(run_id, epoch, worker_id), HandedBack())
