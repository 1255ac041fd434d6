"""Promises about queues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.records import QueueChange, QueuePlace, QueueState
    from agentflow.requests import ChangeQueue, DeclareQueue


class Queues(Protocol):
    """Queues with limits. They hold exactly, however many processes claim."""

    async def declare_queues(self, declared: Sequence[DeclareQueue]) -> None:
        """Keep the limits declared in code; what an operator has changed stays changed.

        Raises `InvalidSetting` for limits on the default queue; nothing was declared then.
        """
        ...

    async def change_queue(self, request: ChangeQueue) -> QueueState:
        """The queue, changed, with who did it and why.

        Raises `QueueNotFound`, or `InvalidSetting` for limits on the default queue; nothing was changed then.
        """
        ...

    async def queues(self) -> Sequence[QueueState]:
        """Every queue that was declared or has runs, by name."""
        ...

    async def queue_place(self, run_id: str) -> QueuePlace:
        """What keeps the run from starting, if its queue does. Raises `RunNotFound`."""
        ...

    async def queue_changes(self, queue: str, *, limit: int = 50) -> Sequence[QueueChange]:
        """The latest changes of the queue, newest first."""
        ...
