"""The loop of one process: moves subscribers along the journal, and sends what is due, each to its own line.

Woken by the store's hints; looking again is the truth. A subscriber that is slow or down takes up its own line only.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from agentflow.errors import StoreError
from agentflow.requests import ClaimDispatches
from agentflow.states import DispatchStatus
from agentflow.telling.outbox import Outbox
from agentflow.telling.outward import Outward
from agentflow.telling.sending import attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentflow.records import Dispatch, Subscriber, Subscription
    from agentflow.store.base import Store

logger = logging.getLogger(__name__)
SOON: Final = timedelta(milliseconds=20)


@dataclass(frozen=True, slots=True, kw_only=True)
class TellerSettings:
    """How a teller behaves.

    At most `per_subscriber` events are on their way to one subscriber, and one to a subscriber that did not take the
    last; `at_once` to all. An attempt is over after `timeout`; the event is another process's after `hold_for`.
    `poll_every` is how often it looks without being woken, `idle_every` while there is no subscription.
    """

    per_subscriber: int = 4
    at_once: int = 100
    timeout: timedelta = timedelta(seconds=15)
    hold_for: timedelta = timedelta(seconds=60)
    poll_every: timedelta = timedelta(seconds=1)
    idle_every: timedelta = timedelta(seconds=5)
    end_within: timedelta = timedelta(seconds=5)


class Teller:
    """Tells the subscribers of a store, from `start` until `stop`. Any number of processes may do so."""

    def __init__(
        self, store: Store, *, dev: bool = False, settings: TellerSettings | None = None, outward: Outward | None = None
    ) -> None:
        """Raises `InvalidSetting` for AGENTFLOW_SUBSCRIBERS_PRIVATE; `outward` stands in for what that says."""
        self._store = store
        self._settings = settings or TellerSettings()
        self._outward = outward or Outward(dev=dev)
        self._outbox = Outbox(store)
        self._lines: dict[str, set[asyncio.Task[None]]] = {}
        self._down: set[str] = set()
        self._ready = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self._unwatch: Callable[[], None] | None = None
        self._is_idle = True
        self._trouble = ""

    async def start(self) -> None:
        """Begin to tell. Starting twice changes nothing."""
        if self._loop is None:
            self._unwatch = self._store.watch(self._heard)
            self._loop = asyncio.create_task(self._go_on())

    async def stop(self) -> None:
        """Send no more; what is on its way and not settled in time is sent again by others. May be called twice."""
        loop, self._loop = self._loop, None
        if loop is None:
            return
        if self._unwatch is not None:
            self._unwatch()
        loop.cancel()
        with suppress(asyncio.CancelledError):
            await loop
        await self.settled(within=self._settings.end_within)
        for sending in self._sending:
            sending.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)

    @property
    def trouble(self) -> str:
        """Why nobody is told at present; empty if subscribers are."""
        if self._loop is None:
            return "it does not tell subscribers"
        return self._trouble

    @property
    def _sending(self) -> Sequence[asyncio.Task[None]]:
        return [one for line in self._lines.values() for one in line]

    async def settled(self, *, within: timedelta | None = None) -> None:
        """Return when nothing is on its way any more, or at the latest after this."""
        if self._sending:
            await asyncio.wait(self._sending, timeout=None if within is None else within.total_seconds())

    # -- looking

    def _heard(self, run_id: str, moved: bool) -> None:
        """Something was committed. Without a subscriber no run's news is of interest."""
        if not run_id or (moved and not self._is_idle):
            self._ready.set()

    async def _go_on(self) -> None:
        while True:
            self._ready.clear()
            try:
                again_in = await self.look()
                self._trouble = ""
            except StoreError as error:
                if not self._trouble:
                    logger.warning("subscribers are not told while the store is out of reach: %s", error)
                self._trouble = "the database could not be asked for what subscribers are to be told"
                again_in = self._settings.poll_every
            except Exception:
                logger.exception("subscribers could not be told; trying again")
                self._trouble = "subscribers could not be told; the log says why"
                again_in = self._settings.poll_every
            await self._rest(again_in)

    async def _rest(self, span: timedelta) -> None:
        """Until woken, or for so long; a little in any case, so that a burst of commits is one look."""
        least = self._settings.poll_every if self._is_idle else SOON
        await _passed(asyncio.Event(), min(least, span))
        await _passed(self._ready, span - least)

    async def look(self) -> timedelta:
        """Store what is to be told, begin to send what is due; how long until there is more to do, as far as known."""
        subscribers = await self._store.subscribers()
        self._is_idle = not subscribers
        if not subscribers:
            return self._settings.idle_every
        more = await self._outbox.go_on([one.subscription for one in subscribers])
        now = self._store.now()
        waiting = [one for one in await self._store.subscribers() if one.next_at is not None]
        for one in waiting:
            await self._begin(one)
        upcoming = [at - now for one in waiting if (at := one.next_at) is not None and at > now]
        return timedelta() if more else min([self._settings.poll_every, *upcoming])

    # -- sending

    async def _begin(self, subscriber: Subscriber) -> None:
        """Begin to send what is due to one subscriber, as far as there is room; each that ends makes some."""
        one = subscriber.subscription
        if subscriber.next_at is None or subscriber.next_at > self._store.now():
            return
        line = self._lines.setdefault(one.id, set())
        width = 1 if one.id in self._down else self._settings.per_subscriber
        room = min(width - len(line), self._settings.at_once - len(self._sending))
        if room <= 0:
            return
        hold_for = self._settings.hold_for
        claimed = await self._store.claim_dispatches(
            ClaimDispatches(subscription_id=one.id, limit=room, hold_for=hold_for)
        )
        for dispatch in claimed:
            sending = asyncio.create_task(self._send(one, dispatch))
            line.add(sending)
            sending.add_done_callback(partial(self._sent, line))

    def _sent(self, line: set[asyncio.Task[None]], done: asyncio.Task[None]) -> None:
        line.discard(done)
        self._ready.set()  # there is room for the next
        if not done.cancelled() and (error := done.exception()) is not None:
            level = logging.DEBUG if isinstance(error, StoreError) else logging.ERROR
            logger.log(level, "how an event was sent could not be kept; it is sent again", exc_info=error)

    async def _send(self, subscription: Subscription, dispatch: Dispatch) -> None:
        policy = self._outward.policy(subscription.url, timeout=self._settings.timeout)
        settled = await attempt(policy, subscription, dispatch, self._store.now())
        if settled.outcome is DispatchStatus.DELIVERED:
            self._down.discard(subscription.id)
        else:
            self._down.add(subscription.id)
            logger.info("event %s did not reach subscription %s: %s", dispatch.id, subscription.id, settled.status)
        await self._store.settle_dispatch(settled)


async def _passed(woken: asyncio.Event, span: timedelta) -> None:
    """Return when woken, or when the span has passed on this process's own clock."""
    if span > timedelta():
        with suppress(TimeoutError):  # not by wait_for, which swallows a cancellation that meets the hint (Python 3.11)
            async with asyncio.timeout(span.total_seconds()):
                await woken.wait()
