"""A subscriber: a real HTTP server that keeps what it is sent, has it checked by a package, and misbehaves."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from standardwebhooks import Webhook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Answer = Callable[["Sent"], "bytes | Awaitable[bytes]"]


@dataclass(frozen=True)
class Sent:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    def verified(self, secret: str) -> dict[str, Any]:
        """The body, which `standardwebhooks` says is authentic; its clock is this machine's."""
        found: dict[str, Any] = Webhook(secret).verify(self.body, self.headers)
        return found


def answer(status: int = 200, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} So", f"content-length: {len(body)}", "connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@dataclass
class Receiver:
    """What has come, and how the next request is answered."""

    url: str = ""
    sent: list[Sent] = field(default_factory=list)
    answers: Any = field(default_factory=answer)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, count: int, *, within: float = 120) -> list[Sent]:
        """What has come, once it is so many."""
        async with asyncio.timeout(within):
            while len(self.sent) < count:
                self.came.clear()
                await self.came.wait()
        return self.sent

    @property
    def types(self) -> list[str]:
        return [one.event["type"] for one in self.sent]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            one = Sent(head[0].split(" ")[1], headers, body)
            self.sent.append(one)
            self.came.set()
            given = self.answers(one) if callable(self.answers) else self.answers
            writer.write(given if isinstance(given, bytes) else await given)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A subscriber on a port of its own."""
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    try:
        yield receiver
    finally:
        server.close()
