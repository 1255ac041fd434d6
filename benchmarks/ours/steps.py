"""The tasks that are measured, and the application that has them."""

from __future__ import annotations

from asyncio import new_event_loop
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, cast

from agentflow import AgentFlow, WorkerSettings, step, task, wait_for_approval
from benchmarks.ours.log import mark

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

PAYLOAD = {"ok": True, "status": "done", "text": "x" * 140, "n": 1, "tags": ["a", "b"]}
"""About 200 bytes of JSON, what each step returns."""
PROPOSED = {"ok": True}
"""What a person is asked to approve."""
CONCURRENCY = 50


@step
async def no_op(run: str, number: int) -> dict[str, object]:
    """A step that only says that it ran."""
    mark("step", run, number)
    return {**PAYLOAD, "i": number}


@task
async def sequence(run: str, length: int) -> None:
    """Steps one after the other."""
    for number in range(length):
        await no_op(run, number)
    mark("end", run)


@task
async def approval(run: str) -> None:
    """Wait for a person, then one step."""
    mark("wait", run)
    await wait_for_approval(PROPOSED, title=run)
    mark("go", run)
    await no_op(run, 0)
    mark("end", run)


@task
async def long(run: str, length: int) -> None:
    """Steps one after the other, then wait for a person."""
    for number in range(length):
        await no_op(run, number)
    await wait_for_approval(PROPOSED, title=run)
    mark("go", run)


def application(url: str, *, worker: bool = True) -> AgentFlow:
    """The measured tasks on this database, with the settings every durable write has by default."""
    settings = WorkerSettings(concurrency=CONCURRENCY)
    return AgentFlow(sequence, approval, long, database=url, settings=settings, worker=worker)


def loop_factory() -> Callable[[], AbstractEventLoop]:
    """The event loop that `agentflow worker` would use."""
    if find_spec("uvloop") is None:
        return new_event_loop
    return cast("Callable[[], AbstractEventLoop]", import_module("uvloop").new_event_loop)
