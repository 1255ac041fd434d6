"""Promises that hold when processes die."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime, timedelta

    from agentflow.records import Run, Worker


class Maintenance(Protocol):
    """What keeps promises when processes die."""

    async def register_worker(
        self,
        *,
        host: str,
        pid: int,
        started: str,
        lease_for: timedelta,
        tasks: Sequence[str] = (),
        labels: Sequence[str] = (),
        lacks: Mapping[str, Sequence[str]] | None = None,
        queues: Sequence[str] = (),
    ) -> Worker:
        """A worker with a fresh lease, which serves these tasks ("id@version"); see `records.Worker`."""
        ...

    async def drain_worker(self, worker_id: str) -> None:
        """Note that the worker takes no more runs and is going to end; its lease and its runs are as they were."""
        ...

    async def retire_worker(self, worker_id: str) -> None:
        """Forget the worker; runs it still holds go back to the queue."""
        ...

    def renew(self, worker_id: str, lease_for: timedelta) -> dict[str, int] | None:
        """The runs (and epochs) the worker still holds, its lease extended; None if it has been given up for dead.

        Called from the heartbeat's own thread, never from the event loop.
        """
        ...

    async def held(self, worker_id: str) -> Mapping[str, tuple[int, bool]]:
        """The runs this worker holds: the epoch of each, and whether it is to be paused."""
        ...

    async def sweep(self, *, limit: int, max_recoveries: int) -> int:
        """Give up workers whose lease ran out and queue (or quarantine) up to `limit` of their runs; how many.

        What runs said while they were under way (`keep_chunks`) is let go of with it, a bounded number of pieces.
        """
        ...

    async def bury(self, worker_ids: Collection[str]) -> None:
        """End these workers' leases at once: they are known to be dead. The next sweep recovers their runs."""
        ...

    async def expire(self, *, limit: int) -> int:
        """Time out approvals and waits that are overdue, fail overdue runs, expire those not started; how many.

        At most about `limit` of each kind.
        """
        ...

    async def next_due_at(self) -> datetime | None:
        """When something next falls due by itself: a timer, a retry, a deadline; None if nothing will."""
        ...

    async def stuck(self, *, limit: int) -> Sequence[Run]:
        """Open runs that nothing would ever move on: there should be none."""
        ...
