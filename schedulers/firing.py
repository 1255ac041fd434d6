"""Starting what has come due. Any number of schedulers may do so at once: the store lets each time start one run."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from agentflow.errors import StoreError
from agentflow.states import OccurrenceOutcome
from schedulers.backfilling import work_off
from schedulers.occurrences import delay, following, look

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from agentflow.client import Client
    from agentflow.records import Backfill, Occurrence, Schedule
    from schedulers.occurrences import Look, Missed

logger = logging.getLogger(__name__)

# A gap between two looks up to this long is a busy machine, a longer one is downtime.
LATE: Final = timedelta(minutes=1)
# So much of the past is worked out at once; more is left to a thread, while the loop goes on.
LONG: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look has done, and when the next thing within its sight comes due."""

    started: int = 0
    next_at: datetime | None = None

    def __add__(self, other: Looked) -> Looked:
        known = [at for at in (self.next_at, other.next_at) if at is not None]
        return Looked(self.started + other.started, min(known, default=None))


@dataclass(slots=True)
class Firing:
    """One scheduler's looks at the schedules. `reported` holds why a schedule starts no runs, so it is said once."""

    client: Client
    reported: dict[str, str] = field(default_factory=dict)

    async def look(self, *, since: datetime | None = None, ahead: timedelta = timedelta()) -> Looked:
        """Plan what is to be planned, start what has come due or was queued, and go on with backfills.

        `since` is when this process looked before; what it is to see of the future comes within `ahead`. A schedule
        that cannot start runs (its task is not known here, its input no longer fits) is logged and stays due; the
        others go on. Raises `StoreError` where the store is out of reach; what was started before that stands.
        """
        now, schedules = self.client.now(), self.client.schedules
        total = Looked()
        if not await schedules.need_a_scheduler(now + ahead):
            return total
        for schedule in await schedules.due(now + ahead):
            total += await self._reporting(f"schedule {schedule.id}", self._deal_with(schedule, now, since))
        for occurrence in await schedules.queued():
            name = f"what is queued of schedule {occurrence.schedule_id}"
            total += await self._reporting(name, self._start_queued(occurrence))
        for backfill in await schedules.open_backfills():
            name = f"backfill {backfill.id} of schedule {backfill.schedule_id}"
            total += await self._reporting(name, self._work_off(backfill, now))
        return total

    async def _deal_with(self, schedule: Schedule, now: datetime, since: datetime | None) -> Looked:
        if schedule.plan_from is not None:
            next_at = following(schedule, schedule.plan_from)
            if not await self.client.schedules.plan(schedule, next_at):
                return Looked()  # somebody else did, or changed it
            if next_at is None:
                logger.warning("schedule %s has no time to come after %s", schedule.id, schedule.plan_from)
            schedule = replace(schedule, next_fire_at=next_at, plan_from=None)
        if schedule.next_fire_at is None or schedule.next_fire_at + delay(schedule) > now:
            return _not_yet(schedule, schedule.next_fire_at)
        # Before anything is said to be missed: with this input, or without this task, nothing would start.
        self.client.schedules.run_of(schedule, schedule.next_fire_at)
        is_long = now - schedule.next_fire_at > LONG
        known = _last_looked_at(schedule, now, since)
        found = await asyncio.to_thread(_look, schedule, now, known) if is_long else _look(schedule, now, known)
        return await self._start(schedule, found)

    async def _start(self, schedule: Schedule, found: Look) -> Looked:
        """Where somebody else is dealing with the schedule, or has changed it, the rest is left to the next look."""
        schedules, started = self.client.schedules, 0
        if (missed := found.missed) is not None:
            if await schedules.miss(schedule, at=missed.at, count=missed.count, next_at=missed.next_at) is None:
                return _not_yet(schedule, found.next_at)
            _log_missed(schedule, missed, len(found.due))
        for one in found.due:
            became = await schedules.fire(schedule, at=one.at, next_at=one.next_at, kind=one.kind)
            if became is None:
                break
            started += became.outcome is OccurrenceOutcome.STARTED
        return Looked(started) + _not_yet(schedule, found.next_at)

    async def _start_queued(self, occurrence: Occurrence) -> Looked:
        became = await self.client.schedules.start_queued(occurrence)
        return Looked(int(became is not None and became.outcome is OccurrenceOutcome.STARTED))

    async def _work_off(self, backfill: Backfill, now: datetime) -> Looked:
        after = await work_off(self.client, backfill)
        is_moving = after.finished_at is None and after.cursor != backfill.cursor
        return Looked(max(0, after.started - backfill.started), now if is_moving else None)

    async def _reporting(self, what: str, dealing: Awaitable[Looked]) -> Looked:
        """What came of it; nothing where it failed, which is said once, and again only when it fails otherwise."""
        try:
            found = await dealing
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001  whatever is wrong with one schedule must not stop the others
            self._report(what, error)
            return Looked()
        self.reported.pop(what, None)
        return found

    def _report(self, what: str, error: Exception) -> None:
        reason = f"{type(error).__name__}: {error}"
        if self.reported.get(what) != reason:
            self.reported[what] = reason
            logger.error("%s starts no runs: %s", what, reason)


async def fire_due(client: Client) -> int:
    """Start what has come due, once; how many runs this call started. See `Firing.look`."""
    return (await Firing(client).look()).started


def _look(schedule: Schedule, now: datetime, since: datetime | None) -> Look:
    return look(schedule, now, since=since)


def _not_yet(schedule: Schedule, at: datetime | None) -> Looked:
    return Looked(next_at=None if at is None else at + delay(schedule))


def _last_looked_at(schedule: Schedule, now: datetime, since: datetime | None) -> datetime | None:
    """When the schedule was last looked at, by this process or, if that was just now, by whoever fired it."""
    known = [] if since is None else [since]
    if schedule.last_fire_at is not None and now - (fired_at := schedule.last_fire_at + delay(schedule)) <= LATE:
        known.append(fired_at)
    return min(known, default=None)


def _log_missed(schedule: Schedule, missed: Missed, started: int) -> None:
    logger.warning(
        "schedule %s was not looked at from %s on: it missed %d occurrence%s, and starts %d (catch_up is %s)",
        schedule.id,
        missed.at,
        missed.count,
        "s" * (missed.count != 1),
        started,
        schedule.catch_up,
    )
