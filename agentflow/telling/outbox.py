"""From the journal to dispatches: what each subscriber wants of what happened, stored with its place in the journal."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from agentflow.errors import RunNotFound
from agentflow.ids import DISPATCH, new_id
from agentflow.requests import EventType, NewDispatch, Tell, is_among
from agentflow.telling.bodies import OF_RUNS, Event, of_approvals, of_run, types_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from agentflow.records import Entry, Run, Subscription, Unread
    from agentflow.store.base import Store

APART: Final = timedelta(milliseconds=1)
"""Between the times in the ids of what is stored at one moment, so that listings have it in order."""
AT_ONCE: Final = 200
"""Entries that are looked at in one go."""
WRITTEN_EVERY: Final = timedelta(minutes=1)
"""How often the place of a subscriber is stored of which nothing had to be told."""


class Outbox:
    """Moves subscribers along the journal. Where several processes do so, each move is one's."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._read: dict[str, tuple[int, int]] = {}
        self._written_at: dict[str, datetime] = {}

    async def go_on(self, subscriptions: Sequence[Subscription]) -> bool:
        """Store what is to be told of the next entries; whether there are more."""
        self._forget(subscriptions)
        places = {one.id: self._place(one) for one in subscriptions}
        unread = await self._store.unread(after=min(places.values()), limit=AT_ONCE)
        events = await self._events(unread, subscriptions)
        for one in subscriptions:
            if unread.until > places[one.id]:
                await self._tell(one, places[one.id], unread.until, events)
        return len(unread.entries) == AT_ONCE

    def _forget(self, subscriptions: Sequence[Subscription]) -> None:
        known = {one.id for one in subscriptions}
        for gone in self._read.keys() - known:
            del self._read[gone]
        for gone in self._written_at.keys() - known:
            del self._written_at[gone]

    def _place(self, one: Subscription) -> int:
        """Up to where nothing is left to be told: the stored place, or further where nothing had to be stored."""
        cursor, upto = self._read.get(one.id, (one.cursor, one.cursor))
        return upto if cursor == one.cursor else one.cursor

    async def _tell(self, one: Subscription, place: int, until: int, events: Sequence[Event]) -> None:
        wanted = [event for event in events if event.entry_id > place and wants(one, event.type, event.task)]
        now = self._store.now()
        if not wanted and now - self._written_at.setdefault(one.id, now) < WRITTEN_EVERY:
            self._read[one.id] = (one.cursor, until)
            return
        made = [
            NewDispatch(
                id=new_id(DISPATCH, now + at * APART),
                event=event.type,
                key=event.key,
                run_id=event.run_id,
                entry_id=event.entry_id,
                payload=event.payload,
            )
            for at, event in enumerate(wanted)
        ]
        await self._store.tell(Tell(subscription_id=one.id, cursor=one.cursor, until=until, dispatches=made))
        self._written_at[one.id] = now
        self._read.pop(one.id, None)

    # -- what happened

    async def _events(self, unread: Unread, subscriptions: Sequence[Subscription]) -> Sequence[Event]:
        """The events that somebody wants."""
        found: list[Event] = []
        runs: dict[str, Run | None] = {}
        for entry, task in unread.entries:
            types = {one for one in types_of(entry) if any(wants(each, one, task) for each in subscriptions)}
            if entry.kind in OF_RUNS and OF_RUNS[entry.kind][0] in types:
                run = await self._run(entry, runs)
                found.extend([] if run is None else [of_run(entry, run)])
            if any(one.startswith("approval.") for one in types):
                approvals = await self._store.approvals_at(entry.run_id, entry.at)
                found.extend(of_approvals(entry, approvals))
        return found

    async def _run(self, entry: Entry, runs: dict[str, Run | None]) -> Run | None:
        if entry.run_id not in runs:
            try:
                runs[entry.run_id] = await self._store.run(entry.run_id)
            except RunNotFound:  # removed since, which a subscription that was enabled meanwhile did not prevent
                runs[entry.run_id] = None
        return runs[entry.run_id]


def wants(one: Subscription, type: EventType, task: str) -> bool:
    """Whether the subscription is for such events of such a task."""
    tasks = json.loads(one.tasks)
    return is_among(json.loads(one.events), type) and (not tasks or is_among(tasks, task))
