"""The live stream: a page learns that something was recorded, and asks for its own part again.

Server-sent events carry no content of runs, only which runs moved and how; the id of an event is that of the newest
journal entry, so a browser that was away resumes where it left.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, suppress
from typing import Any, Final

from agentflow.client import Client
from agentflow.errors import StoreUnavailable
from agentflow.records import Entry

HEARTBEAT_SECONDS: Final = 15.0
AGAIN_SECONDS: Final = 1.0  # from one try to reach a database that is away to the next
GATHER_SECONDS: Final = 0.1  # a busy run becomes ten events a second, not a thousand
MOST_ENTRIES: Final = 200
MOST_CHUNKS: Final = 64


class Streams:
    """The open streams of one inbox."""

    def __init__(self) -> None:
        self._ended = asyncio.Event()

    def end(self) -> None:
        """Close every stream, now and later: a server that stops waits for its connections."""
        self._ended.set()

    async def wait(self) -> None:
        """Return when the streams have to end."""
        await self._ended.wait()


def stream(client: Client, streams: Streams, *, after: int) -> AsyncIterator[bytes]:
    """What happens from journal entry `after` on, as the body of a response."""
    return pumped(follow(client, streams, after=after))


async def pumped(events: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    """The events as the body of a response.

    The following is done by a task of its own: the server cancels a body whose reader has left at every await, and
    what follows the store has to be closed in peace.
    """
    chunks: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=MOST_CHUNKS)
    pumping = asyncio.create_task(_pump(events, chunks))
    try:
        while (chunk := await chunks.get()) is not None:
            yield chunk
    finally:
        pumping.cancel()


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
        await _close(changes)


def _event(entries: Sequence[Entry]) -> bytes:
    moved = {"runs": sorted({entry.run_id for entry in entries}), "kinds": sorted({entry.kind for entry in entries})}
    return f"id: {entries[-1].id}\nevent: moved\ndata: {json.dumps(moved)}\n\n".encode()


async def stop(*futures: asyncio.Future[Any]) -> None:
    """Cancel these and see them end."""
    for future in futures:
        future.cancel()
    await asyncio.gather(*futures, return_exceptions=True)


async def _close(changes: AsyncIterator[None]) -> None:
    close = getattr(changes, "aclose", None)
    if close is not None:
        with suppress(RuntimeError):  # it is running still: cancelling its reader above ends it
            await close()
