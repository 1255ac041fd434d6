"""Schedules: what starts runs at their times, looked at and steered; and what schedulers do with them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from agentflow.client.scheduling import Scheduling, declaration
from agentflow.clock import MICROSECOND
from agentflow.errors import InvalidSetting
from agentflow.ids import BACKFILL, new_id
from agentflow.requests import FireByHand, PauseSchedule, RequestBackfill
from agentflow.states import Overlap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.records import Backfill, Occurrence, Page, Run, Schedule, ScheduleChange
    from agentflow.tasks.schedule import Schedule as Declared

LONGEST_REASON: Final = 500


class Schedules(Scheduling):
    """`client.schedules`. Each change takes effect in every process, and is kept with who made it."""

    # -- looking

    async def all(self) -> Sequence[Schedule]:
        """Every schedule, by id."""
        return await self._store.schedules()

    async def one(self, schedule_id: str) -> Schedule:
        """The schedule. Raises `ScheduleNotFound`."""
        return await self._store.schedule(schedule_id)

    async def occurrences(self, schedule_id: str, *, cursor: str | None = None, limit: int = 50) -> Page[Occurrence]:
        """What became of the schedule's times, the latest first. Raises `InvalidSetting` for a cursor that is none."""
        return await self._store.occurrences(schedule_id, cursor=cursor, limit=limit)

    async def latest(self, schedule_ids: Sequence[str], *, limit: int = 5) -> Sequence[Occurrence]:
        """Of each of these schedules the latest few occurrences, by schedule and the latest first."""
        return await self._store.latest_occurrences(schedule_ids, limit=limit)

    async def changes(self, schedule_id: str, *, limit: int = 50) -> Sequence[ScheduleChange]:
        """Who changed the schedule and how, the latest first."""
        return await self._store.schedule_changes(schedule_id, limit=limit)

    async def backfills(self, schedule_id: str | None = None, *, limit: int = 50) -> Sequence[Backfill]:
        """The latest backfills, of one schedule or of all, the newest first."""
        return await self._store.backfills(schedule_id, limit=limit)

    # -- changing

    async def upsert(self, schedule: Declared, *, by: str) -> Schedule:
        """The schedule, made or changed: one of a program, which no start of a scheduler takes out.

        Raises `TaskNotFound`, `InvalidInput` or, where the id is that of a schedule in code, `ScheduleTaken`; nothing
        was changed then.
        """
        request = declaration(schedule)
        self.run_of(request, self.now())  # whatever would keep each of its runs from starting is said now
        return await self._store.upsert_schedule(request, by=by)

    async def remove(self, schedule_id: str, *, by: str) -> None:
        """Take out a schedule of a program: it fires no more; its runs and occurrences stay.

        Raises `ScheduleNotFound` or, for one that is declared in code, `ScheduleTaken`; nothing was changed then.
        """
        await self._store.remove_schedule(schedule_id, by=by)

    async def pause(self, schedule_id: str, *, by: str, reason: str = "") -> Schedule:
        """The schedule, which starts nothing until it is resumed. Raises `ScheduleNotFound`."""
        request = PauseSchedule(schedule_id=schedule_id, paused=True, by=by, reason=_reason(reason))
        return await self._store.pause_schedule(request)

    async def resume(self, schedule_id: str, *, by: str) -> Schedule:
        """The schedule, going on from now: what came round meanwhile is not started. Raises `ScheduleNotFound`."""
        return await self._store.pause_schedule(PauseSchedule(schedule_id=schedule_id, paused=False, by=by))

    async def trigger(self, schedule_id: str, *, by: str) -> Run:
        """A run as the schedule would start it, now; paused or not, and whatever else runs.

        Raises `ScheduleNotFound`, `TaskNotFound`, `InvalidInput` or what refuses the run; no run was made then.
        """
        schedule = await self.one(schedule_id)
        at = self.now()
        while True:
            at += MICROSECOND if (at + MICROSECOND).microsecond else MICROSECOND * 2  # never one of the rule's times
            run = self.run_of(schedule, at)
            started = await self._store.fire_by_hand(FireByHand(schedule_id=schedule_id, fire_at=at, by=by, run=run))
            if started is not None:  # else somebody asked at the same instant
                return started

    async def backfill(
        self,
        schedule_id: str,
        *,
        since: datetime | str,
        until: datetime | str | None = None,
        by: str,
        overlap: Overlap | str = Overlap.ALLOW,
    ) -> Backfill:
        """A backfill: schedulers start, bit by bit, each occurrence from `since` until before `until` without a run.

        A time without an offset is one in the schedule's zone; `until` is now if left out. Raises `ScheduleNotFound`,
        or `InvalidSetting` for a range that is none or has not passed; nothing was asked for then.
        """
        zone, now = (await self.one(schedule_id)).timezone, self.now()
        first, last = _instant("since", since, zone), now if until is None else _instant("until", until, zone)
        if not first < last <= now:
            raise InvalidSetting(
                f"from {first.isoformat()} until {last.isoformat()} is no range of the past; it is "
                f"{now.isoformat(timespec='seconds')} now. Nothing was asked for"
            )
        request = RequestBackfill(
            id=new_id(BACKFILL, now), schedule_id=schedule_id, since=first, until=last, overlap=_overlap(overlap), by=by
        )
        return await self._store.request_backfill(request)

    async def one_backfill(self, backfill_id: str) -> Backfill:
        """The backfill, with how far it has come. Raises `BackfillNotFound`."""
        return await self._store.backfill(backfill_id)

    async def cancel_backfill(self, backfill_id: str, *, by: str) -> Backfill:
        """The backfill, going no further; the runs it started go on. Raises `BackfillNotFound`."""
        return await self._store.cancel_backfill(backfill_id, by=by)


def _reason(reason: str) -> str:
    text = reason.strip().replace("\0", "\ufffd")
    if len(text) > LONGEST_REASON:
        raise InvalidSetting(f"the reason is {len(text):,} characters long; wanted {LONGEST_REASON} at most")
    return text


def _instant(name: str, given: datetime | str, zone: str) -> datetime:
    try:
        found = datetime.fromisoformat(given) if isinstance(given, str) else given
        found = found if found.utcoffset() is not None else found.replace(tzinfo=ZoneInfo(zone))
        return found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidSetting(
            f'{name} is {given!r}; wanted a time such as "2026-01-05", "2026-01-05 09:00" or one with an offset'
        ) from None


def _overlap(given: Overlap | str) -> Overlap:
    try:
        return Overlap(given)
    except ValueError:
        raise InvalidSetting(f"overlap is {given!r}; wanted {', '.join(Overlap)}") from None
