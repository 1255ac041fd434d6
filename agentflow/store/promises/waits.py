"""Promises about events and callbacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.records import Callback, Event
    from agentflow.requests import Lease, NewCallback, NewEntry, OpenWait, ReceiveEvents, ResolveCallback, SendEvent


class Waits(Protocol):
    """Events and callbacks: stored first, matched with whoever waits in the same transaction."""

    async def send_event(self, request: SendEvent) -> Event:
        """The stored event; runs that wait for it are claimable in the same transaction.

        The same id again returns the first event (`repeated`), or raises `IdempotencyMismatch` if it says other things.
        """
        ...

    async def is_answered(self, run_id: str, wait: OpenWait) -> bool:
        """Whether the wait, once opened, would be answered at once. A hint: what counts is what opening it does."""
        ...

    async def receive_events(self, lease: Lease, request: ReceiveEvents, entry: NewEntry) -> Sequence[Event]:
        """The messages the lease's run has not had yet; it has them together with the entry that records them."""
        ...

    async def create_callback(self, lease: Lease, new: NewCallback, entry: NewEntry) -> Callback:
        """A callback of the lease's run, made together with the journal entry that records it."""
        ...

    async def resolve_callback(self, request: ResolveCallback) -> Callback:
        """The callback with what the other system said; its run is claimable in the same transaction.

        The same answer again is no error. Raises `CallbackNotFound` or `CallbackResolved`; nothing was recorded then.
        """
        ...

    async def beat_callback(self, token_digest: str, details: str | None) -> Callback:
        """The callback, put off by its heartbeat time. Raises as `resolve_callback`."""
        ...
