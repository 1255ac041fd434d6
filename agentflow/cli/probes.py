"""A port for whoever watches a worker or a scheduler: is it alive, and is it ready?

Two paths, answered on the program's event loop, so that a loop which is held up does not answer. A web framework would
take a worker longer to import than all else it imports.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from agentflow.errors import StoreError

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable

    from agentflow.app import AgentFlow

LIVE: Final = "/health/live"
READY: Final = "/health/ready"
STORE_PATIENCE: Final = 3.0
REQUEST_PATIENCE: Final = 5.0
LONGEST_REQUEST: Final = 16 * 1024


class Condition:
    """Whether a program is ready: started, not ending, its database answering, each of its parts at work."""

    def __init__(self, asked_to_end: asyncio.Event) -> None:
        self._asked_to_end = asked_to_end
        self._app: AgentFlow | None = None
        self._troubles: list[Callable[[], str]] = []

    def has_started(self, app: AgentFlow, *troubles: Callable[[], str]) -> None:
        """From now on it is ready, unless one of these says why not."""
        self._app = app
        self._troubles = [*troubles]

    async def trouble(self) -> str:
        """Why it is not ready; empty if it is. It names no address: whoever reaches the port may read it."""
        if self._asked_to_end.is_set():
            return "it is stopping"
        if self._app is None:
            return "it is starting"
        for said in self._troubles:
            if trouble := said():
                return trouble
        try:
            async with asyncio.timeout(STORE_PATIENCE):
                await self._app.client.head()
        except (StoreError, TimeoutError):
            return "the database does not answer"
        return ""


class Probes:
    """Answers on a socket until closed."""

    def __init__(self, trouble: Callable[[], Awaitable[str]]) -> None:
        self._trouble = trouble
        self._server: asyncio.Server | None = None

    async def start(self, listener: socket.socket) -> None:
        """Answer from now on."""
        self._server = await asyncio.start_server(self._converse, sock=listener, limit=LONGEST_REQUEST)

    async def stop(self) -> None:
        """Answer no more, and let go of the address."""
        if self._server is not None:
            self._server.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(REQUEST_PATIENCE):
                request = await reader.readuntil(b"\r\n\r\n")
                status, document = await self._answer(request)
                writer.write(_response(status, document, with_body=not request.startswith(b"HEAD ")))
                await writer.drain()
        writer.close()

    async def _answer(self, request: bytes) -> tuple[HTTPStatus, dict[str, Any]]:
        method, _, rest = request.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0].decode("latin-1")
        if path not in {LIVE, READY}:
            return HTTPStatus.NOT_FOUND, {"status": "unknown", "why": f"ask {LIVE} or {READY}"}
        if method not in {b"GET", b"HEAD"}:
            return HTTPStatus.METHOD_NOT_ALLOWED, {"status": "unknown", "why": "ask with GET"}
        trouble = await self._trouble() if path == READY else ""
        if trouble:
            return HTTPStatus.SERVICE_UNAVAILABLE, {"status": "not ready", "why": trouble}
        return HTTPStatus.OK, {"status": "ready" if path == READY else "alive"}


def _response(status: HTTPStatus, document: dict[str, Any], *, with_body: bool) -> bytes:
    body = json.dumps(document).encode()
    lines = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        "cache-control: no-store",
        "connection: close",
    )
    return "\r\n".join((*lines, "", "")).encode() + (body if with_body else b"")
