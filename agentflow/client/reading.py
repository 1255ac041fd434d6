"""Reading: runs, what is recorded of them, what they wait for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from agentflow import events, reasons
from agentflow.client.hiding import without_tokens_in, without_tokens_said
from agentflow.client.holder import Holder
from agentflow.durations import duration
from agentflow.records import Callback
from agentflow.requests import ApprovalFilter, RunFilter
from agentflow.states import RunStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import datetime, timedelta

    from agentflow.events import Event
    from agentflow.records import Approval, Counts, Entry, LogLine, Page, Run, Wait, Worker


class Reading(Holder):
    """Listings and look-ups."""

    async def run(self, run_id: str) -> Run:
        """The run with this id. Raises `RunNotFound`."""
        return await self._store.run(run_id)

    async def runs(
        self,
        *,
        statuses: Sequence[RunStatus] = (),
        task: str | None = None,
        queue: str | None = None,
        origin: str | None = None,
        tags: Sequence[str] = (),
        parent_id: str | None = None,
        created_from: datetime | None = None,
        created_until: datetime | None = None,
        search: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Run]:
        """Runs, newest first, `limit` at a time, that meet every condition given; `tags` are all to be theirs.

        `search` matches the start of an id or part of a task's id. Created from `created_from`, before `created_until`.

        An input or output of more than 128 KiB is a stand-in that says how large it is; `run` has it whole.
        """
        return await self._store.runs(
            RunFilter(
                statuses=statuses,
                task=task,
                queue=queue,
                origin=origin,
                tags=tags,
                parent_id=parent_id,
                created_from=created_from,
                created_until=created_until,
                search=search,
                cursor=cursor,
                limit=limit,
            )
        )

    async def journal(self, run_id: str, *, after: int = 0, limit: int | None = None) -> Sequence[Entry]:
        """The run's journal in order, from the entry after `seq` `after`; tokens of callbacks are hidden in it."""
        return [without_tokens_in(one) for one in await self._store.entries(run_id, after=after, limit=limit)]

    async def history(self, run_id: str) -> Sequence[Event]:
        """The run's whole journal as typed events, in order and without gaps. Raises `RunNotFound`."""
        await self._store.run(run_id)
        return tuple(events.history(await self.journal(run_id), await self._deadlines(run_id)))

    async def history_document(self, run_id: str, *, after: int = 0, limit: int | None = None) -> dict[str, Any]:
        """The history, from the event after `seq` `after`, as one JSON document with the version of its events.

        Raises `RunNotFound`.
        """
        found = (await self.history(run_id))[after:]
        return events.document(run_id, found[:limit], more=limit is not None and len(found) > limit)

    async def _deadlines(self, run_id: str) -> dict[str, datetime]:
        """Until when the run's approvals and callbacks could, or can, be answered."""
        asked: list[Approval | Callback] = [*await self._store.callbacks(run_id)]
        cursor: str | None = None
        while True:
            page = await self.approvals(pending=None, run_id=run_id, cursor=cursor, limit=200)
            asked += page.items
            cursor = page.next_cursor
            if cursor is None:
                break
        due = {one.id: one.due_at if isinstance(one, Callback) else one.deadline_at for one in asked}
        return {of: at for of, at in due.items() if at is not None}

    async def logs(self, run_id: str) -> Sequence[LogLine]:
        """What the run logged, oldest first."""
        return [without_tokens_said(line) for line in await self._store.logs(run_id)]

    async def waits(self, run_id: str) -> Sequence[Wait]:
        """What the run waits for."""
        return await self._store.waits(run_id)

    async def approval(self, approval_id: str) -> Approval:
        """The approval with this id. Raises `ApprovalNotFound`."""
        return await self._store.approval(approval_id)

    async def approvals(
        self,
        *,
        pending: bool | None = True,
        run_id: str | None = None,
        search: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Approval]:
        """Approvals: pending ones by deadline, priority and age; decided ones (`pending=False`) newest first."""
        return await self._store.approvals(
            ApprovalFilter(pending=pending, run_id=run_id, search=search, cursor=cursor, limit=limit)
        )

    async def counts(self) -> Counts:
        """How many runs are in each status, and how many approvals are pending."""
        return await self._store.counts()

    async def workers(self) -> Sequence[Worker]:
        """The workers whose lease is recorded, alive or not yet given up."""
        return await self._store.workers()

    async def stuck(self, *, limit: int = 100) -> Sequence[Run]:
        """Open runs that nothing and nobody would ever move on: there should be none."""
        return await self._store.stuck(limit=limit)

    async def why(self, run_id: str) -> str:
        """One sentence: why the run is where it is, who or what moves it on, and when. Raises `RunNotFound`."""
        run = await self._store.run(run_id)
        place = await self._store.queue_place(run_id) if run.status is RunStatus.QUEUED else None
        return reasons.why(
            run, await self._store.waits(run_id), await self._store.workers(), now=self.now(), place=place
        )

    async def result(self, run_id: str, *, timeout: str | float | timedelta | None = None) -> Run:
        """The run, once it has ended. Raises `RunNotFound`, or `TimeoutError` if it has not ended in time."""
        moved = asyncio.Event()

        def heard(_: str, has_moved: bool) -> None:
            if has_moved:
                moved.set()

        stop = self._store.watch(heard, run_id=run_id)
        try:
            async with asyncio.timeout(None if timeout is None else duration(timeout).total_seconds()):
                while not (run := await self._store.run(run_id)).is_finished:
                    await moved.wait()
                    moved.clear()
                return run
        finally:
            stop()

    async def feed(self, *, after: int, limit: int = 200) -> Sequence[Entry]:
        """Journal entries of all runs with an id above `after`, oldest first; large values as in `runs`."""
        return [without_tokens_in(one) for one in await self._store.feed(after=after, limit=limit)]

    async def head(self) -> int:
        """The id of the newest journal entry of all runs; where a follower begins."""
        return await self._store.head()

    def changes(self) -> AsyncIterator[None]:
        """Yield at once and then after each burst of commits, by this program or another."""
        return self._store.changes()
