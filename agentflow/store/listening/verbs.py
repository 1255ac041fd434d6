"""The verbs about tasks that events start, each as one call of `write`, `read` or `glance`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow.store.listening import listeners, matches, settling
from agentflow.store.waiting import streams
from agentflow.store.ways import Ways

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from agentflow import records as r
    from agentflow import requests as q


class ListeningVerbs(Ways):
    """What `Listening` promises."""

    async def declare_listeners(
        self, declared: Sequence[q.DeclareListener], tasks: Collection[str], *, begins: bool = False
    ) -> Sequence[r.Listener]:
        if not await self.glance(listeners.is_due, declared, tasks, begins):
            return await self.glance(listeners.listed)
        return await self.write(listeners.declare_listeners, declared, tasks, begins)

    async def remove_listener(self, listener_id: str, *, by: str) -> r.Listener:
        return await self.write(listeners.remove_listener, listener_id, by)

    async def listeners(self) -> Sequence[r.Listener]:
        return await self.read(listeners.listed)

    async def pending_matches(self, listener_ids: Sequence[str], *, limit: int) -> Sequence[r.PendingMatch]:
        return await self.glance(matches.pending, listener_ids, limit)

    async def pending_by_listener(self) -> Mapping[str, int]:
        return await self.read(matches.waiting)

    async def settle_match(self, request: q.SettleMatch) -> r.Match | None:
        return await self.write(settling.settle_match, request)

    async def retry_match(self, event_id: str, listener_id: str, *, by: str) -> r.Match:
        return await self.write(settling.retry_match, event_id, listener_id, by)

    async def event(self, event_id: str) -> r.Event:
        return await self.read(streams.by_id, event_id)

    async def matches(self, event_ids: Sequence[str]) -> Sequence[r.Match]:
        return await self.read(matches.of, event_ids)

    async def recent_matches(self, which: q.MatchFilter) -> Sequence[r.Match]:
        return await self.read(matches.recent, which)
