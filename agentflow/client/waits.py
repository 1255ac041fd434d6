"""What runs wait for from outside: events, and callbacks that other systems complete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow.client.hiding import without_tokens_sent
from agentflow.client.holder import Holder
from agentflow.ids import EVENT, new_id
from agentflow.payloads import digest
from agentflow.requests import ResolveCallback, SendEvent
from agentflow.requests.sending import event_id, event_key, event_name, payload_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.records import Callback, Event

LONGEST_ERROR = 10_000


class Waits(Holder):
    """Answers what runs wait for."""

    # -- events

    async def send_event(
        self, name: str, payload: Any = None, *, key: str = "", id: str | None = None, by: str = "program"
    ) -> Event:
        """The stored event; runs that wait for it go on, and those that come to wait for it later find it.

        `payload` is JSON, or what writes itself as JSON. The same `id` again is the same event (`repeated`). Raises
        `InvalidName`, `NotRecordable`, `PayloadTooLarge`, or `IdempotencyMismatch` for an id that was sent with other
        content; nothing was sent then.
        """
        request = SendEvent(
            id=new_id(EVENT, self.now()) if id is None else event_id(id, of="send_event"),
            name=event_name(name, of="send_event"),
            key=event_key(key, of="send_event"),
            payload=payload_text(payload, of=f"send_event({name!r})"),
            sent_by=by,
        )
        return await self._store.send_event(request)

    async def events(self, *, name: str | None = None, limit: int = 50) -> Sequence[Event]:
        """The latest events, of one name or of all, newest first; tokens of callbacks are hidden in them."""
        return [without_tokens_sent(one) for one in await self._store.events(name=name, limit=limit)]

    # -- callbacks; whoever has the token may answer

    async def complete_callback(self, token: str, result: Any = None) -> Callback:
        """The callback, completed with this result; its run goes on at once. The same again changes nothing.

        Raises `CallbackNotFound`; `CallbackResolved` if it was answered otherwise; `CallbackLapsed` if it timed out or
        its run has ended; `NotRecordable` or `PayloadTooLarge`. Nothing was recorded then.
        """
        output = payload_text(result, of="complete_callback")
        return await self._store.resolve_callback(ResolveCallback(token_digest=digest(token), output=output))

    async def fail_callback(self, token: str, error: str) -> Callback:
        """The callback, failed: who awaits it gets `CallbackFailed` with this text. Raises as `complete_callback`."""
        told = error[:LONGEST_ERROR].encode(errors="backslashreplace").decode().replace("\0", "\\x00")
        return await self._store.resolve_callback(ResolveCallback(token_digest=digest(token), error=told))

    async def beat_callback(self, token: str, details: Any = None) -> Callback:
        """The callback, kept alive for another heartbeat time; `details` says how far it is, as JSON.

        Raises as `complete_callback`.
        """
        text = None if details is None else payload_text(details, of="beat_callback")
        return await self._store.beat_callback(digest(token), text)

    async def callbacks(self, run_id: str) -> Sequence[Callback]:
        """The run's callbacks, oldest first."""
        return await self._store.callbacks(run_id)
