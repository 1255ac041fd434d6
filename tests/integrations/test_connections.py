"""A connection kept by a task of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from datetime import timedelta

import pytest

from agentflow.errors import HostUnreachable, InvalidSetting
from agentflow.integrations.connections import Connection

run: ContextVar[str] = ContextVar("run", default="")


class Line:
    """Something to be opened and closed, which says in which task and context that was."""

    def __init__(self, *troubles: Exception) -> None:
        self.troubles = list(troubles)
        self.log: list[str] = []
        self.tasks: list[asyncio.Task[None] | None] = []

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        self.log.append(f"open{run.get()}")
        self.tasks.append(asyncio.current_task())
        if self.troubles:
            raise self.troubles.pop(0)
        try:
            yield f"line {len(self.tasks)}"
        finally:
            self.log.append("close")
            self.tasks.append(asyncio.current_task())

    def connection(self) -> Connection:
        return Connection("the line", self.open, timeout=timedelta(seconds=5))


async def test_it_is_opened_once_and_closed_by_the_task_that_opened_it_outside_of_every_run():
    line = Line()
    connection = line.connection()
    run.set(" in a run")
    assert set(await asyncio.gather(*(connection.get() for _ in range(5)))) == {"line 1"}
    await connection.aclose()
    assert line.log == ["open", "close"]
    assert line.tasks[0] is line.tasks[1]
    assert line.tasks[0] is not asyncio.current_task()


async def test_what_was_lost_is_opened_anew_and_only_by_whoever_lost_that_very_one():
    line = Line()
    connection = line.connection()
    first = await connection.get()
    connection.lost(first)
    second = await connection.get()
    connection.lost(first)
    assert await connection.get() == second != first
    await connection.aclose()
    assert line.log == ["open", "close", "open", "close"]


async def test_what_cannot_be_opened_says_so_and_when_to_come_back():
    line = Line(ExceptionGroup("g", [OSError("no such program")]), InvalidSetting("no secret"))
    connection = line.connection()
    with pytest.raises(HostUnreachable, match="the line cannot be reached: OSError: no such program") as failed:
        await connection.get()
    assert failed.value.retry_after == timedelta(seconds=0.5)
    connection._not_before = 0.0
    with pytest.raises(InvalidSetting):
        await connection.get()
    assert await connection.get() == "line 3"
    await connection.aclose()


async def test_a_caller_that_gives_up_while_it_is_opened_leaves_nothing_open():
    never = asyncio.Event()
    closed = asyncio.Event()

    @asynccontextmanager
    async def slow() -> AsyncIterator[str]:
        try:
            await never.wait()
            yield ""
        finally:
            closed.set()

    connection = Connection("the line", slow, timeout=timedelta(seconds=0.5))
    with pytest.raises(HostUnreachable, match=r"no answer within 0\.5 s"):
        await connection.get()
    assert closed.is_set()
