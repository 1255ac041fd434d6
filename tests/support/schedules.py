"""Short ways to a stored schedule, and to the requests of schedulers."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from agentflow.requests import AdvanceBackfill, DeclareSchedule, Fire, Miss, PauseSchedule, RequestBackfill
from agentflow.states import Overlap
from tests.support.stores import a_trigger

if TYPE_CHECKING:
    from datetime import datetime

    from agentflow.records import Backfill, Occurrence, Schedule
    from agentflow.store import Store

HOUR = timedelta(hours=1)


def declared(id: str = "hourly", **given: Any) -> DeclareSchedule:
    """An hourly schedule of the task "report", but for what is given."""
    values: dict[str, Any] = {"id": id, "task": "report", "rule": "0 * * * *"}
    return DeclareSchedule(**values | given)


async def planned(store: Store, id: str = "hourly", *, at: datetime | None = None, **given: Any) -> Schedule:
    """A schedule of the code that comes round at this time next: in an hour, if none is given."""
    await store.declare_schedules([declared(id, **given)], [given.get("task", "report")])
    return await plan(store, id, store.now() + HOUR if at is None else at)


async def plan(store: Store, id: str, at: datetime | None) -> Schedule:
    """The schedule, planned, as a scheduler does it."""
    one = await store.schedule(id)
    assert one.plan_from is not None
    assert await store.plan_schedule(id, revision=one.revision, plan_from=one.plan_from, next_fire_at=at)
    return await store.schedule(id)


def due(schedule: Schedule, at: datetime | None = None, *, after: timedelta | None = HOUR, **given: Any) -> Fire:
    """Its next occurrence, with the one after it; None for `after`: it is the last."""
    fire_at = schedule.next_fire_at if at is None else at
    assert fire_at is not None
    values: dict[str, Any] = {
        "schedule_id": schedule.id,
        "revision": schedule.revision,
        "fire_at": fire_at,
        "next_fire_at": None if after is None else fire_at + after,
        "run": a_trigger(schedule.task),
    }
    return Fire(**values | given)


def missed(schedule: Schedule, count: int, next_fire_at: datetime | None) -> Miss:
    """So many of its occurrences, from the next one on."""
    assert schedule.next_fire_at is not None
    return Miss(
        schedule_id=schedule.id,
        revision=schedule.revision,
        fire_at=schedule.next_fire_at,
        count=count,
        next_fire_at=next_fire_at,
    )


def paused(schedule_id: str = "hourly", by: str = "mia", reason: str = "") -> PauseSchedule:
    """The schedule is to start nothing."""
    return PauseSchedule(schedule_id=schedule_id, paused=True, by=by, reason=reason)


def resumed(schedule_id: str = "hourly", by: str = "mia") -> PauseSchedule:
    """The schedule is to go on."""
    return PauseSchedule(schedule_id=schedule_id, paused=False, by=by)


def a_backfill(since: datetime, hours: int, overlap: Overlap = Overlap.ALLOW, **given: Any) -> RequestBackfill:
    """A range of so many hours of the hourly schedule."""
    until = since + hours * HOUR
    values: dict[str, Any] = {"id": "bkf_1", "schedule_id": "hourly", "by": "mia"}
    return RequestBackfill(since=since, until=until, overlap=overlap, **values | given)


def step(backfill: Backfill, **given: Any) -> AdvanceBackfill:
    """The next step of a backfill of the hourly schedule, from its cursor on."""
    values: dict[str, Any] = {"fire_at": backfill.cursor, "next_at": backfill.cursor + HOUR, "run": a_trigger("report")}
    return AdvanceBackfill(backfill_id=backfill.id, cursor=backfill.cursor, **values | given)


async def occurrences_of(store: Store, schedule_id: str = "hourly") -> list[Occurrence]:
    """What became of the schedule's times, the oldest first."""
    return list(reversed((await store.occurrences(schedule_id, limit=1000)).items))
