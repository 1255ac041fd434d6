"""Listings and look-ups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.records import (
        Approval,
        Callback,
        Counts,
        Entry,
        Event,
        LogLine,
        Page,
        Run,
        Wait,
        Worker,
    )
    from agentflow.requests import ApprovalFilter, RunFilter


class Reads(Protocol):
    """Listings and look-ups. None of them holds a transaction open.

    Here and in every other listing a cursor that none gave, or an `after` beyond what is counted, is `InvalidSetting`.
    """

    async def run(self, run_id: str) -> Run: ...
    async def runs(self, which: RunFilter) -> Page[Run]:
        """Runs, newest first; an input or output that is kept as a blob is a stand-in which says how large it is."""
        ...

    async def entries(self, run_id: str, *, after: int = 0, limit: int | None = None) -> Sequence[Entry]: ...
    async def logs(self, run_id: str) -> Sequence[LogLine]: ...
    async def waits(self, run_id: str) -> Sequence[Wait]: ...
    async def approval(self, approval_id: str) -> Approval: ...
    async def approvals(self, which: ApprovalFilter) -> Page[Approval]: ...
    async def events(self, *, name: str | None = None, limit: int = 50) -> Sequence[Event]: ...
    async def callback(self, token_digest: str) -> Callback: ...
    async def callbacks(self, run_id: str) -> Sequence[Callback]: ...
    async def counts(self) -> Counts: ...
    async def workers(self) -> Sequence[Worker]: ...
    async def head(self) -> int:
        """The id of the newest journal entry of all runs."""
        ...

    async def feed(self, *, after: int, limit: int) -> Sequence[Entry]:
        """Journal entries of all runs after this id, oldest first; large payloads as in `runs`."""
        ...
