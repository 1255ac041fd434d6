"""Listings and look-ups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.records import (
        Approval,
        Counts,
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
    from agentflow.requests import ApprovalFilter, RunFilter


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
