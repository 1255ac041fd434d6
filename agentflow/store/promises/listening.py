"""Promises about tasks that events start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from agentflow.records import Event, Listener, Match, PendingMatch
    from agentflow.requests import DeclareListener, MatchFilter, SettleMatch


class Listening(Protocol):
    """Listeners, and what became of the events that fit them. `send_event` matches in its own transaction."""

    async def declare_listeners(
        self, declared: Sequence[DeclareListener], tasks: Collection[str], *, begins: bool = False
    ) -> Sequence[Listener]:
        """Every stored listener, those declared added to them; they hear what is sent after this returns.

        To be repeated every minute: one of these `tasks` that nobody has declared for ten minutes is removed, and what
        is pending for it becomes FAILED. One that is stored with another task or pattern is changed to what is declared
        if the declaring program `begins` and has that task, or if nobody has declared it so for as long.
        """
        ...

    async def remove_listener(self, listener_id: str, *, by: str) -> Listener:
        """The listener, removed; what was pending for it has become FAILED.

        Raises `ListenerNotFound`; nothing was changed then.
        """
        ...

    async def listeners(self) -> Sequence[Listener]:
        """Every listener, by id."""
        ...

    async def pending_matches(self, listener_ids: Sequence[str], *, limit: int) -> Sequence[PendingMatch]:
        """The matches of these listeners that are to be settled, oldest event first."""
        ...

    async def pending_by_listener(self) -> Mapping[str, int]:
        """How many matches are to be settled for each listener that has any."""
        ...

    async def settle_match(self, request: SettleMatch) -> Match | None:
        """The match, settled together with the run it starts; None if it was settled before, and no run was made.

        A run that an open one keeps from being made, having its singleton key, leaves it IGNORED. Raises `QueueFull` or
        `InvalidSetting`; the match is pending still then, and no run was made.
        """
        ...

    async def retry_match(self, event_id: str, listener_id: str, *, by: str) -> Match:
        """The match, to be settled anew.

        Raises `MatchNotFound`, `MatchSettled` if it started a run, or `ListenerNotFound`; nothing was changed then.
        """
        ...

    async def event(self, event_id: str) -> Event:
        """The event. Raises `EventNotFound`."""
        ...

    async def matches(self, event_ids: Sequence[str]) -> Sequence[Match]:
        """What became of these events, by event and listener; nothing of one that no listener heard."""
        ...

    async def recent_matches(self, which: MatchFilter) -> Sequence[Match]:
        """The latest matches, newest first."""
        ...
