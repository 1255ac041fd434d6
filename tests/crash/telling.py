"""What the killed processes run where subscribers are told: a program that tells them, and one where things happen."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from agentflow.client import Client
from agentflow.requests import TriggerRun
from agentflow.store import open_store
from agentflow.telling import Teller, TellerSettings

if TYPE_CHECKING:
    from multiprocessing.connection import Connection


def happen(channel: Connection, database: str, url: str, count: int) -> None:
    """Subscribe, and start so many runs."""

    async def main() -> None:
        store = await open_store(database)
        await Client(store).subscriptions.add(url, events=["run.started"], by="mia")
        for n in range(count):
            await store.trigger(TriggerRun(task="t", version="1", input=str(n)))
        await store.close()

    asyncio.run(main())
    channel.send("happened")


def tell(channel: Connection, database: str, hold_for: float) -> None:
    """Tell subscribers until asked to end."""
    settings = TellerSettings(
        poll_every=timedelta(milliseconds=50), timeout=timedelta(seconds=60), hold_for=timedelta(seconds=hold_for)
    )

    async def main() -> None:
        ending = asyncio.Event()
        asyncio.get_running_loop().add_reader(channel.fileno(), ending.set)
        store = await open_store(database)
        teller = Teller(store, dev=True, settings=settings)
        await teller.start()
        channel.send("telling")
        await ending.wait()
        await teller.stop()
        await store.close()

    asyncio.run(main())
