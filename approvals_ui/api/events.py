"""/api/v1/events: send events to runs that wait for them, now or later, and see what was sent."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, QueryParameter

from agentflow.payloads import readable
from agentflow.records import Event
from approvals_ui.desk import Desk


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """Something that happened. The same `id` again is the same event, so a request may be repeated safely."""

    name: str
    key: str = ""
    payload: Any = None
    id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventView:
    """An event; `seq` counts those of one name and key. `repeated` if this very event had been sent before."""

    id: str
    name: str
    key: str
    seq: int
    payload: Any
    sent_by: str
    sent_at: datetime
    repeated: bool


class EventEndpoints(Controller):
    """Events."""

    path = "/events"
    tags = ("events",)

    @post(operation_id="sendEvent")
    async def send(self, desk: NamedDependency[Desk], data: JSONBody[NewEvent]) -> Response[EventView]:
        """Send an event. 201: it is stored, and whoever waits for it goes on; 200: it had been sent before.

        409 the id was used for another event, 413 the payload is too large, 422 the name, key or id cannot be used.
        """
        sent = await desk.client.send_event(data.name, data.payload, key=data.key, id=data.id, by=desk.reviewer)
        return Response(_view(sent), status_code=200 if sent.repeated else 201)

    @get(operation_id="listEvents")
    async def listing(
        self,
        desk: NamedDependency[Desk],
        name: FromQuery[str | None] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
    ) -> list[EventView]:
        """The latest events, newest first."""
        return [_view(one) for one in await desk.client.events(name=name, limit=limit)]


def _view(event: Event) -> EventView:
    return EventView(
        id=event.id,
        name=event.name,
        key=event.key,
        seq=event.seq,
        payload=readable(event.payload),
        sent_by=event.sent_by,
        sent_at=event.sent_at,
        repeated=event.repeated,
    )
