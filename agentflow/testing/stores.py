"""A store by itself, for tests that drive the engine's verbs from outside."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from agentflow.store import open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from agentflow.clock import Clock
    from agentflow.store import Store


@asynccontextmanager
async def open_test_store(path: Path | str, clock: Clock | None = None) -> AsyncIterator[Store]:
    """The store on this file, made if there is none, for as long as an `async with` lasts.

    Its verbs are those that workers and clients use: claims and their epochs, fenced writes, leases, answers. With a
    `FakeClock` leases, timers and deadlines pass when the test says so. Raises `StoreUnusable`.
    """
    store = await open_store(f"sqlite:///{path}", clock=clock)
    try:
        yield store
    finally:
        await store.close()
