"""What the killed processes run where events start runs: a worker whose code listens, and a program that sends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from agentflow import AgentFlow, task
from tests.crash.programs import add, settings

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

AT_ONCE = 50


@task.on("order.*", where=lambda n: n >= 0)
@task
async def heard(n: int) -> int:
    return await add(n, 1)


@task.on("order.paid")
@task
async def paid(n: int) -> int:
    return n


def listen(channel: Connection, database: str) -> None:
    """A worker, until it is told to end."""

    async def main() -> None:
        ending = asyncio.Event()
        asyncio.get_running_loop().add_reader(channel.fileno(), ending.set)
        async with AgentFlow(heard, paid, database=database, settings=settings()):
            channel.send("listening")
            await ending.wait()

    asyncio.run(main())


def send(channel: Connection, database: str, name: str, first: int, count: int) -> None:
    """A program that sends events, some at a time, and says so."""

    async def main() -> None:
        async with AgentFlow(heard, paid, database=database, worker=False) as app:
            await app.client.declare_listeners()
            for at in range(first, first + count, AT_ONCE):
                some = range(at, min(at + AT_ONCE, first + count))
                await asyncio.gather(*(app.client.send_event(name, n, id=f"evt_{n}") for n in some))

    asyncio.run(main())
    channel.send("sent")
