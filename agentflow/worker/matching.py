"""Matching: a worker whose code has listeners asks it about the events that fit them, and starts their runs.

A commit's hint brings it within milliseconds; looking every few seconds makes it sure. Any number of workers may look
at one event: it is settled once. A listener that is slow, or whose task's queue is full, holds up no other.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from agentflow.errors import InvalidSetting, QueueFull, StoreError
from agentflow.requests import SettleMatch
from agentflow.requests.listening import MATCHES
from agentflow.states import MatchStatus
from agentflow.tasks.listener import listeners_of
from agentflow.worker.judging import judged
from agentflow.worker.pauses import Pauses
from agentflow.worker.upkeep import complain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentflow.clock import Clock
    from agentflow.records import Event
    from agentflow.store.base import Store
    from agentflow.tasks.catalog import Catalog
    from agentflow.tasks.listener import Listener

logger = logging.getLogger("agentflow.worker")
PAGE: Final = 100
AT_ONCE: Final = 10
"""Events of one listener that are judged side by side."""
LOOK_EVERY: Final = timedelta(seconds=5)
DECLARE_EVERY: Final = timedelta(minutes=1)
FULL_FOR: Final = timedelta(seconds=5)
"""How long a listener is left alone whose task's queue is full."""
BREATH: Final = 0.01
"""Seconds in which the commits of other programs lead to one look."""
DRAIN_FOR: Final = 2.0


class Matching:
    """Settles the matches of a catalog's listeners; where there are none, it does nothing at all."""

    def __init__(self, store: Store, catalog: Catalog, clock: Clock) -> None:
        self._store = store
        self._catalog = catalog
        self._clock = clock
        self._listeners: dict[str, Listener] = {}
        self._ours: Sequence[str] = ()
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._judging = 0
        self._settled = 0
        self._heard = asyncio.Event()
        self._idle = asyncio.Event()
        self._breath: asyncio.TimerHandle | None = None
        self._pauses = Pauses()
        self._loops: list[asyncio.Task[None]] = []
        self._unwatch: Callable[[], None] | None = None
        self.trouble = ""
        """Why it settles nothing at present; empty if it does."""

    async def start(self) -> None:
        """Declare the listeners, and settle what fits them from now on. Raises `DefinitionError` or `StoreError`."""
        self._listeners = {one.id: one for one in listeners_of(self._catalog)}
        if self._listeners:
            await self._declare(begins=True)
            self._unwatch = self._store.watch(self._hear, run_id=MATCHES)
            self._loops = [asyncio.create_task(self._go_on()), asyncio.create_task(self._keep_declaring())]

    async def stop(self) -> None:
        """Begin nothing more and let what is being judged end; what does not, others judge anew."""
        for loop in self._loops:
            loop.cancel()
        if self._busy and self._judging:
            await asyncio.wait(set(self._busy.values()), timeout=DRAIN_FOR)
        await asyncio.gather(*self.drop(), return_exceptions=True)

    def drop(self) -> Sequence[asyncio.Task[None]]:
        """Leave everything as it is; what is still to end."""
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None
        if self._breath is not None:
            self._breath.cancel()
        left, self._loops = [*self._loops, *self._busy.values()], []
        for one in left:
            one.cancel()
        return left

    async def until_idle(self) -> bool:
        """Return when nothing is left to be settled here; whether anything was settled since the last time."""
        if not self._loops:
            return False
        self._idle.clear()
        self._heard.set()
        await self._idle.wait()
        settled, self._settled = self._settled, 0
        return settled > 0

    # -- looking

    def _hear(self, run_id: str, moved: bool) -> None:
        """There is a new match; or, with no name, another program has committed something."""
        if run_id:
            self._heard.set()
        elif moved and self._breath is None:
            self._breath = asyncio.get_running_loop().call_later(BREATH, self._breathe)

    def _breathe(self) -> None:
        self._breath = None
        self._heard.set()

    async def _go_on(self) -> None:
        while True:
            self._heard.clear()
            try:
                is_all = await self._take()
            except Exception as error:  # noqa: BLE001  a loop that ends silently is worse than one that repeats itself
                self.trouble = "the database could not be asked for events"
                complain("events could not be looked for", error)
                await self._clock.sleep(self._pauses.next("matching"))
                continue
            self.trouble = ""
            self._pauses.reset()
            if is_all:
                await self._rest()

    async def _take(self) -> bool:
        """Begin with the oldest that are to be settled; whether there were no more."""
        free = [listener_id for listener_id in self._ours if listener_id not in self._busy]
        found = await self._store.pending_matches(free, limit=PAGE)
        by_listener: dict[str, list[Event]] = {}
        for one in found:
            by_listener.setdefault(one.listener_id, []).append(one.event)
        for listener_id, events in by_listener.items():
            self._judging += 1
            self._busy[listener_id] = asyncio.create_task(self._settle_all(self._listeners[listener_id], events))
        return len(found) < PAGE

    async def _rest(self) -> None:
        """Wait until there may be something again."""
        if not self._judging and not self._heard.is_set():
            self._idle.set()
        waiting: set[asyncio.Future[Any]] = {
            asyncio.ensure_future(self._heard.wait()),
            asyncio.ensure_future(self._clock.sleep(LOOK_EVERY)),
        }
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()

    # -- settling

    async def _settle_all(self, listener: Listener, events: Sequence[Event]) -> None:
        """Settle these, in their order; what is left when it ends is found by a later look."""
        pause: timedelta | None = None
        try:
            for at in range(0, len(events), AT_ONCE):
                await self._settle_some(listener, events[at : at + AT_ONCE])
        except QueueFull as error:
            logger.info("listener %s waits for room: %s", listener.id, error)
            pause = FULL_FOR
        except Exception as error:  # noqa: BLE001  looked at again; a defect must not end the loop
            complain(f"events of listener {listener.id} could not be settled", error)
            pause = self._pauses.next(listener.id)
        finally:
            self._judging -= 1
            self._heard.set()
        try:
            if pause is not None:
                await self._clock.sleep(pause)
        finally:
            del self._busy[listener.id]
            self._heard.set()

    async def _settle_some(self, listener: Listener, events: Sequence[Event]) -> None:
        task = self._catalog.task(listener.task)
        asked = await asyncio.gather(*(judged(listener, task, event) for event in events))
        ended = await asyncio.gather(*(self._settle(one) for one in asked), return_exceptions=True)
        for one in ended:
            if isinstance(one, BaseException):
                raise one

    async def _settle(self, request: SettleMatch) -> None:
        try:
            match = await self._store.settle_match(request)
        except InvalidSetting as error:  # the task asks for what its queue never gives
            refused = SettleMatch(
                event_id=request.event_id,
                listener_id=request.listener_id,
                status=MatchStatus.FAILED,
                reason=str(error),
            )
            match = await self._store.settle_match(refused)
        if match is None:
            return
        self._settled += 1
        if match.status is MatchStatus.FAILED:
            logger.warning(
                "event %s started no run for listener %s: %s", match.event_id, match.listener_id, match.reason
            )

    # -- declaring

    async def _declare(self, *, begins: bool = False) -> None:
        declared = [one.declared() for one in self._listeners.values()]
        stored = await self._store.declare_listeners(declared, tuple(self._catalog.tasks), begins=begins)
        as_ours = {one.id for one in stored if (known := self._listeners.get(one.id)) and known.task == one.task}
        if begins:
            for listener_id in sorted(set(self._listeners) - as_ours):
                logger.warning(
                    "another program has a listener %s of another task; give this one another id= to be heard",
                    listener_id,
                )
        self._ours = sorted(as_ours)

    async def _keep_declaring(self) -> None:
        """Say once a minute that this program has them, so that no other takes them for gone."""
        while True:
            await self._clock.sleep(DECLARE_EVERY)
            with suppress(StoreError):  # said again in a minute; they stay for ten
                await self._declare()
