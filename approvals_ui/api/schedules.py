"""/api/v1/schedules: what starts runs at its times."""

from functools import partial
from typing import Final

from litestar import Controller, Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath

from agentflow.errors import (
    BackfillNotFound,
    DefinitionError,
    InvalidInput,
    InvalidSetting,
    QueueFull,
    ScheduleNotFound,
    ScheduleTaken,
    SingletonTaken,
    TaskNotFound,
)
from agentflow.tasks.schedule import Schedule
from approvals_ui.api.endpoint import endpoint, reply
from approvals_ui.api.reading import body_of, query_of
from approvals_ui.api.shapes.runs import RunView, Steering, run_view
from approvals_ui.api.shapes.schedules import (
    BackfillList,
    BackfillsQuery,
    BackfillView,
    NewBackfill,
    NewSchedule,
    OccurrencePage,
    OccurrencesQuery,
    ScheduleList,
    ScheduleView,
    Upcoming,
    UpcomingQuery,
    backfill_view,
    occurrence_view,
    schedule_view,
)
from approvals_ui.caller import Caller
from approvals_ui.desk import Desk
from approvals_ui.views import Asked

reads = partial(endpoint, tag="schedules", scope="schedules:read", raises=(ScheduleNotFound,))
writes = partial(endpoint, tag="schedules", scope="schedules:write", raises=(ScheduleNotFound,), gives=ScheduleView)
NIGHTLY: Final = {"task": "double", "rule": "0 9 * * mon-fri", "timezone": "Europe/Berlin", "input": {"number": 21}}


class ScheduleEndpoints(Controller):
    """Schedules."""

    path = "/schedules"

    @get(opt=reads("listSchedules", "List schedules", gives=ScheduleList, raises=()))
    async def listing(self, desk: NamedDependency[Desk]) -> Response[bytes]:
        """Every schedule, by id: those declared in code and those of programs."""
        return reply(ScheduleList(items=[schedule_view(one) for one in await desk.client.schedules.all()]))

    @get("/{schedule_id:str}", opt=reads("getSchedule", "Get a schedule", gives=ScheduleView))
    async def one(self, desk: NamedDependency[Desk], schedule_id: FromPath[str]) -> Response[bytes]:
        """One schedule, and when it fires next."""
        return reply(schedule_view(await desk.client.schedules.one(schedule_id)))

    @put(
        "/{schedule_id:str}",
        opt=writes(
            "putSchedule",
            "Make or change a schedule",
            takes=NewSchedule,
            raises=(DefinitionError, TaskNotFound, InvalidInput, ScheduleTaken),
            examples={"weekdays": NIGHTLY, "interval": {"task": "double", "rule": "every 30s", "input": {"number": 1}}},
        ),
    )
    async def put(
        self, request: Asked, desk: NamedDependency[Desk], caller: NamedDependency[Caller], schedule_id: FromPath[str]
    ) -> Response[bytes]:
        """Make the schedule, or change it to be this. One that is declared in code is changed in code: 409."""
        asked = await body_of(request, NewSchedule)
        wanted = Schedule(
            asked.task,
            asked.rule,
            id=schedule_id,
            timezone=asked.timezone,
            input=asked.input or {},
            spread=asked.spread,
            overlap=asked.overlap,
            catch_up=asked.catch_up,
            start=asked.start,
            end=asked.end,
            occurrence_as=asked.occurrence_as,
        )
        return reply(schedule_view(await desk.client.schedules.upsert(wanted, by=caller.name)))

    @delete(
        "/{schedule_id:str}",
        opt=writes("removeSchedule", "Remove a schedule", gives={204: None}, raises=(ScheduleNotFound, ScheduleTaken)),
    )
    async def remove(
        self, desk: NamedDependency[Desk], caller: NamedDependency[Caller], schedule_id: FromPath[str]
    ) -> None:
        """Take out a schedule of a program: it fires no more; its runs and occurrences stay."""
        await desk.client.schedules.remove(schedule_id, by=caller.name)

    @post(
        "/{schedule_id:str}/pause",
        status_code=200,
        opt=writes(
            "pauseSchedule",
            "Pause a schedule",
            takes=Steering,
            is_body_optional=True,
            raises=(ScheduleNotFound, InvalidSetting),
            examples={"why": {"reason": "stock-taking"}},
        ),
    )
    async def pause(
        self, request: Asked, desk: NamedDependency[Desk], caller: NamedDependency[Caller], schedule_id: FromPath[str]
    ) -> Response[bytes]:
        """Start nothing until it is resumed."""
        asked = await body_of(request, Steering)
        paused = await desk.client.schedules.pause(schedule_id, by=caller.name, reason=asked.reason)
        return reply(schedule_view(paused))

    @post("/{schedule_id:str}/resume", status_code=200, opt=writes("resumeSchedule", "Resume a schedule"))
    async def resume(
        self, desk: NamedDependency[Desk], caller: NamedDependency[Caller], schedule_id: FromPath[str]
    ) -> Response[bytes]:
        """Go on from now: what came round meanwhile is not started."""
        return reply(schedule_view(await desk.client.schedules.resume(schedule_id, by=caller.name)))

    @post(
        "/{schedule_id:str}/trigger",
        opt=writes(
            "triggerSchedule",
            "Start a schedule's run now",
            gives={201: RunView},
            said={201: "The run is recorded. `Location` is where to read it."},
            raises=(ScheduleNotFound, TaskNotFound, InvalidInput, SingletonTaken, QueueFull),
        ),
    )
    async def trigger(
        self, desk: NamedDependency[Desk], caller: NamedDependency[Caller], schedule_id: FromPath[str]
    ) -> Response[bytes]:
        """Start a run as the schedule would, now; paused or not, and whatever else runs."""
        run = await desk.client.schedules.trigger(schedule_id, by=caller.name)
        return reply(run_view(run), status=201, location=f"/runs/{run.id}")

    @get(
        "/{schedule_id:str}/occurrences",
        opt=reads(
            "listOccurrences",
            "List a schedule's occurrences",
            query=OccurrencesQuery,
            gives=OccurrencePage,
            raises=(InvalidSetting,),
        ),
    )
    async def occurrences(
        self, request: Asked, desk: NamedDependency[Desk], schedule_id: FromPath[str]
    ) -> Response[bytes]:
        """What became of the schedule's times, the latest first; also of a schedule that is gone."""
        asked = query_of(request, OccurrencesQuery)
        found = await desk.client.schedules.occurrences(schedule_id, cursor=asked.cursor, limit=asked.limit)
        return reply(OccurrencePage(items=[occurrence_view(one) for one in found.items], next_cursor=found.next_cursor))

    @get(
        "/{schedule_id:str}/upcoming",
        opt=reads("listUpcoming", "Say when a schedule fires", query=UpcomingQuery, gives=Upcoming),
    )
    async def upcoming(
        self, request: Asked, desk: NamedDependency[Desk], schedule_id: FromPath[str]
    ) -> Response[bytes]:
        """The next times of the schedule, ten unless asked for another number."""
        asked = query_of(request, UpcomingQuery)
        schedule = await desk.client.schedules.one(schedule_id)
        times = desk.upcoming(schedule, asked.count) if schedule.paused_at is None else ()
        return reply(Upcoming(items=list(times)))

    @post(
        "/{schedule_id:str}/backfills",
        opt=writes(
            "backfillSchedule",
            "Start a backfill",
            takes=NewBackfill,
            gives={201: BackfillView},
            said={201: "Schedulers work it off, bit by bit."},
            raises=(ScheduleNotFound, InvalidSetting),
            examples={"a day": {"since": "2026-11-21T00:00:00Z", "until": "2026-11-22T00:00:00Z"}},
        ),
    )
    async def backfill(
        self, request: Asked, desk: NamedDependency[Desk], caller: NamedDependency[Caller], schedule_id: FromPath[str]
    ) -> Response[bytes]:
        """Have each occurrence of a range of the past started that has no run."""
        asked = await body_of(request, NewBackfill)
        made = await desk.client.schedules.backfill(
            schedule_id, since=asked.since, until=asked.until, overlap=asked.overlap, by=caller.name
        )
        return reply(backfill_view(made), status=201, location=f"/schedules/{made.schedule_id}/backfills")

    @get(
        "/{schedule_id:str}/backfills",
        opt=reads("listBackfills", "List a schedule's backfills", query=BackfillsQuery, gives=BackfillList, raises=()),
    )
    async def backfills(
        self, request: Asked, desk: NamedDependency[Desk], schedule_id: FromPath[str]
    ) -> Response[bytes]:
        """The latest backfills of the schedule, newest first."""
        asked = query_of(request, BackfillsQuery)
        found = await desk.client.schedules.backfills(schedule_id, limit=asked.limit)
        return reply(BackfillList(items=[backfill_view(one) for one in found]))

    @post(
        "/backfills/{backfill_id:str}/cancel",
        status_code=200,
        opt=writes("cancelBackfill", "Cancel a backfill", gives=BackfillView, raises=(BackfillNotFound,)),
    )
    async def cancel_backfill(
        self, desk: NamedDependency[Desk], caller: NamedDependency[Caller], backfill_id: FromPath[str]
    ) -> Response[bytes]:
        """Go no further; the runs it started go on."""
        return reply(backfill_view(await desk.client.schedules.cancel_backfill(backfill_id, by=caller.name)))
