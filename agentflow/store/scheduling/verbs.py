"""The verbs about schedules, each as one call of `write`, `read` or `glance`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow.store.scheduling import backfills, declaring, firing, needs, occurrences, stored
from agentflow.store.ways import Ways

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from agentflow import records as r
    from agentflow import requests as q


class ScheduleVerbs(Ways):
    """What `Schedules` promises."""

    async def declare_schedules(
        self, declared: Sequence[q.DeclareSchedule], tasks: Collection[str], *, dry_run: bool = False
    ) -> r.Reconciled:
        return await self.write(declaring.declare_schedules, declared, tasks, dry_run)

    async def upsert_schedule(self, declared: q.DeclareSchedule, *, by: str) -> r.Schedule:
        return await self.write(declaring.upsert_schedule, declared, by)

    async def remove_schedule(self, schedule_id: str, *, by: str) -> None:
        await self.write(declaring.remove_schedule, schedule_id, by)

    async def pause_schedule(self, request: q.PauseSchedule) -> r.Schedule:
        return await self.write(declaring.pause_schedule, request)

    async def plan_schedule(
        self, schedule_id: str, *, revision: int, plan_from: datetime, next_fire_at: datetime | None
    ) -> bool:
        return await self.write(declaring.plan_schedule, schedule_id, revision, plan_from, next_fire_at)

    async def fire(self, request: q.Fire) -> r.Occurrence | None:
        return await self.write(firing.fire, request)

    async def miss(self, request: q.Miss) -> r.Occurrence | None:
        return await self.write(firing.miss, request)

    async def start_queued(self, request: q.StartQueued) -> r.Occurrence | None:
        return await self.write(firing.start_queued, request)

    async def fire_by_hand(self, request: q.FireByHand) -> r.Run | None:
        return await self.write(firing.fire_by_hand, request)

    async def request_backfill(self, request: q.RequestBackfill) -> r.Backfill:
        return await self.write(backfills.request_backfill, request)

    async def advance_backfill(self, request: q.AdvanceBackfill) -> r.Backfill:
        return await self.write(backfills.advance_backfill, request)

    async def cancel_backfill(self, backfill_id: str, *, by: str) -> r.Backfill:
        return await self.write(backfills.cancel_backfill, backfill_id, by)

    async def schedule(self, schedule_id: str) -> r.Schedule:
        return await self.read(stored.get, schedule_id)

    async def schedules(self) -> Sequence[r.Schedule]:
        return await self.read(stored.all_schedules)

    async def schedulers_are_needed(self, until: datetime) -> bool:
        return await self.glance(needs.schedulers_are_needed, until)

    async def due_schedules(self, until: datetime) -> Sequence[r.Schedule]:
        return await self.glance(stored.due, until)

    async def occurrences(
        self, schedule_id: str, *, cursor: str | None = None, limit: int = 50
    ) -> r.Page[r.Occurrence]:
        return await self.read(occurrences.page, schedule_id, cursor, limit)

    async def latest_occurrences(self, schedule_ids: Sequence[str], *, limit: int) -> Sequence[r.Occurrence]:
        return await self.read(occurrences.latest, schedule_ids, limit)

    async def queued_occurrences(self) -> Sequence[r.Occurrence]:
        return await self.glance(occurrences.queued)

    async def schedule_changes(self, schedule_id: str, *, limit: int = 50) -> Sequence[r.ScheduleChange]:
        return await self.read(stored.changes, schedule_id, limit)

    async def backfill(self, backfill_id: str) -> r.Backfill:
        return await self.read(backfills.get, backfill_id)

    async def backfills(self, schedule_id: str | None = None, *, limit: int = 50) -> Sequence[r.Backfill]:
        return await self.read(backfills.listed, schedule_id, limit)

    async def open_backfills(self) -> Sequence[r.Backfill]:
        return await self.glance(backfills.open_ones)
