"""Queues: what is going on in them, their limits, and stopping and starting them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow.client.holder import Holder
from agentflow.requests import ChangeQueue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.limits import Limits
    from agentflow.records import QueueChange, QueueState


class Queues(Holder):
    """What operators do to queues. Each change takes effect at once, in every process, and is kept with who and why."""

    async def declare_queues(self) -> None:
        """Keep the queues that the catalog's tasks declare; what an operator has changed stays changed."""
        if self.catalog.queues:
            await self._store.declare_queues(self.catalog.queues)

    async def queues(self) -> Sequence[QueueState]:
        """Every queue that was declared or has runs, by name."""
        return await self._store.queues()

    async def queue_changes(self, queue: str, *, limit: int = 50) -> Sequence[QueueChange]:
        """The latest changes of the queue, newest first."""
        return await self._store.queue_changes(queue, limit=limit)

    async def pause_queue(self, queue: str, *, by: str, reason: str = "") -> QueueState:
        """The queue, of which no further run is taken until it is resumed; those that run go on.

        Raises `QueueNotFound`; nothing was changed then.
        """
        return await self._store.change_queue(ChangeQueue(name=queue, by=by, reason=reason, paused=True))

    async def resume_queue(self, queue: str, *, by: str, reason: str = "") -> QueueState:
        """The queue, served again. Raises `QueueNotFound`; nothing was changed then."""
        return await self._store.change_queue(ChangeQueue(name=queue, by=by, reason=reason, paused=False))

    async def set_queue_limits(self, queue: str, limits: Limits, *, by: str, reason: str = "") -> QueueState:
        """The queue with these limits in place of all it had, until `reset_queue`.

        Raises `QueueNotFound`, or `InvalidSetting` for the default queue, which has none; nothing was changed then.
        """
        return await self._store.change_queue(ChangeQueue(name=queue, by=by, reason=reason, limits=limits))

    async def reset_queue(self, queue: str, *, by: str, reason: str = "") -> QueueState:
        """The queue with the limits declared in code. Raises `QueueNotFound`; nothing was changed then."""
        return await self._store.change_queue(ChangeQueue(name=queue, by=by, reason=reason, reset=True))
