"""Performing one operation: return what is recorded, or run it under its policy and record what came of it."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass, field
from datetime import timedelta
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from agentflow.clock import from_micros, to_micros
from agentflow.errors import NotRecordable, PayloadTooLarge, StepTimedOut, UndecodablePayload
from agentflow.failures import Failure, same_in_replay
from agentflow.payloads import decode, preview, record
from agentflow.requests import NewEntry, OpenWait
from agentflow.retry import ONCE
from agentflow.runtime.branches import Waiting
from agentflow.runtime.index import due_after
from agentflow.runtime.signals import Ambiguous, Divergence
from agentflow.states import EntryKind, WaitKind
from agentflow.tasks.step import Effect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from agentflow.retry import Retry
    from agentflow.runtime.index import Recorded
    from agentflow.runtime.scope import Scope

SHORT = timedelta(seconds=1)
_write = json.JSONEncoder(ensure_ascii=False).encode
_SCALARS = frozenset({int, bool, type(None)})
_SHORT_TEXT = 1000
_PACKAGE = __file__.rpartition("runtime")[0]


@dataclass(slots=True)
class Work:
    """An operation to be performed: what it is called, how to call it, and under which policy."""

    name: str
    operation: str
    call: Callable[[str, int], Awaitable[Any]]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    result: Any = Any
    retry: Retry = ONCE
    timeout: timedelta | None = None
    effect: Effect = Effect.AT_LEAST_ONCE
    is_scope: bool = False


async def perform(scope: Scope, work: Work) -> Any:
    """The operation's result, recorded before it is returned. Raises what the operation raised, recorded too."""
    key, recorded = scope.ask(work.name, work.operation)
    scope.busy += 1
    try:
        if recorded is None:
            return await _Performance(scope, work, key, None).run()
        await _hold_against(scope, work, recorded)
        if recorded.final is not None:
            return _replayed(scope, work, recorded)
        if recorded.started is not None and work.effect is Effect.AT_MOST_ONCE:
            raise scope.turn.stop(Ambiguous(key=key))
        return await _Performance(scope, work, key, recorded).run()
    finally:
        scope.busy -= 1


def _replayed(scope: Scope, work: Work, recorded: Recorded) -> Any:
    final = recorded.final
    assert final is not None
    if final.kind is EntryKind.FAILED:
        error = Failure.from_json(final.error or "").to_exception()
        scope.turn.raised(error, recorded.failed_in)
        raise error
    try:
        return decode(final.output or "null", work.result)
    except UndecodablePayload as error:
        asked = f"{work.operation} {recorded.key} with a result of another type ({error})"
        found = Divergence(recorded=f"{recorded.operation} {recorded.key}", asked=asked)
        raise scope.turn.stop(found) from error


async def _hold_against(scope: Scope, work: Work, recorded: Recorded) -> None:
    """Note, or stop at, an operation that is asked for with other arguments than are recorded."""
    entry = recorded.final or (recorded.failures[-1] if recorded.failures else None)
    if entry is None or recorded.input_noted:
        return
    now = input_text(work.args, work.kwargs)
    if now == entry.input:
        return
    if scope.turn.task.changed_input == "stop":
        found = Divergence(
            recorded=f"{recorded.operation} {recorded.key} with {entry.input}", asked=f"the same with {now}"
        )
        raise scope.turn.stop(found)
    recorded.input_noted = True
    noted = NewEntry(kind=EntryKind.INPUT_CHANGED, key=recorded.key, operation=work.operation, input=now)
    await scope.turn.append(noted)


def input_text(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str | None:
    """The arguments of a call as the journal keeps them, for people and for comparison; None if there are none."""
    if not kwargs:
        if not args:
            return None
        if all(
            type(one) in _SCALARS or (type(one) is str and len(one) < _SHORT_TEXT and one.isascii()) for one in args
        ):
            return _write(args)  # what `preview` would give, at a tenth of the cost
    return _write(preview({"args": args, "kwargs": kwargs} if kwargs else list(args)))


class _Performance:
    """The attempts of one operation."""

    def __init__(self, scope: Scope, work: Work, key: str, recorded: Recorded | None) -> None:
        self._scope = scope
        self._turn = scope.turn
        self._work = work
        self._key = key
        self._recorded = recorded
        self._waited = recorded is not None and recorded.opened is not None
        self._input = input_text(work.args, work.kwargs)
        self._began = 0

    async def run(self) -> Any:
        attempt = 1
        if self._recorded is not None and self._recorded.failures:
            attempt += len(self._recorded.failures)
            await self._until(due_after(self._recorded.failures[-1]))
        while True:
            if self._work.effect is Effect.AT_MOST_ONCE:
                await self._turn.append(self._entry(EntryKind.STARTED, attempt))
            self._began = perf_counter_ns()
            try:
                result = await bounded(self._work.call(self._key, attempt), self._work.timeout, self._key)
            except Exception as error:  # noqa: BLE001  a failure is recorded, whatever it is
                await self._failed(error, attempt)
                attempt += 1
                continue
            return await self._succeeded(result, attempt)

    async def _succeeded(self, result: Any, attempt: int) -> Any:
        work = self._work
        try:
            text, seen = record(result, work.result, of=work.name)
        except (NotRecordable, PayloadTooLarge) as error:
            error.add_note(f"it is the result of `await {work.name}(…)` at {_place()}")
            return await self._give_up(error, attempt)
        entry = self._entry(EntryKind.SUCCEEDED, attempt)
        entry.output = text
        await self._keep(entry)
        return seen

    async def _failed(self, error: Exception, attempt: int) -> None:
        """Record a failed attempt and wait for the next; raises the error if there is none."""
        delay = self._work.retry.delay_after(attempt, error, chance=self._turn.chance())
        if delay is None:
            await self._give_up(error, attempt)
            return
        next_at = self._turn.clock.now() + delay
        entry = self._entry(EntryKind.ATTEMPT_FAILED, attempt)
        entry.error = Failure.of(error).to_json()
        inner = self._turn.key_of(error)
        entry.detail = json.dumps({"next_at": to_micros(next_at)} | ({"retry": inner} if inner else {}))
        await self._keep(entry)
        if self._work.is_scope:
            await self._turn.catch_up()
        await self._until(to_micros(next_at))

    async def _give_up(self, error: Exception, attempt: int) -> None:
        failure = Failure.of(error)
        rebuilt = same_in_replay(failure, error)
        inner = self._turn.key_of(error)
        self._turn.raised(rebuilt, inner or self._key)
        entry = self._entry(EntryKind.FAILED, attempt)
        entry.detail = None if inner is None else json.dumps({"retry": inner})
        entry.error = failure.to_json()
        await self._keep(entry)
        raise rebuilt

    async def _until(self, micros: int | None) -> None:
        """Wait for the next attempt: a short pause in memory, a long one with the run parked."""
        if micros is None:
            return
        due_at = from_micros(micros)
        left = due_at - self._turn.clock.now()
        if left <= SHORT:
            await self._turn.clock.sleep(left)
            return
        opening = None
        if not self._waited:
            opening = OpenWait(key=self._key, kind=WaitKind.RETRY, due_at=due_at)
        self._waited = True
        future = asyncio.get_running_loop().create_future()
        await self._turn.waits.wait(self._scope.branch, Waiting(self._key, future, due_at, opening))

    async def _keep(self, entry: NewEntry) -> None:
        if self._waited:  # closes the wait that was open between attempts
            self._waited = False
            await self._turn.settle(entry, self._key)
        else:
            await self._turn.append(entry)

    def _entry(self, kind: EntryKind, attempt: int) -> NewEntry:
        took = (perf_counter_ns() - self._began) // 1000 if kind is not EntryKind.STARTED else None
        return NewEntry(kind, self._key, self._work.operation, attempt, took, self._input)


async def bounded(work: Awaitable[Any], timeout: timedelta | None, what: str) -> Any:
    """The result, within the time. Work that does not stop when it is cancelled is left behind, its result dropped.

    Raises `StepTimedOut`.
    """
    if timeout is None:
        return await work
    running = asyncio.ensure_future(work)
    try:
        await asyncio.wait({running}, timeout=timeout.total_seconds())
    except asyncio.CancelledError:
        running.cancel()
        raise
    if running.done():
        return running.result()
    running.cancel()
    running.add_done_callback(_drop)
    raise StepTimedOut(f"{what} took longer than {timeout}")


def _drop(done: asyncio.Future[Any]) -> None:
    """Look at the late result, so that nobody is warned about it."""
    if not done.cancelled():
        done.exception()


def _place() -> str:
    """File and line of the nearest code that is not ours."""
    frame = sys._getframe(1)  # noqa: SLF001  a traceback would have to be raised and caught first
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
