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

from agentflow.errors import Diverged, LeaseLost, NotRecordable, PayloadTooLarge, RunTimedOut, StoreUnavailable
from agentflow.failures import Failure
from agentflow.payloads import record
from agentflow.requests import Completed, Failed, HandedBack, NeedsAttention, TryAgain
from agentflow.runtime.branches import Branch
from agentflow.runtime.driving import drive
from agentflow.runtime.index import Index
from agentflow.runtime.logs import LogBuffer
from agentflow.runtime.scope import Scope
from agentflow.runtime.signals import Ambiguous, Divergence, Suspend
from agentflow.states import EntryKind
from agentflow.tasks.calling import current_caller

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from concurrent.futures import Executor
    from datetime import datetime

    from agentflow.clock import Clock
    from agentflow.requests import NewEntry, Outcome
    from agentflow.runtime.branches import Waiting
    from agentflow.store.base import Claimed, Store
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
        caller: Callable[[Scope], Any],
    ) -> None:
        self.run = claimed.run
        self.lease = claimed.lease
        self.task = task
        self.store = store
        self.clock = clock
        self.index = Index(claimed.entries)
        self.logs = LogBuffer(self)
        self.threads = threads
        self.is_over = False
        self.is_stopping = False
        self.was_held_before_beat = False
        self.ended_as: Outcome | None = None
        self._is_given_up = False
        self._hold_for = hold_for
        self._caller = caller
        self._root = Branch()
        self._raised: list[tuple[BaseException, str]] = []
        self._looking = False
        self._look_again = False
        self._is_parking = False

    # -- the whole turn

    async def execute(self) -> Outcome | None:
        """Run the task once: its outcome, or None if the turn ended without one (parked, or its lease lost)."""
        scope = Scope(self, "", self._root)
        token = current_caller.set(self._caller(scope))
        try:
            return await self._attempt(scope)
        except Suspend:
            return self.ended_as
        except Divergence as found:
            return self._diverged(found)
        except Ambiguous as found:
            return self._ambiguous(found)
        except Exception as error:  # noqa: BLE001  whatever the task raises becomes its outcome
            return self._failed(error)
        finally:
            self.is_over = True
            current_caller.reset(token)
            self.logs.flush()

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
            error.add_note(f"it is the result of task {self.task.id} ({code.co_filename}:{code.co_firstlineno})")
            raise
        return text

    # -- outcomes

    def _failed(self, error: Exception) -> Outcome:
        failure = Failure.of(error).to_json()
        delay = self.task.retry.delay_after(self.run.attempt, error, chance=self.chance())
        if delay is None:
            return Failed(failure)
        return TryAgain(failure, delay, self.key_of(error))

    def _diverged(self, found: Divergence) -> Outcome:
        error = Diverged(run_id=self.run.id, recorded=found.recorded, asked=found.asked)
        detail = json.dumps({"recorded": found.recorded, "asked": found.asked}, ensure_ascii=False)
        return NeedsAttention(EntryKind.DIVERGED, Failure.of(error).to_json(), detail)

    def _ambiguous(self, found: Ambiguous) -> Outcome:
        said = f"{found}; it runs at most once, so a person has to say what became of it. Resume runs it again."
        detail = json.dumps({"recorded": f"start of {found.key}", "asked": "its end"}, ensure_ascii=False)
        return NeedsAttention(EntryKind.DIVERGED, Failure.of(RuntimeError(said)).to_json(), detail)

    def chance(self) -> float:
        """A number from 0 to 1 for jitter, the same whenever this attempt is looked at."""
        return (hash((self.run.id, self.run.attempt, self.lease.epoch)) % 1000) / 1000

    def raised(self, error: BaseException, key: str) -> None:
        """Remember which operation an error came from, for a retry of the run."""
        self._raised.append((error, key))

    def key_of(self, error: BaseException | None) -> str | None:
        """The operation whose failure escaped the task, looking through what it was wrapped in."""
        seen: set[int] = set()
        while error is not None and id(error) not in seen:
            seen.add(id(error))
            for known, key in self._raised:
                if known is error:
                    return key
            error = error.__cause__ or error.__context__
        return None

    # -- writing

    async def append(self, entry: NewEntry) -> None:
        """Keep an entry; returns once it is durable. Leaves the turn if it no longer owns the run."""
        try:
            await self.store.append(self.lease, entry)
        except (LeaseLost, StoreUnavailable) as error:
            await self._recover(error, self.store.append, self.lease, entry)
        if self.is_stopping:
            self.leave(HandedBack())
            raise Suspend

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
        for entry in await self.store.entries(self.run.id, after=self.index.last_seq):
            self.index.add(entry)

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
        for waiting in list(self._root.waits()):
            waiting.future.set_exception(Suspend())
            waiting.future.exception()  # the branch that ends the turn does not wait for its own

    async def wait(self, branch: Branch, waiting: Waiting) -> Any:
        """The answer to a wait. Parks the run, and leaves it, when nothing else of it is at work."""
        branch.waiting = waiting
        alarm: asyncio.Task[None] | None = None
        try:
            while not waiting.future.done():
                if self.is_over:
                    raise Suspend
                if self._root.is_quiet():
                    await self.rest()
                elif waiting.to_open is not None:
                    await self._open([waiting])  # people see it while the other branches go on
                else:
                    alarm = alarm or self._alarm(waiting)
                    with suppress(asyncio.InvalidStateError):
                        await asyncio.wait({waiting.future})
            return waiting.future.result()
        finally:
            branch.waiting = None
            if alarm is not None:
                alarm.cancel()

    def _alarm(self, waiting: Waiting) -> asyncio.Task[None] | None:
        if waiting.due_at is None:
            return None
        return asyncio.create_task(self._ring(waiting))

    async def _ring(self, waiting: Waiting) -> None:
        assert waiting.due_at is not None
        await self.clock.sleep(waiting.due_at - self.clock.now())
        if not waiting.future.done():
            waiting.future.set_result(None)

    async def finished_branch(self) -> None:
        """A branch has ended; park the run if all that is left of it waits."""
        if self._root.is_quiet():
            await self.rest()

    async def rest(self) -> None:
        """Every branch waits: wait a short timer out in memory, or park the run and leave it."""
        waits = list(self._root.waits())
        due = min((one.due_at for one in waits if one.due_at is not None), default=None)
        if due is not None and due - self.clock.now() <= self._hold_for:
            await self._open([one for one in waits if one.to_open is not None])
            await self._hold(due)
            return
        new = [one.to_open for one in waits if one.to_open is not None]
        self._is_parking = True  # an answer that comes from here on belongs to the next turn
        self.logs.flush()
        await self.write(self.store.park, new, [one.key for one in waits])
        self.leave(None)
        raise Suspend

    async def _hold(self, due: datetime) -> None:
        waits = list(self._root.waits())
        sleeping = asyncio.create_task(self.clock.sleep(due - self.clock.now()))
        try:
            await asyncio.wait({sleeping, *(one.future for one in waits)}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
        for one in waits:
            if one.due_at is not None and one.due_at <= self.clock.now() and not one.future.done():
                one.future.set_result(None)

    async def _open(self, waits: list[Waiting]) -> None:
        new = [one.to_open for one in waits if one.to_open is not None]
        for one in waits:
            one.to_open = None
        if new:
            await self.write(self.store.open_waits, new)
            self.look()

    # -- hearing of answers while the turn goes on

    def look(self) -> None:
        """Something about this run was committed: see whether a wait of ours has its answer."""
        if self.is_over or not any(one.to_open is None for one in self._root.waits()):
            return
        if self._looking:
            self._look_again = True
            return
        self._looking = True
        asyncio.ensure_future(self._look())  # noqa: RUF006  the turn outlives it, and a lost look is only a hint lost

    async def _look(self) -> None:
        try:
            while not self.is_over:
                self._look_again = False
                found = await self.store.entries(self.run.id, after=self.index.last_seq)
                if self._is_parking:
                    return
                for entry in found:
                    recorded = self.index.add(entry)
                    if recorded is None or entry.kind is not EntryKind.WAIT_RESOLVED:
                        continue
                    for waiting in self._root.waits():
                        if waiting.key == entry.key:
                            waiting.future.set_result(entry)
                if not self._look_again:
                    return
        finally:
            self._looking = False
