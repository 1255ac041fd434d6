"""Promises about runs and their turns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from agentflow.records import Entry, Run
    from agentflow.requests import ClaimRuns, Lease, NewEntry, NewLogLine, OpenWait, Outcome, TriggerRun
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

        Raises `IdempotencyMismatch` if the key was used with another input, `SingletonTaken` if an open run holds the
        singleton key, `QueueFull` if the queue's backlog is, and `InvalidSetting` for a cost above the queue's whole
        budget; no run was made then.
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
