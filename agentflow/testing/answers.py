"""Other systems, as a test says: they send the events that runs wait for, and answer callbacks."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from agentflow.ids import EVENT, new_id
from agentflow.requests import RunFilter, event_subject
from agentflow.states import OPEN, EntryKind, WaitKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentflow.client import Client
    from agentflow.records import Callback, Event, Run, Wait
    from agentflow.store import Store

FOR_EVENTS = frozenset({WaitKind.EVENT, WaitKind.MESSAGE})
AT_ONCE = 200


@dataclass(slots=True, eq=False)
class Sending:
    """An event to be sent once somebody waits for it."""

    name: str
    key: str
    payload: Any
    id: str = ""
    is_spent: bool = False
    was_sent: bool = False

    @property
    def subject(self) -> str:
        """What a wait for it waits for."""
        return event_subject(self.name, self.key)


@dataclass(slots=True, eq=False)
class Reply:
    """What the callbacks of a name get: a result, or an error."""

    name: str
    result: Any = None
    error: str | None = None
    answered: set[str] = field(default_factory=set)


class Answers:
    """Answers runs as other systems would: `Answers().event("paid", {"amount": 5}).completes("bank", "ok")`.

    An event is sent when a run waits for its name and key; several of one name and key go out in their order, one for
    each wait. A callback is answered once it is made, by the first rule whose name (which may hold `*`) fits. Given to
    a `Harness` it answers whatever it has an answer for; at the end one that was not wanted is an `AssertionError`.
    """

    def __init__(self, *, by: str = "the outside") -> None:
        self.by = by
        self.sendings: list[Sending] = []
        self.replies: list[Reply] = []

    # -- rules

    def event(self, name: str, payload: Any = None, *, key: str = "") -> Answers:
        """Send this event to whoever waits for it."""
        self.sendings.append(Sending(name, key, payload))
        return self

    def completes(self, name: str, result: Any = None) -> Answers:
        """Complete the callbacks of this name."""
        self.replies.append(Reply(name, result))
        return self

    def fails(self, name: str, error: str) -> Answers:
        """Fail the callbacks of this name."""
        self.replies.append(Reply(name, error=error))
        return self

    # -- answering

    async def answer(self, client: Client, store: Store) -> int:
        """Answer everything that there is an answer for; how much that was."""
        count = 0
        for run in await every_run(store, OPEN):
            for wait in await client.waits(run.id):
                sending = self.sending_for(wait)
                if sending is not None:
                    await self.send(client, sending)
                    count += 1
            for callback in await client.callbacks(run.id):
                reply = self.reply_for(callback)
                if reply is not None:
                    await self.reply(client, store, callback, reply)
                    count += 1
        return count

    def sending_for(self, wait: Wait) -> Sending | None:
        """The event to send for a wait, None if there is none."""
        if wait.kind not in FOR_EVENTS:
            return None
        return next((one for one in self.sendings if one.subject == wait.subject and not one.is_spent), None)

    async def send(self, client: Client, sending: Sending, *, ahead: bool = False, payload: Any = None) -> Event:
        """Send an event; `ahead` of anybody's wait it stays at hand for one that does not find it."""
        sending.id = sending.id or new_id(EVENT, client.now())
        sending.was_sent, sending.is_spent = True, not ahead
        content = sending.payload if payload is None else payload
        return await client.send_event(sending.name, content, key=sending.key, id=sending.id, by=self.by)

    def reply_for(self, callback: Callback) -> Reply | None:
        """The answer to a callback that still wants one, None if there is none."""
        if not callback.is_pending:
            return None
        name = name_of(callback.key)
        return next((one for one in self.replies if fnmatchcase(name, one.name)), None)

    async def reply(self, client: Client, store: Store, callback: Callback, reply: Reply) -> Callback:
        """Answer a callback with the token its run was given."""
        token = await token_of(store, callback)
        reply.answered.add(callback.id)
        if reply.error is not None:
            return await client.fail_callback(token, reply.error)
        return await client.complete_callback(token, reply.result)

    def begin(self) -> None:
        """Start over, as if nothing had been sent."""
        for sending in self.sendings:
            sending.id, sending.is_spent, sending.was_sent = "", False, False
        for reply in self.replies:
            reply.answered.clear()

    def check(self) -> None:
        """Raise `AssertionError` if an event was not waited for, or no callback of a name was made."""
        unwanted = [f"event {one.subject.rstrip(':')!r}" for one in self.sendings if not one.was_sent]
        unwanted += [f"an answer to callback {one.name!r}" for one in self.replies if not one.answered]
        if unwanted:
            raise AssertionError("nobody waited for " + " or ".join(unwanted))


async def every_run(store: Store, statuses: Iterable[str] = ()) -> list[Run]:
    """All runs, or those in one of these statuses."""
    found: list[Run] = []
    cursor: str | None = None
    while True:
        page = await store.runs(RunFilter(statuses=sorted(statuses), cursor=cursor, limit=AT_ONCE))
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


async def token_of(store: Store, callback: Callback) -> str:
    """The token of a callback, which only its run's own journal has."""
    for entry in await store.entries(callback.run_id):
        if entry.kind is EntryKind.SUCCEEDED and entry.key == callback.key:
            return str(json.loads(entry.output or "{}")["token"])
    raise AssertionError(f"callback {callback.id} is not in the journal of run {callback.run_id}")


def name_of(key: str) -> str:
    """The name in a key: `bank` for `gather#1[0]/bank#2`."""
    return key.rpartition("/")[2].rpartition("#")[0]
