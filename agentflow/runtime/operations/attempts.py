"""The attempts of one operation: each within its bounds, failed ones recorded, until one succeeds or none is left."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from agentflow.clock import from_micros, to_micros
from agentflow.errors import AnswerLost, CircuitOpen, NotRecordable, OutcomeUnknown, PayloadTooLarge, StoreError
from agentflow.failures import Failure, same_in_replay
from agentflow.payloads import record
from agentflow.requests import NewEntry, OpenWait
from agentflow.runtime.index import due_after, first_attempt_at
from agentflow.runtime.operations.bounds import SHORT, Bounds, bounded
from agentflow.runtime.operations.heartbeats import Pulse, current_pulse
from agentflow.runtime.operations.inputs import input_text
from agentflow.runtime.parallel.branches import Waiting
from agentflow.states import EntryKind, WaitKind
from agentflow.tasks.lookup import NOT_DONE, Done
from agentflow.tasks.step import Effect

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from agentflow.records import Entry
    from agentflow.runtime.index import Recorded
    from agentflow.runtime.operations.performing import Work
    from agentflow.runtime.scope import Scope
    from agentflow.tasks.lookup import Found

_PACKAGE = __file__.rpartition("runtime")[0]


class Attempts:
    """The attempts of one operation, those recorded so far included."""

    def __init__(self, scope: Scope, work: Work, key: str, recorded: Recorded | None) -> None:
        self._scope = scope
        self._turn = scope.turn
        self._work = work
        self._key = key
        self._recorded = recorded
        self._waited = recorded is not None and recorded.opened is not None
        self._input = input_text(work.args, work.kwargs)
        self._pulse: Pulse | None = None
        self._bounds = Bounds(key, scope.turn.clock, work.timeout, work.schedule_to_close)
        self._bounds.heartbeat_timeout = work.heartbeat_timeout
        self._first_at = 0
        self._began = 0

    async def run(self) -> Any:
        """The result of the first attempt that succeeds. Raises the error of the last, as it is recorded."""
        attempt = 1
        if self._recorded is not None and self._recorded.failures:
            attempt += len(self._recorded.failures)
            await self._until(due_after(self._recorded.failures[-1]))
        self._count_from_the_first()
        is_cut_off = self._turn.begins(self._scope)
        while True:
            if self._work.breaker is not None or self._bounds.closes_at is not None:
                await self._admit(attempt)
            before = await self._said_before() if self._work.is_leaf and (attempt > 1 or is_cut_off) else None
            if self._work.effect is Effect.AT_MOST_ONCE:
                begun = self._entry(EntryKind.STARTED, attempt)
                begun.detail = self._work.mark
                await self._turn.append(begun)
            self._began = perf_counter_ns()
            try:
                result = await self._call(attempt, before)
            except Exception as error:  # noqa: BLE001  a failure is recorded, whatever it is
                await self._ended_in(error)
                done = await self._done_all_the_same(error)
                if isinstance(done, Done):
                    return await self.succeeded(done.value, attempt)
                if done is NOT_DONE:
                    continue
                await self._failed(error, attempt)
                attempt += 1
                continue
            if self._work.breaker is not None:
                await self._tell_breaker(None)
            return await self.succeeded(result, attempt)

    async def succeeded(self, result: Any, attempt: int) -> Any:
        """Record the result; what the task sees of it. Raises, recorded as a failure, what cannot be recorded."""
        work = self._work
        try:
            text, seen = record(result, work.result, of=work.name)
        except NotRecordable as error:
            error.add_note(f"it is the result of `await {work.name}(…)` at {_place()}")
            return await self._give_up(error, attempt)
        except PayloadTooLarge as error:
            named = error.said_of(f"the result of `await {work.name}(…)` at {_place()}")
            return await self._give_up(named, attempt)
        entry = self._entry(EntryKind.SUCCEEDED, attempt)
        entry.output, entry.detail = text, work.mark
        await self._keep(entry)
        return seen

    # -- one attempt

    def _count_from_the_first(self) -> None:
        """Learn when the first attempt began, in whichever turn, since when all attempts together are bounded."""
        if self._work.schedule_to_close is None:
            return
        known = None if self._recorded is None else first_attempt_at(self._recorded)
        first_at = self._turn.clock.now() if known is None else known
        self._first_at = to_micros(first_at)
        self._bounds.closes_at = first_at + self._work.schedule_to_close

    async def _admit(self, attempt: int) -> None:
        """Let an attempt begin. Raises, recorded as a failure, if there is no time for one or the breaker is open."""
        closes_at, breaker = self._bounds.closes_at, self._work.breaker
        if closes_at is not None and self._turn.clock.now() >= closes_at:
            await self._give_up(self._bounds.closed("has no attempt left at the end of"), max(1, attempt - 1))
        if breaker is None:
            return
        open_until = None
        with suppress(StoreError):  # a breaker that cannot be asked is no reason to fail
            open_until = await self._turn.store.admit(breaker.rule)
        if open_until is not None:
            said = (
                f"{self._key} was not called: breaker {breaker.key!r} is open until {open_until:%Y-%m-%d %H:%M:%S} UTC"
            )
            await self._give_up(CircuitOpen(said, retry_after=open_until), attempt)

    async def _call(self, attempt: int, before: str | None) -> Any:
        call = self._work.call(self._key, attempt)
        if not self._bounds.are_none:
            call = bounded(call, self._bounds)
        if not self._work.is_leaf:
            return await call
        self._pulse = self._bounds.pulse = Pulse(self._turn, self._key, before)
        token = current_pulse.set(self._pulse)
        try:
            return await call
        finally:
            current_pulse.reset(token)
            self._pulse.stop()

    async def _ended_in(self, error: Exception) -> None:
        """Let those know of a failure who count and remember."""
        if self._pulse is not None:
            await self._pulse.keep()
        await self._tell_breaker(error)

    async def _done_all_the_same(self, error: Exception) -> Found:
        """What a call made at most once has done though it was cut off or its answer lost; None where it failed."""
        is_unknown = self._bounds.is_cut or isinstance(error, AnswerLost)
        if self._work.effect is not Effect.AT_MOST_ONCE or not is_unknown:
            return None
        await self._turn.catch_up()
        started = self._turn.index.by_key[self._key].started
        assert started is not None
        because = "it was cut off by a limit of time" if self._bounds.is_cut else f"its answer was lost: {error}"
        self._bounds.is_cut = False
        return await self.settled(started, because)

    async def settled(self, started: Entry, because: str = "") -> Found:
        """What a call that was cut off gave, as `Work.became` says.

        Raises, recorded as its failure, that a person said to stop.
        """
        try:
            return await self._work.became(self._scope, started, because)
        except OutcomeUnknown as error:
            await self._give_up(error, started.attempt)
            raise

    async def _said_before(self) -> str | None:
        said: str | None = await self._turn.sure(self._turn.store.last_beat, self._turn.run.id, self._key)
        return said

    async def _tell_breaker(self, error: Exception | None) -> None:
        breaker = self._work.breaker
        if breaker is not None and (error is None or breaker.counts(error)):
            with suppress(StoreError):
                await self._turn.store.report(breaker.rule, ok=error is None)

    # -- failures

    async def _failed(self, error: Exception, attempt: int) -> None:
        """Record a failed attempt and wait for the next; raises the error if there is none."""
        now, closes_at = self._turn.clock.now(), self._bounds.closes_at
        delay = self._work.retry.next_after(attempt, error, now=now, chance=self._turn.chance())
        if delay is None or self._bounds.is_closed:
            await self._give_up(error, attempt)
            return
        next_at = now + delay
        if closes_at is not None and next_at >= closes_at:
            late = self._bounds.closed(f"failed ({type(error).__name__}: {error}), with no other attempt left in")
            late.__cause__ = error
            await self._give_up(late, attempt)
        entry = self._entry(EntryKind.ATTEMPT_FAILED, attempt)
        entry.error = Failure.of(error).to_json()
        entry.detail = self._outlook(error, to_micros(next_at))
        await self._keep(entry)
        if self._work.is_scope:
            await self._turn.catch_up()
        await self._until(to_micros(next_at))

    def _outlook(self, error: Exception, next_at: int) -> str:
        """When it is tried next, which operation within it failed, and when the first attempt began if that counts."""
        inner = self._turn.key_of(error)
        detail: dict[str, Any] = {"next_at": next_at}
        if inner is not None:
            detail["retry"] = inner
        if self._first_at:
            detail["first_at"] = self._first_at
        return json.dumps(detail)

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

    # -- the journal

    def _keep(self, entry: NewEntry) -> Awaitable[None]:
        if self._waited:  # closes the wait that was open between attempts
            self._waited = False
            return self._turn.settle(entry, self._key)
        return self._turn.append(entry)

    def _entry(self, kind: EntryKind, attempt: int) -> NewEntry:
        took = (perf_counter_ns() - self._began) // 1000 if self._began and kind is not EntryKind.STARTED else None
        entry = NewEntry(kind, self._key, self._work.operation, attempt, took, self._input)
        if self._pulse is not None and kind is not EntryKind.STARTED:
            entry.usage, self._pulse.usage = self._pulse.usage, ()
            if kind is EntryKind.SUCCEEDED:
                entry.kept = self._pulse.kept
        return entry


def _place() -> str:
    """File and line of the nearest code that is not ours."""
    frame = sys._getframe(1)  # noqa: SLF001  a traceback would have to be raised and caught first
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
