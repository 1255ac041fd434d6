"""The inbox on a real server and a real store, in the test's own event loop, on a port the system picks."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import uvicorn

from agentflow.client import Client
from agentflow.store import open_store
from agentflow.tasks.catalog import Catalog
from approvals_ui import create_app, end_streams

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from litestar import Litestar

    from agentflow.store import Store


@dataclass(frozen=True)
class Served:
    """A running inbox."""

    url: str
    app: Litestar
    client: Client
    store: Store

    async def streams(self, count: int) -> None:
        """Return when `count` live streams follow the store; a browser's leaving is noticed a moment later."""
        async with asyncio.timeout(60):
            while self.store._watchers.count != count:  # type: ignore[attr-defined]  # noqa: ASYNC110  nobody is told when a reader has gone
                await asyncio.sleep(0.005)

    def http(self, **options: Any) -> httpx.AsyncClient:
        """A browser-like client with cookies of its own."""
        headers = {"accept": "text/html, */*;q=0.8", "sec-fetch-site": "same-origin"} | options.pop("headers", {})
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=60, **options)


@asynccontextmanager
async def served(
    folder: Path, *definitions: Any, client: Client | None = None, **options: Any
) -> AsyncIterator[Served]:
    """The inbox over a fresh database in `folder`, or over the `client` given; ended cleanly."""
    store: Any = None
    if client is None:
        store = await open_store(f"sqlite:///{folder / 'inbox.db'}", clock=options.pop("clock", None))
        client = Client(store, Catalog.collect(*definitions))
    app = create_app(client, **({"dev": True} | options))
    try:
        async with running(app) as url:
            yield Served(url, app, client, client._store)
    finally:
        if store is not None:
            await store.close()


@asynccontextmanager
async def running(app: Litestar) -> AsyncIterator[str]:
    """Serve `app` until the block ends; its address."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="warning", lifespan="on", ws="none", timeout_graceful_shutdown=5)
    server = uvicorn.Server(config)
    server.capture_signals = _no_signals  # type: ignore[method-assign]
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            if serving.done():
                await serving
            await asyncio.sleep(0.005)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        end_streams(app)
        server.should_exit = True
        await serving


class _no_signals:  # noqa: N801  it stands in for a function of uvicorn's
    """The test runner keeps its own signals."""

    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...
