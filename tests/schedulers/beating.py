"""A scheduler process: fires a schedule of every second until it is told, or made, to stop."""

from __future__ import annotations

import asyncio
import signal
import sys

from agentflow.client import Client
from agentflow.store import open_store
from agentflow.tasks.catalog import Catalog
from agentflow.tasks.decorating import task
from schedulers.ticker import Ticker


@task.schedule("* * * * * *", id="seconds")
@task
async def beat() -> None: ...


async def main(database: str) -> None:
    store = await open_store(database)
    ticker = Ticker(Client(store, Catalog([beat])))
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await ticker.start()
    sys.stdout.write("started\n")
    sys.stdout.flush()
    await stopped.wait()
    await ticker.stop()
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
