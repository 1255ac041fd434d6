"""The pages of schedules: what starts runs at its times, what became of them, steering it, and filling in the past."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote, unquote
from zoneinfo import ZoneInfo

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect

from agentflow.errors import InvalidInput, InvalidSetting, QueueFull, SingletonTaken, TaskNotFound
from agentflow.records import Backfill, Occurrence, Schedule, ScheduleChange
from agentflow.states import OccurrenceOutcome, Overlap
from agentflow.tasks.wording import rule_in_words
from approvals_ui.access import needs
from approvals_ui.caller import Caller
from approvals_ui.desk import Desk
from approvals_ui.forms import first, submission_of
from approvals_ui.problems import Refused
from approvals_ui.views import Asked, page

PAGE_SIZE: Final = 100
UPCOMING: Final = 10
LATEST: Final = 8
OCCURRENCES: Final = 50
CHANGES: Final = 50
STATES: Final = ("on", "paused", "over")
VERBS: Final = ("trigger", "backfill", "remove")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A schedule as a page shows it."""

    one: Schedule
    words: str
    latest: Sequence[Occurrence] = ()

    @property
    def path(self) -> str:
        """Where its page is: an id may have a slash in it, so it is encoded for the address, and once more."""
        return f"/schedules/{quote(quote(self.one.id, safe=''), safe='')}"

    @property
    def state(self) -> str:
        """Whether it fires, in one word."""
        return state_of(self.one)

    @property
    def has_input(self) -> bool:
        """Whether there is an input to be shown."""
        return bool(json.loads(self.one.input))

    def tone(self, one: Occurrence) -> str:
        """The word whose colour an occurrence has: where its run is, else what became of it."""
        if one.outcome is OccurrenceOutcome.STARTED:
            return str(one.run_status or "started")
        return {"queued": "pending", "skipped": "cancelled", "missed": "timed_out"}[one.outcome]

    def local(self, at: datetime, *, weekday: bool = False) -> str:
        """The time as the clocks of its zone show it."""
        here = at.astimezone(ZoneInfo(self.one.timezone))
        seconds = "" if not here.second else f"{here:%S}".rjust(3, ":")
        return f"{here:%a %Y-%m-%d %H:%M}{seconds}" if weekday else f"{here:%Y-%m-%d %H:%M}{seconds}"


class SchedulePages(Controller):
    """`/schedules` and below."""

    path = "/schedules"
    include_in_schema = False
    opt = needs("schedules:read")

    @get()
    async def listing(
        self,
        request: Asked,
        desk: NamedDependency[Desk],
        *,
        q: FromQuery[str] = "",
        cursor: FromQuery[str] = "",
    ) -> Response[str]:
        """Every schedule with its rule, its next time and what became of the latest ones, a page at a time."""
        everything = await desk.client.schedules.all()
        sought, state = q.strip().lower(), request.query_params.get("state", "")
        fits = [one for one in everything if sought in f"{one.id}\n{one.task}".lower()]
        counts = {name: sum(state_of(one) == name for one in fits) for name in STATES}
        found = [one for one in fits if one.id > cursor and state in ("", state_of(one))]
        rows = await _rows(desk, found[:PAGE_SIZE])
        more = found[PAGE_SIZE - 1].id if len(found) > PAGE_SIZE else None
        shown: dict[str, Any] = {"rows": rows, "q": q.strip(), "state": state, "states": counts, "total": len(fits)}
        return await page(request, desk, "schedules.html", next_cursor=more, cursor=cursor, **shown)

    @get("/{schedule_id:str}")
    async def one(
        self,
        request: Asked,
        desk: NamedDependency[Desk],
        schedule_id: FromPath[str],
        cursor: FromQuery[str | None] = None,
    ) -> Response[str]:
        """One schedule: its next times, what became of those before, backfills, who changed it, and the forms."""
        shown = await _shown(desk, schedule_id)
        schedules = desk.client.schedules
        return await page(
            request,
            desk,
            "schedule.html",
            shown=shown,
            upcoming=desk.upcoming(shown.one, UPCOMING),
            knows_upcoming=desk.knows_upcoming,
            occurrences=await schedules.occurrences(shown.one.id, cursor=cursor, limit=OCCURRENCES),
            cursor=cursor,
            backfills=[Progress(one) for one in await schedules.backfills(shown.one.id, limit=OCCURRENCES)],
            changes=[_told(one) for one in await schedules.changes(shown.one.id, limit=CHANGES)],
            overlaps=list(Overlap),
        )

    @post(["/{schedule_id:str}/pause", "/{schedule_id:str}/resume"], opt=needs("schedules:write"))
    async def steer(
        self, request: Asked, desk: NamedDependency[Desk], caller: NamedDependency[Caller], schedule_id: FromPath[str]
    ) -> Redirect:
        """Pause the schedule, or go on with it from now."""
        shown, reason = await _shown(desk, schedule_id), first(await submission_of(request), "reason")
        if request.url.path.endswith("/pause"):
            await desk.client.schedules.pause(shown.one.id, by=caller.name, reason=reason)
        else:
            await desk.client.schedules.resume(shown.one.id, by=caller.name)
        return Redirect(shown.path, status_code=303)

    @get([f"/{{schedule_id:str}}/{verb}" for verb in VERBS], opt=needs("schedules:write"))
    async def confirm(self, request: Asked, desk: NamedDependency[Desk], schedule_id: FromPath[str]) -> Response[str]:
        """What a verb would do, with the button that does it."""
        shown, verb = await _shown(desk, schedule_id), request.url.path.rpartition("/")[2]
        asked = {name: request.query_params.get(name, "") for name in ("since", "until", "overlap")}
        if verb == "backfill" and not asked["since"]:
            raise Refused(422, "A backfill needs a time to begin at. Nothing was asked for.")
        return await page(request, desk, "schedule_confirm.html", shown=shown, verb=verb, asked=asked)

    @post("/{schedule_id:str}/trigger", opt=needs("schedules:write"))
    async def trigger(
        self, desk: NamedDependency[Desk], caller: NamedDependency[Caller], schedule_id: FromPath[str]
    ) -> Redirect:
        """Start a run as the schedule would, and show it."""
        shown = await _shown(desk, schedule_id)
        try:
            run = await desk.client.schedules.trigger(shown.one.id, by=caller.name)
        except (TaskNotFound, InvalidInput, SingletonTaken, QueueFull) as error:
            raise Refused(409, f"No run was started: {error}") from error
        return Redirect(f"/runs/{run.id}", status_code=303)

    @post("/{schedule_id:str}/backfill", opt=needs("schedules:write"))
    async def backfill(
        self, request: Asked, desk: NamedDependency[Desk], caller: NamedDependency[Caller], schedule_id: FromPath[str]
    ) -> Redirect:
        """Ask for a range of the past to be filled in."""
        shown, submission = await _shown(desk, schedule_id), await submission_of(request)
        since, until, overlap = (first(submission, name).strip() for name in ("since", "until", "overlap"))
        try:
            await desk.client.schedules.backfill(
                shown.one.id, since=since, until=until or None, by=caller.name, overlap=overlap or Overlap.ALLOW
            )
        except InvalidSetting as error:
            raise Refused(422, str(error)) from error
        return Redirect(f"{shown.path}#backfills", status_code=303)

    @post("/{schedule_id:str}/cancel-backfill", opt=needs("schedules:write"))
    async def cancel_backfill(
        self, request: Asked, desk: NamedDependency[Desk], caller: NamedDependency[Caller], schedule_id: FromPath[str]
    ) -> Redirect:
        """Let a backfill go no further."""
        shown, submission = await _shown(desk, schedule_id), await submission_of(request)
        await desk.client.schedules.cancel_backfill(first(submission, "backfill"), by=caller.name)
        return Redirect(f"{shown.path}#backfills", status_code=303)

    @post("/{schedule_id:str}/remove", opt=needs("schedules:write"))
    async def remove(
        self, desk: NamedDependency[Desk], caller: NamedDependency[Caller], schedule_id: FromPath[str]
    ) -> Redirect:
        """Take out a schedule that a program made."""
        await desk.client.schedules.remove(unquote(schedule_id), by=caller.name)
        return Redirect("/schedules", status_code=303)


@dataclass(frozen=True, slots=True)
class Progress:
    """A backfill with how far it has come."""

    one: Backfill

    @property
    def percent(self) -> int:
        """How much of its range is behind it."""
        whole = self.one.until - self.one.since
        return int(100 * ((self.one.cursor - self.one.since) / whole)) if whole else 100

    @property
    def state(self) -> str:
        """Where it is, in one word."""
        if self.one.finished_at is None:
            return "open"
        return "cancelled" if self.one.cancelled_by else "finished"


def state_of(one: Schedule) -> str:
    """Whether it fires, in one word."""
    if one.paused_at is not None:
        return "paused"
    return "over" if one.next_fire_at is None and one.plan_from is None else "on"


async def _shown(desk: Desk, schedule_id: str) -> Shown:
    """The schedule of a page's address. Raises `ScheduleNotFound`."""
    one = await desk.client.schedules.one(unquote(schedule_id))
    return Shown(one=one, words=rule_in_words(one.rule, one.timezone))


async def _rows(desk: Desk, found: Sequence[Schedule]) -> list[Shown]:
    latest: dict[str, list[Occurrence]] = {one.id: [] for one in found}
    for occurrence in await desk.client.schedules.latest(list(latest), limit=LATEST):
        latest[occurrence.schedule_id].insert(0, occurrence)
    return [Shown(one=one, words=rule_in_words(one.rule, one.timezone), latest=latest[one.id]) for one in found]


@dataclass(frozen=True, slots=True)
class Told:
    """A change as people read it: what happened, and each field that is another now."""

    change: ScheduleChange
    said: str
    fields: Sequence[tuple[str, str, str]]


def _told(change: ScheduleChange) -> Told:
    made: Mapping[str, Sequence[Any]] = json.loads(change.change)
    if "removed" in made:
        return Told(change, "Removed", ())
    if "paused" in made:
        return Told(change, "Paused" if made["paused"][1] else "Resumed", ())
    if made.get("task", ["?"])[0] is None:
        return Told(change, f"Made: {made['rule'][1]}, {made['timezone'][1]}", ())
    fields = [(name.replace("_", " "), _text(was), _text(now)) for name, (was, now) in made.items()]
    return Told(change, "Changed", fields)


def _text(value: Any) -> str:
    return "none" if value is None else str(value)
