"""A small real server for what a transport in memory cannot show: time-outs, cut connections, and ones kept open."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
CLOSED = HEAD + b"connection: close\r\n\r\n"


@dataclass
class Server:
    """Where it is, and how often it was connected to and asked."""

    url: str = ""
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def serving(answer: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[Server]:
    """Answer each request by `answer`; the connection stays open unless that closes it."""
    server = Server()

    talking: set[asyncio.StreamWriter] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        talking.add(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
                server.requests.append(head + await reader.readexactly(int(length.partition(b":")[2])))
                await answer(writer)
                await writer.drain()
                if writer.is_closing():
                    break
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # whoever asked has gone, or the test has
        finally:
            server.gone.set()
            talking.discard(writer)
            writer.close()

    listening = await asyncio.start_server(talk, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    try:
        yield server
    finally:
        listening.close()
        for writer in talking:
            writer.close()


def chunked(content: bytes) -> bytes:
    """The content as one chunk of a chunked answer."""
    return b"%x\r\n%b\r\n" % (len(content), content)


def whole(content: bytes, *headers: bytes) -> bytes:
    """A whole answer of JSON."""
    lines = [b"HTTP/1.1 200 OK", b"content-type: application/json", b"content-length: %d" % len(content), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + content
