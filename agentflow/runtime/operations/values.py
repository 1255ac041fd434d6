"""What tasks may call: sleeping, the time, chance and fresh ids, each recorded once. Outside a run they just work."""

from __future__ import annotations

import asyncio
import inspect
import json
import random as chance
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from agentflow.clock import SystemClock, from_micros, to_micros
from agentflow.durations import duration
from agentflow.errors import InvalidDuration
from agentflow.requests import NewEntry, OpenWait
from agentflow.runtime.asyncio_calls import replace
from agentflow.runtime.callers import InRun
from agentflow.runtime.dry.rehearsal import rehearsed
from agentflow.runtime.operations.bounds import SHORT
from agentflow.runtime.operations.leaf import InStep
from agentflow.runtime.operations.performing import Work, perform
from agentflow.runtime.parallel.branches import Waiting
from agentflow.runtime.scoping import within
from agentflow.states import EntryKind, WaitKind
from agentflow.tasks.calling import current_caller, durable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeVar

    from agentflow.runtime.scope import Scope

    T = TypeVar("T")

_clock = SystemClock()


def _scope() -> Scope | None:
    """The scope of the run the present code belongs to; None outside a run and inside a step."""
    caller = current_caller.get()
    return caller.scope if isinstance(caller, InRun) else None


@durable
async def sleep(span: str | float | timedelta) -> None:
    """Return when the span ("3d", "90s", seconds, a timedelta) has passed by the store's clock, never earlier.

    Inside a run a longer sleep holds no memory: the run is parked and goes on when it is due, also after downtime.
    """
    length = duration(span)
    scope = _scope()
    if scope is None:
        await _clock.sleep(length)
        return
    await rehearsed(scope, _sleep(scope, "sleep", lambda: length))


@durable
async def sleep_until(instant: datetime) -> None:
    """Return when this instant, an aware datetime, has come by the store's clock; at once if it has passed.

    Inside a run it holds no memory, as `sleep`. Raises `InvalidDuration` for a naive one, whose zone nobody knows.
    """
    if not isinstance(instant, datetime) or instant.tzinfo is None:
        raise InvalidDuration(f"sleep_until({instant!r}): wanted an aware datetime (with a time zone)")
    scope = _scope()
    clock = _clock if scope is None else scope.turn.clock

    def left() -> timedelta:
        return duration(max(instant - clock.now(), timedelta(0)))

    if scope is None:
        await clock.sleep(left())
        return
    await rehearsed(scope, _sleep(scope, "sleep_until", left))


async def _sleep(scope: Scope, name: str, span: Callable[[], timedelta]) -> None:
    turn = scope.turn
    key, recorded = scope.ask(name, "timer")
    if recorded is not None and recorded.final is not None:
        return
    scope.busy += 1
    try:
        if turn.rehearsal is not None:
            await turn.rehearsal.rest(scope, key)
        opened = recorded.opened if recorded is not None else None
        length = span()
        due_at = turn.clock.now() + length if opened is None else from_micros(json.loads(opened.detail or "0"))
        if opened is None and length <= SHORT:
            await turn.clock.sleep(length)
            await turn.append(NewEntry(EntryKind.SUCCEEDED, key, "timer", output="null"))
            return
        opening = None
        if opened is None:
            opening = OpenWait(key=key, kind=WaitKind.TIMER, due_at=due_at, detail=str(to_micros(due_at)))
        if due_at > turn.clock.now():
            future = asyncio.get_running_loop().create_future()
            await turn.waits.wait(scope.branch, Waiting(key, future, due_at, opening))
        await turn.settle(NewEntry(EntryKind.SUCCEEDED, key, "timer", output="null"), key)
    finally:
        scope.busy -= 1


async def _value(name: str, make: Callable[[], T], result: type[T]) -> T:
    """A value that is made once for this place in the run."""
    scope = _scope()
    if scope is None:
        return make()

    async def call(_key: str, _attempt: int) -> T:
        return make()

    return cast("T", await perform(scope, Work(name, "value", call, result=result)))


@durable
async def now() -> datetime:
    """The present instant, aware and in UTC; in a run, what it was when the run first came by."""
    scope = _scope()
    clock = _clock if scope is None else scope.turn.clock
    return await _value("now", clock.now, datetime)


@durable
async def uuid4() -> uuid.UUID:
    """A random UUID; in a run, the same one on every replay."""
    return await _value("uuid4", uuid.uuid4, uuid.UUID)  # noqa: TID251  this is the function tasks are to use


@durable
async def random() -> float:
    """A random number from 0 up to 1; in a run, the same one on every replay."""
    return await _value("random", chance.random, float)  # noqa: TID251  not for secrets; tasks are to use it


@durable
async def wait_for(awaitable: Awaitable[T], timeout: str | float | timedelta | None) -> T:
    """The result, within `timeout`. Raises `TimeoutError`, recorded: a replay raises it again and waits for nothing."""
    scope = _scope()
    limit = None if timeout is None else duration(timeout)
    if scope is None:
        return await asyncio.wait_for(awaitable, None if limit is None else limit.total_seconds())

    async def awaiting() -> T:
        return await awaitable

    try:
        work = Work("wait_for", "await", lambda key, _: within(scope, key, awaiting, (), {}), timeout=limit)
        return cast("T", await perform(scope, work))
    finally:
        if inspect.iscoroutine(awaitable) and inspect.getcoroutinestate(awaitable) == inspect.CORO_CREATED:
            awaitable.close()  # recorded before: it is not to run, nor to be warned about


@dataclass(frozen=True, slots=True)
class CurrentOperation:
    """The operation the present code is part of.

    `idempotency_key` is the same on every attempt and replay: give it to systems that accept one.
    """

    run_id: str
    key: str
    attempt: int

    @property
    def idempotency_key(self) -> str:
        """A name for this call that no other call of any run has."""
        return f"{self.run_id}:{self.key}"


def operation() -> CurrentOperation | None:
    """The recorded operation the present code is part of; None outside a run and in the task's own code."""
    caller: Any = current_caller.get()
    if caller is None or caller.key is None:
        return None
    attempt = caller.attempt if isinstance(caller, InStep) else 1
    return CurrentOperation(caller.turn.run.id, caller.key, attempt)


replace(asyncio.sleep, sleep)  # noqa: TID251  named here to be replaced
replace(asyncio.wait_for, wait_for)
