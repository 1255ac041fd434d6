"""A run that waits for what comes from outside, and the acts of those who answer it, each in a process of its own."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentflow import AgentFlow, create_callback, gather, receive_events, send_event, step, task, wait_for_event
from tests.support.ledger import witness

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from multiprocessing.connection import Connection


@step
def hand_over(token: str, place: str) -> None:
    """Give the token to the other system: a file."""
    witness()
    Path(place).write_text(token, encoding="utf-8")


@task
async def listening(place: str) -> list[Any]:
    callback = await create_callback("partner", heartbeat_timeout="1h")
    await hand_over(callback.token, place)
    heard = await gather(wait_for_event("go"), callback)
    lines = await receive_events("line")
    await send_event("heard", lines)
    return [*heard, *lines]


def perform(channel: Connection, database: str, name: str, place: str) -> None:
    """The act of this name, by a process that has a worker if the act needs one."""

    async def main() -> None:
        with_worker, act = ACTS[name]
        async with AgentFlow(listening, database=database, worker=with_worker) as app:
            await act(app, place)

    asyncio.run(main())
    channel.send("performed")


def token_at(place: str) -> str:
    """The token as the other system got it."""
    return Path(place).read_text(encoding="utf-8")


async def _trigger(app: AgentFlow, place: str) -> str:
    return (await app.client.trigger_json("listening", {"place": place}, idempotency_key="the run")).id


async def park(app: AgentFlow, place: str) -> None:
    run_id = await _trigger(app, place)
    async for _ in app.client.changes():
        if len(await app.client.waits(run_id)) == 2:
            return


async def end(app: AgentFlow, place: str) -> None:
    await app.client.result(await _trigger(app, place))


async def say_go(app: AgentFlow, _: str) -> None:
    await app.client.send_event("go", "gone", id="go-1")


async def say_line(app: AgentFlow, _: str) -> None:
    await app.client.send_event("line", "a line", id="line-1")


async def complete(app: AgentFlow, place: str) -> None:
    await app.client.complete_callback(token_at(place), "done")


async def beat(app: AgentFlow, place: str) -> None:
    await app.client.beat_callback(token_at(place), "half way")


ACTS: dict[str, tuple[bool, Callable[[AgentFlow, str], Awaitable[None]]]] = {
    "park": (True, park),
    "end": (True, end),
    "say_go": (False, say_go),
    "say_line": (False, say_line),
    "complete": (False, complete),
    "beat": (False, beat),
}
