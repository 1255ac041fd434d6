"""What schedulers do with schedules: make them those of the code, plan them, and start what comes round."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from agentflow.client.holder import Holder
from agentflow.payloads import encode
from agentflow.requests import AdvanceBackfill, DeclareSchedule, Fire, Miss, StartQueued
from agentflow.states import OccurrenceKind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from agentflow.records import Backfill, Occurrence, Reconciled, Schedule
    from agentflow.requests import TriggerRun
    from agentflow.tasks.schedule import Schedule as Declared


class Scheduling(Holder):
    """The part of `client.schedules` that is for schedulers. Any number of them may call it at once."""

    async def declare(self, declared: Sequence[Declared], *, dry_run: bool = False) -> Reconciled:
        """What was added, changed and removed so that the schedules in code of the catalog's tasks are `declared`.

        With `dry_run` only told, not done. Raises `ScheduleTaken` where a program has made one of these ids; nothing
        was changed then.
        """
        requests = [declaration(one) for one in declared]
        return await self._store.declare_schedules(requests, tuple(self.catalog.tasks), dry_run=dry_run)

    async def need_a_scheduler(self, until: datetime) -> bool:
        """Whether there is anything in `due`, `queued` or `open_backfills`: one short question in place of three."""
        return await self._store.schedulers_are_needed(until)

    async def due(self, until: datetime) -> Sequence[Schedule]:
        """Those that a scheduler has to plan, or whose next time is `until` or before; none that is paused."""
        return await self._store.due_schedules(until)

    async def plan(self, schedule: Schedule, next_fire_at: datetime | None) -> bool:
        """Whether this is now the schedule's next time; False if it was planned or changed since it was read."""
        if schedule.plan_from is None:
            return False
        return await self._store.plan_schedule(
            schedule.id, revision=schedule.revision, plan_from=schedule.plan_from, next_fire_at=next_fire_at
        )

    async def fire(
        self,
        schedule: Schedule,
        *,
        at: datetime,
        next_at: datetime | None,
        kind: OccurrenceKind = OccurrenceKind.DUE,
    ) -> Occurrence | None:
        """What became of the occurrence at `at`: started, queued or skipped, the schedule going on to `next_at`.

        None if it was dealt with before, or the schedule changed since it was read. Raises `TaskNotFound`,
        `InvalidInput` or what refuses the run; the occurrence is still due then.
        """
        request = Fire(
            schedule_id=schedule.id,
            revision=schedule.revision,
            fire_at=at,
            next_fire_at=next_at,
            run=self.run_of(schedule, at),
            kind=kind,
        )
        return await self._store.fire(request)

    async def miss(
        self, schedule: Schedule, *, at: datetime, count: int, next_at: datetime | None
    ) -> Occurrence | None:
        """What says that `count` occurrences from `at` on were missed, the schedule going on to `next_at`.

        None if they were dealt with before, or the schedule changed since it was read.
        """
        request = Miss(
            schedule_id=schedule.id, revision=schedule.revision, fire_at=at, count=count, next_fire_at=next_at
        )
        return await self._store.miss(request)

    async def queued(self) -> Sequence[Occurrence]:
        """The oldest queued occurrence of each schedule that is not paused."""
        return await self._store.queued_occurrences()

    async def start_queued(self, occurrence: Occurrence) -> Occurrence | None:
        """The queued occurrence, started or skipped; None while a run of its schedule is open, or if it was before.

        Raises as `fire` does; the occurrence is still queued then.
        """
        schedule = await self._store.schedule(occurrence.schedule_id)
        run = self.run_of(schedule, occurrence.fire_at)
        return await self._store.start_queued(StartQueued(schedule_id=schedule.id, fire_at=occurrence.fire_at, run=run))

    async def open_backfills(self) -> Sequence[Backfill]:
        """Those not finished, the oldest first."""
        return await self._store.open_backfills()

    async def advance_backfill(self, backfill: Backfill, *, at: datetime | None, next_at: datetime | None) -> Backfill:
        """The backfill, past its first occurrence `at` from its cursor on, which was started if it had no run.

        `next_at` is the schedule's next time; None for `at`: there is none left, and it is finished. Its cursor stays
        where somebody else was there first, or while a run is open that it is to wait for. Raises as `fire` does.
        """
        run = None
        if at is not None:
            run = self.run_of(await self._store.schedule(backfill.schedule_id), at)
        request = AdvanceBackfill(backfill_id=backfill.id, cursor=backfill.cursor, fire_at=at, next_at=next_at, run=run)
        return await self._store.advance_backfill(request)

    def run_of(self, schedule: Schedule | DeclareSchedule, at: datetime) -> TriggerRun:
        """What the schedule asks for at this time. Raises `TaskNotFound`, `InvalidInput`."""
        task = self.catalog.task(schedule.task)
        given: Any = json.loads(schedule.input)
        if schedule.occurrence_as is not None:
            given |= {schedule.occurrence_as: at.astimezone(ZoneInfo(schedule.timezone)).isoformat()}
        return task.request(task.encode_json(given), origin=f"schedule {schedule.id}")


def declaration(schedule: Declared) -> DeclareSchedule:
    """The schedule as it is stored."""
    return DeclareSchedule(
        id=schedule.id,
        task=schedule.task,
        rule=schedule.rule,
        timezone=schedule.timezone,
        input=encode(dict(schedule.input)),
        spread=schedule.spread,
        overlap=schedule.overlap,
        catch_up=schedule.catch_up,
        start_at=schedule.start,
        end_at=schedule.end,
        occurrence_as=schedule.occurrence_as,
    )
