"""The store's promises: durable verbs, each one transaction that happens whole or not at all.

Every verb raises `StoreUnavailable` when the database did not take it; nothing was stored then. Verbs that take a
`Lease` raise `LeaseLost` when the turn no longer owns the run; nothing was stored then either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Sequence
    from datetime import datetime, timedelta

    from agentflow.records import (
        Approval,
        Counts,
        Decision,
        Delivery,
        Entry,
        LogLine,
        Occurrence,
        Page,
        Run,
        Schedule,
        Wait,
        Worker,
    )
    from agentflow.requests import (
        ApprovalFilter,
        ClaimRuns,
        Decide,
        DeclareSchedule,
        Deliver,
        Fire,
        Lease,
        NewEntry,
        NewLogLine,
        OpenWait,
        Outcome,
        RunFilter,
        TriggerRun,
    )
    from agentflow.states import RunStatus


@dataclass(frozen=True, slots=True)
class Claimed:
    """A run this worker now holds, and what its journal says so far."""

    run: Run
    lease: Lease
    entries: Sequence[Entry]


class Runs(Protocol):
    """Runs and their journals."""

    async def trigger(self, request: TriggerRun) -> Run:
        """The run for `request.idempotency_key`: a new one, or the one it made before.

        Raises `IdempotencyMismatch` if the key was used with another input; no run was made then.
        """
        ...

    async def trigger_many(self, requests: Sequence[TriggerRun]) -> Sequence[Run]:
        """The runs for these requests, in their order: all of them, or none."""
        ...

    async def trigger_child(self, lease: Lease, requests: Sequence[TriggerRun], entry: NewEntry) -> Sequence[Run]:
        """Child runs of the lease's run, made together with the journal entry that records them."""
        ...

    async def claim(self, request: ClaimRuns) -> Sequence[Claimed]:
        """Up to `limit` due runs for this worker, most urgent and oldest first. Two callers never get the same run.

        A worker that has been given up for dead gets none.
        """
        ...

    async def append(self, lease: Lease, entry: NewEntry) -> None:
        """Keep one entry in the journal."""
        ...

    async def settle(self, lease: Lease, entry: NewEntry, scope: str) -> None:
        """Keep the entry and withdraw every open wait and approval of the operation `scope` and those under it."""
        ...

    async def open_waits(self, lease: Lease, waits: Sequence[OpenWait]) -> None:
        """Open waits while the run goes on in another branch."""
        ...

    async def park(self, lease: Lease, waits: Sequence[OpenWait], blocked: Collection[str]) -> RunStatus:
        """Park the run on `blocked`, opening `waits` first; queue it again if one of them was answered meanwhile.

        `WAITING` or `QUEUED`, whichever the run now is.
        """
        ...

    async def finish(self, lease: Lease, outcome: Outcome) -> None:
        """Record how the turn ended, withdraw what the run still waited for, and wake a parent that waits for it."""
        ...

    async def keep_logs(self, lines: Sequence[NewLogLine]) -> None:
        """Keep log lines. Not fenced: a superseded turn's lines are still true."""
        ...

    async def cancel(self, run_id: str, *, by: str, reason: str) -> Run:
        """The run, cancelled, with its approvals withdrawn and its open children cancelled too.

        Raises `RunNotFound`, or `IllegalTransition` if it has ended.
        """
        ...

    async def resume(self, run_id: str, *, by: str) -> Run:
        """The run, queued again after it needed attention. Raises `RunNotFound` or `IllegalTransition`."""
        ...


class Approvals(Protocol):
    """Decisions, all through one command."""

    async def decide(self, request: Decide) -> Decision:
        """The recorded decision; the run is claimable in the same transaction.

        The same decision id again returns the first receipt. Raises `ApprovalNotFound`, `IdempotencyMismatch`,
        `AlreadyDecided`, `ApprovalExpired` (and records the time-out if nothing had yet), `ApprovalWithdrawn`,
        `StaleVersion` or `InvalidDecision`; nothing of this decision was recorded then.
        """
        ...


class Maintenance(Protocol):
    """What keeps promises when processes die."""

    async def register_worker(self, *, host: str, pid: int, started: str, lease_for: timedelta) -> Worker:
        """A worker with a fresh lease."""
        ...

    async def retire_worker(self, worker_id: str) -> None:
        """Forget the worker; runs it still holds go back to the queue."""
        ...

    def renew(self, worker_id: str, lease_for: timedelta) -> dict[str, int] | None:
        """The runs (and epochs) the worker still holds, its lease extended; None if it has been given up for dead.

        Called from the heartbeat's own thread, never from the event loop.
        """
        ...

    async def sweep(self, *, limit: int, max_recoveries: int) -> int:
        """Give up workers whose lease ran out and queue (or quarantine) up to `limit` of their runs; how many."""
        ...

    async def bury(self, worker_ids: Collection[str]) -> None:
        """End these workers' leases at once: they are known to be dead. The next sweep recovers their runs."""
        ...

    async def expire(self, *, limit: int) -> int:
        """Time out up to `limit` overdue approvals and fail overdue runs; how many."""
        ...

    async def next_due_at(self) -> datetime | None:
        """When something next falls due by itself: a timer, a retry, a deadline; None if nothing will."""
        ...


class Triggers(Protocol):
    """Schedules and webhooks."""

    async def declare_schedules(
        self, declared: Sequence[DeclareSchedule], tasks: Collection[str]
    ) -> Sequence[Schedule]:
        """The stored schedules after reconciling those of `tasks`: new ones added, changed updated, missing removed."""
        ...

    async def fire(self, request: Fire) -> Run | None:
        """The run of this occurrence, or None if another scheduler had it already."""
        ...

    async def deliver(self, request: Deliver) -> Delivery:
        """The delivery and its run, new or of the same id before. `IdempotencyMismatch` if the body differs."""
        ...


class Reads(Protocol):
    """Listings and look-ups. None of them holds a transaction open."""

    async def run(self, run_id: str) -> Run: ...
    async def runs(self, which: RunFilter) -> Page[Run]: ...
    async def entries(self, run_id: str, *, after: int = 0, limit: int | None = None) -> Sequence[Entry]: ...
    async def logs(self, run_id: str) -> Sequence[LogLine]: ...
    async def waits(self, run_id: str) -> Sequence[Wait]: ...
    async def approval(self, approval_id: str) -> Approval: ...
    async def approvals(self, which: ApprovalFilter) -> Page[Approval]: ...
    async def counts(self) -> Counts: ...
    async def workers(self) -> Sequence[Worker]: ...
    async def schedules(self) -> Sequence[Schedule]: ...
    async def occurrences(self, schedule_id: str, *, limit: int = 20) -> Sequence[Occurrence]: ...
    async def deliveries(self, *, limit: int = 50) -> Sequence[Delivery]: ...
    async def head(self) -> int:
        """The id of the newest journal entry of all runs."""
        ...

    async def feed(self, *, after: int, limit: int) -> Sequence[Entry]:
        """Journal entries of all runs after this id, oldest first."""
        ...


class Store(Runs, Approvals, Maintenance, Triggers, Reads, Protocol):
    """Everything durable. Made by `agentflow.store.open_store`."""

    def now(self) -> datetime:
        """The store's time, which alone decides deadlines."""
        ...

    def watch(self, callback: Callable[[str, bool], None], *, run_id: str = "") -> Callable[[], None]:
        """Call back, on the event loop, after a commit about a run: with its id ("" for any) and whether it moved.

        A run that has not moved has one more recorded operation. With `run_id` only that run is heard of, at no cost to
        the others. A hint: callers look again to learn what happened. Returns the function that stops it.
        """
        ...

    def changes(self) -> AsyncIterator[None]:
        """Yield after each burst of commits, by this process or another; for pages that follow along."""
        ...

    async def close(self) -> None:
        """Flush and let go of the database."""
        ...
