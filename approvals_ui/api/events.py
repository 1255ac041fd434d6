"""/api/v1/events: send events to runs that wait for them, now or later, and see what was sent."""

from functools import partial

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from agentflow.errors import (
    EventNotFound,
    IdempotencyMismatch,
    InvalidName,
    ListenerNotFound,
    MatchNotFound,
    MatchSettled,
    NotRecordable,
    PayloadTooLarge,
)
from approvals_ui.api.endpoint import endpoint, reply
from approvals_ui.api.reading import body_of, query_of
from approvals_ui.api.shapes.events import (
    EventList,
    EventsQuery,
    EventView,
    ListenerList,
    MatchesQuery,
    MatchList,
    MatchView,
    NewEvent,
    event_view,
    listener_view,
    match_view,
)
from approvals_ui.caller import Caller
from approvals_ui.desk import Desk
from approvals_ui.granting import require_their_event
from approvals_ui.views import Asked

about = partial(endpoint, tag="events")


class EventEndpoints(Controller):
    """Events."""

    @post(
        "/events",
        opt=about(
            "sendEvent",
            "Send an event",
            scope="events:send",
            takes=NewEvent,
            gives={201: EventView, 200: EventView},
            said={201: "It is stored, and whoever waits for it goes on.", 200: "It had been sent before."},
            raises=(IdempotencyMismatch, InvalidName, NotRecordable, PayloadTooLarge),
            examples={"paid": {"name": "invoice.paid", "key": "2026-114", "payload": {"total": 9.5}, "id": "bank-77"}},
        ),
    )
    async def send(
        self, request: Asked, desk: NamedDependency[Desk], caller: NamedDependency[Caller]
    ) -> Response[bytes]:
        """Send an event: it wakes runs that wait for it, and starts the tasks that listen. Stored first.

        Names that begin with `agentflow.` are our own (403).
        """
        asked = await body_of(request, NewEvent)
        require_their_event(asked.name)
        sent = await desk.client.send_event(asked.name, asked.payload, key=asked.key, id=asked.id, by=caller.name)
        return reply(event_view(sent), status=200 if sent.repeated else 201)

    @get("/events", opt=about("listEvents", "List events", scope="events:read", query=EventsQuery, gives=EventList))
    async def listing(self, request: Asked, desk: NamedDependency[Desk]) -> Response[bytes]:
        """The latest events, newest first."""
        asked = query_of(request, EventsQuery)
        found = await desk.client.events(name=asked.name, limit=asked.limit)
        return reply(EventList(items=[event_view(one) for one in found]))

    @get(
        "/events/{event_id:str}",
        opt=about("getEvent", "Get an event", scope="events:read", gives=EventView, raises=(EventNotFound,)),
    )
    async def one(self, desk: NamedDependency[Desk], event_id: FromPath[str]) -> Response[bytes]:
        """One event. Tokens of callbacks in it are hidden."""
        return reply(event_view(await desk.client.event(event_id)))

    @get(
        "/events/{event_id:str}/matches",
        opt=about(
            "listEventMatches",
            "List what an event started",
            scope="events:read",
            gives=MatchList,
            raises=(EventNotFound,),
        ),
    )
    async def of_event(self, desk: NamedDependency[Desk], event_id: FromPath[str]) -> Response[bytes]:
        """What became of the event for each task that listens: the run it started, or why it did not."""
        await desk.client.event(event_id)
        return reply(MatchList(items=[match_view(one) for one in await desk.client.matches(event_id)]))

    @post(
        "/events/{event_id:str}/matches/{listener_id:str}/retry",
        status_code=200,
        opt=about(
            "retryMatch",
            "Have a match looked at anew",
            scope="events:send",
            gives=MatchView,
            raises=(MatchNotFound, MatchSettled, ListenerNotFound),
        ),
    )
    async def retry(
        self,
        desk: NamedDependency[Desk],
        caller: NamedDependency[Caller],
        event_id: FromPath[str],
        listener_id: FromPath[str],
    ) -> Response[bytes]:
        """Have a worker that has the listener look at the event anew. 409 if it started a run already."""
        return reply(match_view(await desk.client.retry_match(event_id, listener_id, by=caller.name)))

    @get(
        "/matches",
        opt=about("listMatches", "List matches", scope="events:read", query=MatchesQuery, gives=MatchList),
    )
    async def matches(self, request: Asked, desk: NamedDependency[Desk]) -> Response[bytes]:
        """The latest matches of events and listeners, newest first."""
        asked = query_of(request, MatchesQuery)
        found = await desk.client.recent_matches(listener_id=asked.listener, status=asked.status, limit=asked.limit)
        return reply(MatchList(items=[match_view(one) for one in found]))

    @get("/listeners", opt=about("listListeners", "List listeners", scope="events:read", gives=ListenerList))
    async def listeners(self, desk: NamedDependency[Desk]) -> Response[bytes]:
        """Every task that events start, with the pattern of their names."""
        return reply(ListenerList(items=[listener_view(one) for one in await desk.client.listeners()]))
