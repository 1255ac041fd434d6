"""One turn: a worker's hold on a run, from claim to outcome.

The task function runs from the top under a context variable that names the turn's root scope. Whatever happens
becomes an `Outcome`, which the caller records; when every branch waits, the turn parks the run itself and leaves the
code by `Suspend`.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from zlib import crc32

from agentflow.errors import (
    Diverged,
    LeaseLost,
    NotRecordable,
    OperationError,
    PayloadTooLarge,
    RunTimedOut,
    StoreUnavailable,
)
from agentflow.failures import Failure
from agentflow.payloads import record
from agentflow.requests import Completed, Failed, HandedBack, NeedsAttention, TryAgain
from agentflow.runtime.driving import drive
from agentflow.runtime.exhausted import decided
from agentflow.runtime.index import Index
from agentflow.runtime.logs import LogBuffer
from agentflow.runtime.scope import Scope
from agentflow.runtime.signals import Ambiguous, Divergence, Suspend
from agentflow.runtime.waiting.waits import Waits
from agentflow.states import EntryKind
from agentflow.tasks.calling import current_caller

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from concurrent.futures import Executor

    from agentflow.clock import Clock
    from agentflow.requests import NewEntry, Outcome
    from agentflow.runtime.dry.rehearsal import Rehearsal
    from agentflow.store.base import Claimed, Store
    from agentflow.tasks.calling import Caller
    from agentflow.tasks.task import Task

FIRST_PAUSE = timedelta(milliseconds=50)
LONGEST_PAUSE = timedelta(seconds=5)


class Turn:
    """A run while this worker executes it."""

    def __init__(
        self,
        claimed: Claimed,
        task: Task[..., Any],
        store: Store,
        clock: Clock,
        *,
        hold_for: timedelta,
        threads: Executor,
        caller_for: Callable[[Scope], Caller],
    ) -> None:
        self.run = claimed.run
        self.lease = claimed.lease
        self.task = task
        self.store = store
        self.clock = clock
        self.index = Index(claimed.entries)
        self.scopes: dict[str, Scope] = {}
        self.patches: dict[str, bool] = {}
        self.rehearsal: Rehearsal | None = None
        self._begun: set[str] = set()
        self.logs = LogBuffer(self)
        self.threads = threads
        self.loop = asyncio.get_running_loop()
        self.is_over = False
        self.is_stopping = False
        self.was_held_before_beat = False
        self.ended_as: Outcome | None = None
        self._is_given_up = False
        self.caller_for = caller_for
        self.waits = Waits(self, hold_for=hold_for)
        self._raised: dict[int, tuple[BaseException, str]] = {}  # by identity, which the errors keep while held

    def begins(self, scope: Scope) -> bool:
        """Whether what this scope begins now may have been begun before and cut off: its first new operation here."""
        if scope.path in self._begun:
            return False
        self._begun.add(scope.path)
        return self.lease.epoch > 1

    # -- the whole turn

    async def execute(self) -> Outcome | None:
        """Run the task once: its outcome, or None if the turn ended without one (parked, or its lease lost)."""
        scope = Scope(self, "", self.waits.root)
        token = current_caller.set(self.caller_for(scope))
        try:
            outcome = await self._outcome(scope)
            # Once it is over, what the code makes of being left (`except BaseException`) is not its result.
            return self.ended_as if self.is_over else outcome
        finally:
            self.is_over = True
            current_caller.reset(token)
            self.logs.flush()

    async def _outcome(self, scope: Scope) -> Outcome | None:
        try:
            return await self._attempt(scope)
        except Suspend:
            return self.ended_as
        except Exception as error:  # noqa: BLE001  whatever the task raises becomes its outcome
            return await self._came_of(error)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and (self.is_over or _is_cancelled()):
                raise
            return await self._came_of(_as_exception(error, self.task.id))

    async def _attempt(self, scope: Scope) -> Outcome:
        args, kwargs = self.task.signature.decode(self.run.input)
        scope.enter()
        limit = self.task.timeout
        within = asyncio.timeout(None if limit is None else limit.total_seconds())
        try:
            async with within:
                result = await drive(self.task.body(*args, **kwargs), scope)
        except TimeoutError as error:
            if not within.expired():
                raise
            raise RunTimedOut(f"task {self.task.id} worked longer than its timeout of {limit}") from error
        scope.leave()
        return Completed(self._recorded_result(result))

    def _recorded_result(self, result: Any) -> str:
        try:
            text, _ = record(result, self.task.signature.result, of=self.task.id)
        except (NotRecordable, PayloadTooLarge) as error:
            code = self.task.body.__code__
            what = f"the result of task {self.task.id} ({code.co_filename}:{code.co_firstlineno})"
            if isinstance(error, PayloadTooLarge):
                raise error.said_of(what) from None
            error.add_note(f"it is {what}")
            raise
        return text

    # -- outcomes

    async def _came_of(self, error: Exception) -> Outcome | None:
        """The outcome of a task that raised this; None where the run is parked to hear what a person says."""
        try:
            return await decided(self, error, self._failed(error))
        except Suspend:
            return self.ended_as

    def _failed(self, error: Exception) -> Outcome:
        failure = Failure.of(error).to_json()
        now = self.clock.now()
        delay = self.task.retry.next_after(self.run.attempt, error, now=now, chance=self.chance())
        if delay is None:
            return Failed(failure, self.key_of(error))
        return TryAgain(failure, delay, self.key_of(error))

    def stop(self, found: Divergence | Ambiguous) -> Suspend:
        """End the turn so that the run needs attention; what to raise. Code that catches it changes nothing."""
        self.leave(self._diverged(found) if isinstance(found, Divergence) else self._ambiguous(found))
        return Suspend()

    def _diverged(self, found: Divergence) -> Outcome:
        error = Diverged(run_id=self.run.id, recorded=found.recorded, asked=found.asked)
        detail = json.dumps({"recorded": found.recorded, "asked": found.asked}, ensure_ascii=False)
        return NeedsAttention(EntryKind.DIVERGED, Failure.of(error).to_json(), detail)

    def _ambiguous(self, found: Ambiguous) -> Outcome:
        because = f", and {found.because}" if found.because else ""
        said = (
            f"{found.key} was started and its end is not recorded{because}; it runs at most once, so a person has to "
            "say what became of it. Resume runs it again."
        )
        both = {"recorded": f"start of {found.key}", "asked": "its end", "key": found.key}
        detail = json.dumps(both, ensure_ascii=False)
        return NeedsAttention(EntryKind.DIVERGED, Failure.of(RuntimeError(said)).to_json(), detail)

    def chance(self) -> float:
        """A number from 0 to 1 for jitter, the same whenever this attempt is looked at."""
        return (crc32(f"{self.run.id} {self.run.attempt} {self.lease.epoch}".encode()) % 1000) / 1000

    def raised(self, error: BaseException, key: str) -> None:
        """Remember which operation an error came from, for a retry of the run."""
        self._raised.setdefault(id(error), (error, key))

    def key_of(self, error: BaseException | None) -> str | None:
        """The operation whose failure escaped the task, looking through what it was wrapped in."""
        seen: set[int] = set()
        while error is not None and id(error) not in seen:
            seen.add(id(error))
            if id(error) in self._raised:
                return self._raised[id(error)][1]
            error = error.__cause__ or error.__context__
        return None

    # -- writing

    async def append(self, entry: NewEntry) -> None:
        """Keep an entry; returns once it is durable. Leaves the turn if it no longer owns the run."""
        try:
            await self.store.append(self.lease, entry)
        except (LeaseLost, StoreUnavailable) as error:
            await self._recover(error, self.store.append, self.lease, entry)
        if entry.kind is not EntryKind.STARTED:  # what has been started is seen to its end
            self._leave_if_stopping()

    async def settle(self, entry: NewEntry, scope: str) -> None:
        """Keep an entry and withdraw what was waited for under `scope`; leaves the turn as `append` does."""
        await self.write(self.store.settle, entry, scope)
        self._leave_if_stopping()

    def _leave_if_stopping(self) -> None:
        if self.is_stopping:
            self.leave(HandedBack())
            raise Suspend

    @property
    def is_handing_back(self) -> bool:
        """Whether the turn ends because the worker stops: each branch goes on to a checkpoint of its own."""
        return self.is_over and self.is_stopping and not self._is_given_up and isinstance(self.ended_as, HandedBack)

    async def finish(self, outcome: Outcome) -> None:
        """Record how the turn ended; a lost lease means that it is another's to record."""
        with suppress(Suspend):
            await self.write(self.store.finish, outcome)

    async def write(self, verb: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        """Any other fenced verb, called with the lease and these arguments."""
        try:
            return await verb(self.lease, *args)
        except (LeaseLost, StoreUnavailable) as error:
            return await self._recover(error, verb, self.lease, *args)

    async def sure(self, verb: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        """What a verb gives that takes no lease, asked until the database answers."""
        try:
            return await verb(*args)
        except StoreUnavailable as error:
            return await self._recover(error, verb, *args)

    async def _recover(self, error: Exception, verb: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        """Try again until the database takes the write; give the turn up if it is another's, or if it may be stored."""
        pause = FIRST_PAUSE
        while isinstance(error, StoreUnavailable) and not error.may_be_stored and not self._is_given_up:
            await self.clock.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
            try:
                return await verb(*args)
            except (LeaseLost, StoreUnavailable) as again:
                error = again
        # A commit whose end is unknown: the next turn reads what is true.
        self.leave(HandedBack() if isinstance(error, StoreUnavailable) else None)
        raise Suspend from error

    async def catch_up(self) -> None:
        """Take into the index what this turn and others have written since the claim."""
        self.waits.take_in(await self.sure(lambda: self.store.entries(self.run.id, after=self.index.last_seq)))

    # -- leaving

    def give_up(self) -> None:
        """The run is another's now: leave it, writing nothing more."""
        self._is_given_up = True
        self.leave(None)

    def leave(self, outcome: Outcome | None) -> None:
        """End the turn with this outcome (None: there is nothing to record): every waiting branch unwinds."""
        if not self.is_over:
            self.is_over = True
            self.ended_as = outcome
        self.waits.unwind()


def _is_cancelled() -> bool:
    """Whether somebody has asked the present asyncio task to stop."""
    current = asyncio.current_task()
    return current is not None and current.cancelling() > 0


def _as_exception(error: BaseException, task_id: str) -> Exception:
    """What is not an `Exception` and nobody caught, as one: a run must not hang for it."""
    made: Exception = OperationError(
        f"task {task_id} ended in a {type(error).__qualname__} that it did not catch: {error}"
    )
    made.__cause__ = error
    return made
