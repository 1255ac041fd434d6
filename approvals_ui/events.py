"""The pages of events: what was sent and what came of it, what could not be started, and who listens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import quote

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect

from agentflow.records import Event, Listener, Match
from agentflow.states import MatchStatus
from approvals_ui.access import needs
from approvals_ui.caller import Caller
from approvals_ui.desk import Desk
from approvals_ui.forms import first, submission_of
from approvals_ui.views import Asked, fragment, page

LATEST: Final = 50
MATCHES: Final = 100
SILENT_AFTER: Final = timedelta(minutes=2)
"""A listener that no worker has declared for so long has no worker at present."""
OPEN_TO_RETRY: Final = frozenset({MatchStatus.FAILED, MatchStatus.IGNORED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """An event of a listing, with what became of it."""

    event: Event
    matches: Sequence[Match]
    woken: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """A listener of the listing: how many events wait for it, and whether any worker has it."""

    one: Listener
    pending: int
    is_silent: bool


class EventPages(Controller):
    """`/events`, `/matches` and `/listeners`."""

    include_in_schema = False
    opt = needs("events:read")

    @get("/events")
    async def events(self, request: Asked, desk: NamedDependency[Desk], name: FromQuery[str] = "") -> Response[str]:
        """The latest events, of one name or of all, each with what it started or woke."""
        sought = name.strip()
        found = await desk.client.events(name=sought or None, limit=LATEST)
        rows = await _with_outcomes(desk, found)
        shown: dict[str, Any] = {"found": rows, "name": sought, "tasks": await _tasks(desk)}
        if request.query_params.get("fragment"):
            return fragment(request, desk, "event_rows.html", **shown)
        return await page(request, desk, "events.html", failed=await _failed(desk), **shown)

    @get("/events/{event_id:path}")
    async def one(self, request: Asked, desk: NamedDependency[Desk], event_id: FromPath[str]) -> Response[str]:
        """One event: what it says, which runs waited for it, and what became of it for each task that listens."""
        event = await desk.client.event(event_id.removeprefix("/"))
        [sent] = await _with_outcomes(desk, [event])
        known = {one.id for one in await desk.client.listeners()}
        return await page(request, desk, "event.html", sent=sent, tasks=await _tasks(desk), can_retry=_retriable(known))

    @get("/matches")
    async def matches(
        self,
        request: Asked,
        desk: NamedDependency[Desk],
        *,
        status: FromQuery[MatchStatus] = MatchStatus.FAILED,
        listener: FromQuery[str] = "",
    ) -> Response[str]:
        """The latest events that fit listeners, in one status: those that failed, unless another is asked for."""
        found = await desk.client.recent_matches(listener_id=listener or None, status=status, limit=MATCHES)
        known = {one.id for one in await desk.client.listeners()}
        shown: dict[str, Any] = {"found": found, "outcome": status, "listener": listener, "statuses": list(MatchStatus)}
        shown |= {"tasks": await _tasks(desk), "failed": await _failed(desk), "can_retry": _retriable(known)}
        return await page(request, desk, "matches.html", **shown)

    @get("/listeners")
    async def listeners(self, request: Asked, desk: NamedDependency[Desk]) -> Response[str]:
        """Every task that events start."""
        pending, now = await desk.client.pending_by_listener(), desk.client.now()
        found = [
            Listening(one=one, pending=pending.get(one.id, 0), is_silent=now - one.declared_at > SILENT_AFTER)
            for one in await desk.client.listeners()
        ]
        return await page(request, desk, "listeners.html", found=found, failed=await _failed(desk))

    @post("/matches/retry", opt=needs("events:send"))
    async def retry(self, request: Asked, desk: NamedDependency[Desk], caller: NamedDependency[Caller]) -> Redirect:
        """Have an event that started nothing for a listener looked at anew."""
        typed = await submission_of(request)
        match = await desk.client.retry_match(first(typed, "event"), first(typed, "listener"), by=caller.name)
        return Redirect(f"/events/{quote(match.event_id)}", status_code=303)

    @post("/listeners/remove", opt=needs("events:send"))
    async def remove(self, request: Asked, desk: NamedDependency[Desk], caller: NamedDependency[Caller]) -> Redirect:
        """Remove a listener that no program has any more."""
        await desk.client.remove_listener(first(await submission_of(request), "listener"), by=caller.name)
        return Redirect("/listeners", status_code=303)


async def _with_outcomes(desk: Desk, events: Sequence[Event]) -> list[Sent]:
    by_event: dict[str, list[Match]] = {}
    for match in await desk.client.matches(*(one.id for one in events)):
        by_event.setdefault(match.event_id, []).append(match)
    return [Sent(event=one, matches=by_event.get(one.id, ()), woken=one.woken_runs) for one in events]


async def _tasks(desk: Desk) -> Mapping[str, str]:
    """The task of each listener; one that is gone is known by its id only."""
    return {one.id: one.task for one in await desk.client.listeners()}


async def _failed(desk: Desk) -> int:
    """How many of the latest failed: what the tab says, and no more than it has room for."""
    return len(await desk.client.recent_matches(status=MatchStatus.FAILED, limit=MATCHES))


def _retriable(known: set[str]) -> Any:
    """Whether looking at a match anew can change anything."""
    return lambda match: match.status in OPEN_TO_RETRY and match.listener_id in known
