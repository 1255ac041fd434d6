"""Promises about a database that is kept for long, and one that came from a backup."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from agentflow.records import Pruned, Restored, Withheld
    from agentflow.requests import MarkRestored, Prune


class Keeping(Protocol):
    """Removing what is no longer wanted, and going on from a backup."""

    async def prune(self, request: Prune) -> Pruned:
        """What was removed, in one short transaction; ask again from its `after` on until that is None.

        Never removed is a run that has not ended, one that another run waits for, one whose parent is kept or that has
        an open child or a fork, nor what such a run may still read.
        """
        ...

    async def prunable(self, request: Prune) -> Pruned:
        """What `prune` would remove; nothing is."""
        ...

    async def forget_workers(self) -> int:
        """Forget every worker, dead or alive: none of them is of this database any more; how many they were."""
        ...

    async def mark_restored(self, request: MarkRestored) -> Restored:
        """Pause open runs with the reason, and take their epochs beyond all that were ever given out.

        What a worker of the lost time still writes about them is refused. Ask again from its `after` on.
        """
        ...

    async def withhold(self, *, by: str, reason: str) -> Withheld:
        """Keep what was still to start a run, or to be told, from doing so by itself: it may have been done already.

        Schedules that are due are planned from now, what is queued is skipped and backfills end; events that wait for a
        listener fail with the reason; what is on its way to subscribers is discarded, and each is told of what happens
        from now on. Who was signed in has to do so again. API tokens stay as they are.
        """
        ...
