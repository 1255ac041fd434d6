"""Promises about schedules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from agentflow.records import Backfill, Occurrence, Page, Reconciled, Run, Schedule, ScheduleChange
    from agentflow.requests import (
        AdvanceBackfill,
        DeclareSchedule,
        Fire,
        FireByHand,
        Miss,
        PauseSchedule,
        RequestBackfill,
        StartQueued,
    )


class Schedules(Protocol):
    """Schedules: each of their times starts one run at most, however many schedulers look."""

    async def declare_schedules(
        self, declared: Sequence[DeclareSchedule], tasks: Collection[str], *, dry_run: bool = False
    ) -> Reconciled:
        """What was added, changed and removed so that the schedules in code of `tasks` are those declared.

        One that is new, or whose times changed, is to be planned from now; pauses stay. With `dry_run` only told, not
        done. Raises `ScheduleTaken` where a program has made one of these ids; nothing was changed then.
        """
        ...

    async def upsert_schedule(self, declared: DeclareSchedule, *, by: str) -> Schedule:
        """The schedule of a program, made or changed. Raises `ScheduleTaken` for one that is declared in code."""
        ...

    async def remove_schedule(self, schedule_id: str, *, by: str) -> None:
        """Take out a schedule: it fires no more, what is queued is skipped, open backfills end. Its past stays.

        Raises `ScheduleNotFound`, or `ScheduleTaken` for one that is declared in code; nothing was changed then.
        """
        ...

    async def pause_schedule(self, request: PauseSchedule) -> Schedule:
        """The schedule, paused or planned anew from now. Raises `ScheduleNotFound`."""
        ...

    async def plan_schedule(
        self, schedule_id: str, *, revision: int, plan_from: datetime, next_fire_at: datetime | None
    ) -> bool:
        """Whether this is now its next time; False if it was planned, changed or removed meanwhile."""
        ...

    async def fire(self, request: Fire) -> Occurrence | None:
        """What became of this occurrence: started, queued or skipped, in one transaction with its run.

        None if it was dealt with before, or if the schedule was changed, paused or removed meanwhile. Where the run is
        refused what refuses it is raised, and the occurrence is still due; a taken singleton key skips it.
        """
        ...

    async def miss(self, request: Miss) -> Occurrence | None:
        """What says that these occurrences were missed, the schedule being past them; None as for `fire`."""
        ...

    async def start_queued(self, request: StartQueued) -> Occurrence | None:
        """The queued occurrence, started or skipped; None if a run is open, or it is not queued any more."""
        ...

    async def fire_by_hand(self, request: FireByHand) -> Run | None:
        """The run of this occurrence, whether the schedule is paused or not; None if there is one of this instant.

        Raises `ScheduleNotFound` or what refuses the run; nothing was changed then.
        """
        ...

    async def request_backfill(self, request: RequestBackfill) -> Backfill:
        """The backfill, from now on worked off by schedulers. Raises `ScheduleNotFound`."""
        ...

    async def advance_backfill(self, request: AdvanceBackfill) -> Backfill:
        """The backfill as it is afterwards: one occurrence further, the run being started if there was none.

        Unchanged where it had moved on or ended meanwhile, or waits for the schedule's open run to end. Raises
        `BackfillNotFound`, or what refuses the run; nothing was changed then.
        """
        ...

    async def cancel_backfill(self, backfill_id: str, *, by: str) -> Backfill:
        """The backfill, ended; what it has started goes on. Raises `BackfillNotFound`."""
        ...

    async def schedule(self, schedule_id: str) -> Schedule:
        """The schedule. Raises `ScheduleNotFound`."""
        ...

    async def schedules(self) -> Sequence[Schedule]:
        """Every schedule, by id."""
        ...

    async def schedulers_are_needed(self, until: datetime) -> bool:
        """Whether any is due as `due_schedules` says, has an occurrence queued and is not paused, or is filled in."""
        ...

    async def due_schedules(self, until: datetime) -> Sequence[Schedule]:
        """Those not paused that are to be planned, or whose next time is `until` or before, by id."""
        ...

    async def occurrences(self, schedule_id: str, *, cursor: str | None = None, limit: int = 50) -> Page[Occurrence]:
        """Occurrences of the schedule, the latest first. Raises `InvalidSetting` for a cursor that is none."""
        ...

    async def latest_occurrences(self, schedule_ids: Sequence[str], *, limit: int) -> Sequence[Occurrence]:
        """Of each of these schedules the latest few, by schedule and the latest first."""
        ...

    async def queued_occurrences(self) -> Sequence[Occurrence]:
        """The oldest queued one of each schedule that is not paused."""
        ...

    async def schedule_changes(self, schedule_id: str, *, limit: int = 50) -> Sequence[ScheduleChange]:
        """Who changed the schedule, the latest first."""
        ...

    async def backfill(self, backfill_id: str) -> Backfill:
        """The backfill. Raises `BackfillNotFound`."""
        ...

    async def backfills(self, schedule_id: str | None = None, *, limit: int = 50) -> Sequence[Backfill]:
        """The latest backfills, the newest first."""
        ...

    async def open_backfills(self) -> Sequence[Backfill]:
        """Those not finished, the oldest first."""
        ...
