"""Tasks that events start: who listens, what became of which event, and having it looked at anew."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agentflow.client.hiding import without_tokens_sent
from agentflow.client.holder import Holder
from agentflow.ids import without_tokens
from agentflow.requests import MatchFilter
from agentflow.tasks.listener import listeners_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentflow.records import Event, Listener, Match
    from agentflow.states import MatchStatus


class Listening(Holder):
    """What events start."""

    async def declare_listeners(self) -> Sequence[Listener]:
        """Every stored listener, with those of the catalog's tasks, which hear what is sent from now on.

        Workers do it as they start; a program that sends before there has been one may do it too. Raises
        `DefinitionError` for listeners that cannot work; nothing was declared then.
        """
        declared = [one.declared() for one in listeners_of(self.catalog)]
        return await self._store.declare_listeners(declared, tuple(self.catalog.tasks), begins=True)

    async def listeners(self) -> Sequence[Listener]:
        """Every listener, by id."""
        return await self._store.listeners()

    async def pending_by_listener(self) -> Mapping[str, int]:
        """How many events no worker has looked at yet, for each listener that has any."""
        return await self._store.pending_by_listener()

    async def remove_listener(self, listener_id: str, *, by: str) -> Listener:
        """The listener, removed; one that a worker has in its code is back within a minute.

        Raises `ListenerNotFound`; nothing was changed then.
        """
        return await self._store.remove_listener(listener_id, by=by)

    async def event(self, event_id: str) -> Event:
        """The event; tokens of callbacks are hidden in it. Raises `EventNotFound`."""
        return without_tokens_sent(await self._store.event(event_id))

    async def matches(self, *event_ids: str) -> Sequence[Match]:
        """What became of these events, by event and listener: the runs they started, or why they did not."""
        return [_shown(one) for one in await self._store.matches(event_ids)]

    async def recent_matches(
        self, *, listener_id: str | None = None, status: MatchStatus | None = None, limit: int = 50
    ) -> Sequence[Match]:
        """The latest matches, newest first, of one listener, in one status, or all."""
        which = MatchFilter(listener_id=listener_id, status=status, limit=limit)
        return [_shown(one) for one in await self._store.recent_matches(which)]

    async def retry_match(self, event_id: str, listener_id: str, *, by: str) -> Match:
        """The match, to be looked at anew by a worker that has the listener.

        Raises `MatchNotFound`, `MatchSettled` if it started a run, or `ListenerNotFound`; nothing was changed then.
        """
        return _shown(await self._store.retry_match(event_id, listener_id, by=by))


def _shown(match: Match) -> Match:
    """With every token hidden in a reason that quotes a payload."""
    return match if match.reason is None else replace(match, reason=without_tokens(match.reason))
