"""The inbox, served by uvicorn on the loop the worker runs on."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from email.utils import formatdate
from typing import TYPE_CHECKING, Final

import uvicorn
from uvicorn.server import ServerState

from agentflow.cli.terminal import user
from agentflow.settings import inbox_secret
from approvals_ui import create_app, end_streams

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
    from datetime import datetime

    from agentflow.client import Client
    from agentflow.records import Schedule

LONGEST_FAREWELL: Final = 5


class Pages:
    """The web server of one inbox."""

    def __init__(
        self,
        client: Client,
        listener: socket.socket,
        *,
        dev: bool,
        hosts: Collection[str] = (),
        trouble: Callable[[], Awaitable[str]] | None = None,
    ) -> None:
        self._application = create_app(
            client,
            webhooks=client.catalog.webhooks,
            secret=inbox_secret(),
            reviewer=user(),
            dev=dev,
            hosts=hosts,
            trouble=trouble,
            upcoming=lambda schedule, count: _upcoming(schedule, count, client.now()),
        )
        self._listener = listener
        self._server = _Server(
            uvicorn.Config(
                self._application,
                lifespan="on",
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=LONGEST_FAREWELL,
            )
        )
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return when pages are served. Raises what kept them from it."""
        self._serving = asyncio.create_task(self._server.serve([self._listener]), name="agentflow pages")
        ready = asyncio.create_task(self._server.ready.wait())
        await asyncio.wait({ready, self._serving}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if self._serving.done():
            self._serving.result()

    async def ended(self) -> None:
        """Return or raise when the server has ended by itself."""
        if self._serving is not None:
            await asyncio.shield(self._serving)

    async def stop(self) -> None:
        """Answer what was asked, close every stream, and let go of the address."""
        end_streams(self._application)
        self._server.leave()
        await self.ended()


def _upcoming(schedule: Schedule, count: int, now: datetime) -> Sequence[datetime]:
    from schedulers import upcoming

    return upcoming(schedule, count, now)


class _Server(uvicorn.Server):
    """uvicorn without signals of its own: the program stops its parts in order."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.server_state = _State()
        self.ready = asyncio.Event()
        self._leaving = asyncio.Event()

    def leave(self) -> None:
        """End, once what was asked is answered."""
        self.should_exit = True
        self._leaving.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        """Wait to be asked to end. uvicorn's own loop looks ten times a second whether it is, and what time it is."""
        await self._leaving.wait()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _State(ServerState):
    """What the connections share: its Date header is asked for by each answer, and not set by a clock meanwhile."""

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:
        return [(b"date", formatdate(usegmt=True).encode())]

    @default_headers.setter
    def default_headers(self, _: list[tuple[bytes, bytes]]) -> None:
        """Only uvicorn's own loop would set them."""
