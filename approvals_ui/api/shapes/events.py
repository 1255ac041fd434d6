"""Events: sent, listed, and what they started."""

from typing import Annotated

from msgspec import Meta

from agentflow.payloads import readable
from agentflow.records import Event, Listener, Match
from agentflow.states import MatchStatus
from approvals_ui.api.fields import (
    Asked,
    EventId,
    Instant,
    Json,
    Limit,
    ListenerId,
    RunId,
    Seq,
    TaskId,
    Told,
    Who,
)
from approvals_ui.api.shapes.reading import same

EventName = Annotated[
    str,
    Meta(min_length=1, max_length=200, pattern=r"^[^:]*\S[^:]*$", examples=["invoice.paid"], description="Its name."),
]
EventKey = Annotated[str, Meta(max_length=500, examples=["2026-114"], description='What it is about; "" for nothing.')]


class NewEvent(Asked):
    """Something that happened. The same `id` again is the same event, so a request may be repeated safely."""

    name: EventName
    key: EventKey = ""
    payload: Json = None
    id: EventId | None = None


class EventsQuery(Asked):
    """Which events: of one name, or all."""

    name: EventName | None = None
    limit: Limit = 50


class MatchesQuery(Asked):
    """Which matches: of one listener, in one status, or all."""

    listener: ListenerId | None = None
    status: MatchStatus | None = None
    limit: Limit = 50


class EventView(Told):
    """An event; `seq` counts those of one name and key. `repeated` if this very event had been sent before."""

    id: EventId
    name: EventName
    key: EventKey
    seq: Seq
    payload: Json
    sent_by: Who
    sent_at: Instant
    repeated: bool


class EventList(Told):
    """Events, newest first."""

    items: list[EventView]


class ListenerView(Told):
    """A task that is started by events whose name fits `pattern`, those sent from `created_at` on."""

    id: ListenerId
    task: TaskId
    pattern: Annotated[str, Meta(examples=["invoice.*"])]
    created_at: Instant


class ListenerList(Told):
    """Every listener, by id."""

    items: list[ListenerView]


class MatchView(Told):
    """An event that fits a listener's pattern, and what became of it: the run it started, or why it did not."""

    event_id: EventId
    listener_id: ListenerId
    status: MatchStatus
    run_id: RunId | None
    reason: str | None
    created_at: Instant
    settled_at: Instant | None


class MatchList(Told):
    """Matches."""

    items: list[MatchView]


def event_view(event: Event) -> EventView:
    """The event as the API shows it."""
    return EventView(**same(EventView, event, "payload"), payload=readable(event.payload))


def listener_view(listener: Listener) -> ListenerView:
    """The listener as the API shows it."""
    return ListenerView(**same(ListenerView, listener))


def match_view(match: Match) -> MatchView:
    """The match as the API shows it."""
    return MatchView(**same(MatchView, match))
