"""The live stream: a page learns that something was recorded, and asks for its own part again.

Server-sent events carry no content of runs, only which runs moved and how; the id of an event is that of the newest
journal entry, so a browser that was away resumes where it left.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, aclosing, contextmanager, suppress
from typing import Any, Final

from agentflow.client import Client
from agentflow.errors import StoreUnavailable
from agentflow.records import Entry

HEARTBEAT_SECONDS: Final = 15.0
AGAIN_SECONDS: Final = 1.0  # from one try to reach a database that is away to the next
ASK_SECONDS: Final = 1.0  # from one look at whether the reader may still read to the next
GATHER_SECONDS: Final = 0.1  # a busy run becomes ten events a second, not a thousand
MOST_ENTRIES: Final = 200
MOST_CHUNKS: Final = 64
MOST_STREAMS: Final = 2000  # each asks the store when something was recorded
MOST_OF_ONE: Final = 200  # with one token, which a whole team may share

Allowed = Callable[[], Awaitable[bool]]


class Streams:
    """The open streams of one inbox, and whoever waits in it for a run's end."""

    def __init__(self) -> None:
        self._ended = asyncio.Event()
        self._held: Counter[str] = Counter()

    def has_room(self, token_id: str) -> bool:
        """Whether one more may be opened with this token; with none, which is everybody's, as far as there is room."""
        is_full = self._held.total() >= MOST_STREAMS
        return not is_full and (not token_id or self._held[token_id] < MOST_OF_ONE)

    @contextmanager
    def held(self, token_id: str) -> Iterator[None]:
        """Count one, as long as it is open."""
        self._held[token_id] += 1
        try:
            yield
        finally:
            self._held[token_id] -= 1
            if not self._held[token_id]:
                del self._held[token_id]

    def end(self) -> None:
        """Close every stream, now and later: a server that stops waits for its connections."""
        self._ended.set()

    async def wait(self) -> None:
        """Return when the streams have to end."""
        await self._ended.wait()


async def pumped(
    events: AsyncGenerator[bytes, None], allowed: Allowed, held: AbstractContextManager[None]
) -> AsyncIterator[bytes]:
    """The events as the body of a response, as long as the reader is `allowed`; that is asked at most once a second.

    The following is done by a task of its own: the server cancels a body whose reader has left at every await, and
    what follows the store has to be closed in peace.
    """
    measured = asyncio.get_running_loop().time
    asked = measured()
    chunks: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=MOST_CHUNKS)
    pumping = asyncio.create_task(_pump(events, chunks))
    try:
        with held:
            while (chunk := await chunks.get()) is not None:
                if measured() - asked >= ASK_SECONDS:
                    if not await _is_allowed(allowed):
                        yield b"event: signed-out\ndata: {}\n\n"
                        return
                    asked = measured()
                yield chunk
    finally:
        pumping.cancel()


async def _is_allowed(allowed: Allowed) -> bool:
    """While the database is away nobody knows, and there is nothing to tell either."""
    try:
        return await allowed()
    except StoreUnavailable:
        return True


async def _pump(events: AsyncGenerator[bytes, None], chunks: asyncio.Queue[bytes | None]) -> None:
    try:
        async with aclosing(events):
            async for event in events:
                await chunks.put(event)
    finally:
        if chunks.full():  # all of it goes, so that a reader this far behind resumes from the last event it got
            while not chunks.empty():
                chunks.get_nowait()
        chunks.put_nowait(None)


async def follow(client: Client, streams: Streams, *, after: int) -> AsyncGenerator[bytes, None]:
    """The events from journal entry `after` on, and whether the database is away; they end when `streams` do."""
    changes = client.changes()
    ended = asyncio.ensure_future(streams.wait())
    change: asyncio.Future[None] = asyncio.ensure_future(anext(changes))
    is_away = False
    try:
        yield b"retry: 2000\n\n"
        while not ended.done():
            patience = AGAIN_SECONDS if is_away else HEARTBEAT_SECONDS
            await asyncio.wait({change, ended}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            if not change.done():
                yield b": still here\n\n"
            elif isinstance(change.exception(), StopAsyncIteration):
                return
            else:
                change.result()
                change = asyncio.ensure_future(anext(changes))
            was_away = is_away
            try:
                while entries := await client.feed(after=after, limit=MOST_ENTRIES):
                    after = entries[-1].id
                    yield _event(entries)
                is_away = False
            except StoreUnavailable:
                is_away = True
            if is_away is not was_away:
                yield b"event: away\ndata: {}\n\n" if is_away else b"event: back\ndata: {}\n\n"
            await asyncio.wait({ended}, timeout=GATHER_SECONDS)
        yield b"event: end\ndata: {}\n\n"
    finally:
        await stop(change, ended)
        await close(changes)


def _event(entries: Sequence[Entry]) -> bytes:
    moved = {"runs": sorted({entry.run_id for entry in entries}), "kinds": sorted({entry.kind for entry in entries})}
    return f"id: {entries[-1].id}\nevent: moved\ndata: {json.dumps(moved)}\n\n".encode()


async def stop(*futures: asyncio.Future[Any]) -> None:
    """Cancel these and see them end."""
    for future in futures:
        future.cancel()
    await asyncio.gather(*futures, return_exceptions=True)


async def close(changes: AsyncIterator[None]) -> None:
    """End the reading of changes."""
    ending = getattr(changes, "aclose", None)
    if ending is not None:
        with suppress(RuntimeError):  # it is running still: cancelling its reader above ends it
            await ending()
