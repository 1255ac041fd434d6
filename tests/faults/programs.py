"""What the processes of the fault cases run."""

from __future__ import annotations

import asyncio
import resource
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from agentflow.requests import ClaimRuns, OpenWait, SendEvent, TriggerRun, event_subject
from agentflow.states import WaitKind
from agentflow.store import open_store
from tests.crash.programs import work

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from multiprocessing.connection import Connection
    from multiprocessing.synchronize import Barrier

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
MEMORY = 700 * 1024 * 1024
"""Bytes of address space: a worker with its threads fits in with room to spare."""


def work_within(channel: Connection, database: str, memory: int, options: dict[str, Any]) -> None:
    """A worker whose address space is bounded."""
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    work(channel, database, options)


# -- an event is sent at the moment at which a run parks on it

HEAD_START = 50
"""Once in so many times one of the two, each in turn, is done before the other sets off."""


def park_on_events(channel: Connection, database: str, times: int, start: Barrier) -> None:
    """So many runs that wait for an event each park at the moment at which it is sent; says how many there were."""

    async def main() -> None:
        store = await open_store(database)
        await store.trigger_many([TriggerRun(task="waits", version="1", input="{}")] * times)
        worker = await store.register_worker(host="one", pid=1, started="1", lease_for=timedelta(hours=1))
        claimed = await store.claim(ClaimRuns(worker_id=worker.id, tasks=("waits",), limit=times))
        start.wait()
        for n, one in enumerate(claimed):
            wait = OpenWait(
                key="event.paid#1", kind=WaitKind.EVENT, subject=event_subject("paid", str(n)), since=LONG_AGO
            )
            await _at_once(n, 0, start, lambda one=one, wait=wait: store.park(one.lease, [wait], [wait.key]))
        await store.retire_worker(worker.id)
        await store.close()
        channel.send(len(claimed))

    asyncio.run(main())


def send_events(channel: Connection, database: str, times: int, start: Barrier) -> None:
    """Send each event at the moment at which the run parks that waits for it."""

    async def main() -> None:
        store = await open_store(database)
        start.wait()
        for n in range(times):
            sent = SendEvent(id=f"evt-{n}", name="paid", key=str(n), payload=str(n), sent_by="test")
            await _at_once(n, 1, start, lambda sent=sent: store.send_event(sent))
        await store.close()
        channel.send(times)

    asyncio.run(main())


async def _at_once(place: int, who: int, start: Barrier, act: Callable[[], Awaitable[Any]]) -> None:
    """Act at the moment at which the other does, but for the head starts."""
    turn, is_even = divmod(place, HEAD_START)
    is_first = turn % 2 == who
    start.wait()
    if not is_even and not is_first:
        start.wait()
    await act()
    if not is_even and is_first:
        start.wait()
