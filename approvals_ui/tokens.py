"""The words of a run as they come: what its models and tools are saying while they are under way.

The id of an event is that of the piece of text, so a browser that was away resumes where it left. What is recorded is
on the page, and the stream says only that it is.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final

from agentflow.errors import StoreUnavailable
from approvals_ui.streams import AGAIN_SECONDS, HEARTBEAT_SECONDS, stop
from approvals_ui.text import plain

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from agentflow.client import Client, Piece
    from approvals_ui.streams import Streams

RETRY: Final = b"retry: 2000\n\n"


async def words(client: Client, streams: Streams, run_id: str, *, after: int) -> AsyncGenerator[bytes, None]:
    """The events from piece `after` on, until the run has ended or `streams` do."""
    ended = asyncio.ensure_future(streams.wait())
    pieces = client.follow_text(run_id, after=after)
    piece: asyncio.Future[Any] = asyncio.ensure_future(anext(pieces))
    try:
        yield RETRY
        while not ended.done():
            await asyncio.wait({piece, ended}, timeout=HEARTBEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not piece.done():
                yield b": still here\n\n"
            elif isinstance(piece.exception(), StopAsyncIteration):
                break
            elif isinstance(piece.exception(), StoreUnavailable):
                await asyncio.wait({ended}, timeout=AGAIN_SECONDS)
                return  # the browser comes again, with the id of what it has
            else:
                heard = piece.result()
                after = heard.id
                yield _event(heard)
                piece = asyncio.ensure_future(anext(pieces))
        yield b"event: end\ndata: {}\n\n"
    finally:
        await stop(piece, ended)
        await _close(pieces)


def _event(piece: Piece) -> bytes:
    told: dict[str, Any] = {"key": piece.key, "attempt": piece.attempt}
    if piece.is_over:
        return f"id: {piece.id}\nevent: over\ndata: {json.dumps(told)}\n\n".encode()
    told |= {"text": plain(piece.text), "new": piece.is_new}
    return f"id: {piece.id}\nevent: said\ndata: {json.dumps(told)}\n\n".encode()


async def _close(pieces: AsyncIterator[Piece]) -> None:
    closing: Any = pieces
    await closing.aclose()
