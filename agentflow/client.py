"""What everyone outside a run holds: start runs, read them, decide, cancel.

The command line, the pages, the schedulers and users' own programs all go through `Client`; nothing else outside a
worker writes to the store.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from agentflow.approvals.decisions import accepted_text
from agentflow.durations import duration
from agentflow.ids import DECISION, new_id
from agentflow.reasons import why
from agentflow.requests import ApprovalFilter, Decide, Deliver, Fire, RunFilter
from agentflow.states import Verdict
from agentflow.tasks.catalog import Catalog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
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
    from agentflow.requests import DeclareSchedule
    from agentflow.states import RunStatus
    from agentflow.store.base import Store
    from agentflow.tasks.task import Task

UNCHANGED: Any = object()


class Client:
    """Starts runs and steers them. `catalog` holds the tasks that may be started by name."""

    def __init__(self, store: Store, catalog: Catalog | None = None) -> None:
        self._store = store
        self.catalog = catalog or Catalog()

    def now(self) -> datetime:
        """The store's time, which alone decides deadlines."""
        return self._store.now()

    # -- starting runs

    async def trigger(self, task: Task[..., Any], /, *args: Any, **kwargs: Any) -> Run:
        """A new run of this task with these arguments. Raises `InvalidInput`; no run was made then."""
        return await self._store.trigger(task.request(task.encode_call(args, kwargs), origin="program"))

    async def trigger_json(
        self,
        task: str,
        input: Any,
        *,
        idempotency_key: str | None = None,
        delay: str | float | timedelta | None = None,
        priority: int = 0,
        origin: str = "api",
    ) -> Run:
        """A run of the task with this id, its input given as a JSON object of parameters by name.

        The same `idempotency_key` returns the run it made before. Raises `TaskNotFound` (naming the nearest),
        `InvalidInput` (naming each field), `InvalidDuration` or `IdempotencyMismatch`; no run was made then.
        """
        found = self.catalog.task(task).options(idempotency_key=idempotency_key, delay=delay, priority=priority)
        return await self._store.trigger(found.request(found.encode_json(input), origin=origin))

    # -- reading

    async def run(self, run_id: str) -> Run:
        """The run with this id. Raises `RunNotFound`."""
        return await self._store.run(run_id)

    async def runs(
        self,
        *,
        statuses: Sequence[RunStatus] = (),
        task: str | None = None,
        parent_id: str | None = None,
        search: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Run]:
        """Runs, newest first, `limit` at a time; `search` matches the start of an id or part of a task's id."""
        return await self._store.runs(
            RunFilter(statuses=statuses, task=task, parent_id=parent_id, search=search, cursor=cursor, limit=limit)
        )

    async def journal(self, run_id: str, *, after: int = 0, limit: int | None = None) -> Sequence[Entry]:
        """The run's journal in order, from the entry after `seq` `after`."""
        return await self._store.entries(run_id, after=after, limit=limit)

    async def logs(self, run_id: str) -> Sequence[LogLine]:
        """What the run logged, oldest first."""
        return await self._store.logs(run_id)

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

    async def why(self, run_id: str) -> str:
        """One sentence: why the run is where it is, who or what moves it on, and when. Raises `RunNotFound`."""
        run = await self._store.run(run_id)
        return why(run, await self._store.waits(run_id), await self._store.workers(), now=self.now())

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
        """Journal entries of all runs with an id above `after`, oldest first."""
        return await self._store.feed(after=after, limit=limit)

    async def head(self) -> int:
        """The id of the newest journal entry of all runs; where a follower begins."""
        return await self._store.head()

    def changes(self) -> AsyncIterator[None]:
        """Yield at once and then after each burst of commits, by this program or another."""
        return self._store.changes()

    # -- steering

    async def decide(
        self,
        approval_id: str,
        verdict: Verdict | str,
        *,
        by: str,
        channel: str = "api",
        comment: str = "",
        data: Any = UNCHANGED,
        decision_id: str | None = None,
        expected_version: int | None = None,
    ) -> Decision:
        """The receipt of this decision; its run goes on at once.

        `data` is the final data as JSON; whether that is a correction is computed from it, so `approve` with other
        data is recorded as `corrected`. The same `decision_id` again returns the first receipt. Raises what
        `Approvals.decide` of the store raises; nothing of this decision was recorded then.
        """
        approval = await self._store.approval(approval_id)
        final = None if data is UNCHANGED else accepted_text(approval, Verdict(verdict), data)
        return await self._store.decide(
            Decide(
                id=decision_id or new_id(DECISION, self.now()),
                approval_id=approval_id,
                verdict=Verdict(verdict),
                decided_by=by,
                channel=channel,
                comment=comment,
                final=final,
                expected_version=expected_version,
            )
        )

    async def cancel(self, run_id: str, *, by: str, reason: str = "") -> Run:
        """The run, cancelled together with its approvals and children. Raises `RunNotFound`, `IllegalTransition`."""
        return await self._store.cancel(run_id, by=by, reason=reason)

    async def resume(self, run_id: str, *, by: str) -> Run:
        """The run, queued again after it needed attention. Raises `RunNotFound`, `IllegalTransition`."""
        return await self._store.resume(run_id, by=by)

    # -- schedules and webhooks

    async def declare_schedules(self, declared: Sequence[DeclareSchedule]) -> Sequence[Schedule]:
        """The stored schedules, those of this catalog's tasks reconciled with what is declared in code."""
        return await self._store.declare_schedules(declared, tuple(self.catalog.tasks))

    async def schedules(self) -> Sequence[Schedule]:
        """Every stored schedule, by id."""
        return await self._store.schedules()

    async def occurrences(self, schedule_id: str, *, limit: int = 20) -> Sequence[Occurrence]:
        """The schedule's latest occurrences, newest first."""
        return await self._store.occurrences(schedule_id, limit=limit)

    async def fire(self, schedule: Schedule, *, at: datetime, next_at: datetime | None) -> Run | None:
        """The run of this occurrence, or None if another scheduler had started it."""
        task = self.catalog.task(schedule.task)
        request = task.request(schedule.input, origin=f"schedule {schedule.id}")
        return await self._store.fire(Fire(schedule_id=schedule.id, fire_at=at, next_fire_at=next_at, run=request))

    async def deliver(
        self, webhook: str, task: str, input: Mapping[str, Any], *, delivery_id: str, digest: str
    ) -> Delivery:
        """The delivery, with the one run this delivery id ever starts. The caller has verified the signature.

        Raises `InvalidInput` or, for the same id with another body, `IdempotencyMismatch`; no run was made then.
        """
        found = self.catalog.task(task)
        request = found.request(found.encode_json(input), origin=f"webhook {webhook}")
        return await self._store.deliver(Deliver(webhook=webhook, delivery_id=delivery_id, digest=digest, run=request))

    async def deliveries(self, *, limit: int = 50) -> Sequence[Delivery]:
        """The latest webhook deliveries, newest first."""
        return await self._store.deliveries(limit=limit)
