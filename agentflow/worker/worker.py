"""The worker: claims due runs, executes their turns side by side on one event loop, and records how they ended."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from agentflow.errors import StoreError
from agentflow.requests import ClaimRuns, HandedBack
from agentflow.runtime.callers import InRun
from agentflow.runtime.operations import values as operations  # noqa: F401  they say what asyncio's calls do in a task
from agentflow.runtime.parallel import gathering  # noqa: F401  they say what asyncio's calls do in a task
from agentflow.runtime.turn import Turn
from agentflow.runtime.undo.undoing import UndoTurn
from agentflow.settings import WorkerSettings
from agentflow.worker import hosts
from agentflow.worker.capture import capture, release
from agentflow.worker.checks import Checks
from agentflow.worker.matching import Matching
from agentflow.worker.membership import Membership
from agentflow.worker.pauses import Pauses
from agentflow.worker.strays import Strays
from agentflow.worker.threads import StepThreads
from agentflow.worker.upkeep import SWEEP_LIMIT, Upkeep, complain

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentflow.clock import Clock
    from agentflow.store.base import Claimed, Store
    from agentflow.tasks.catalog import Catalog

logger = logging.getLogger("agentflow.worker")


class Worker:
    """Executes the runs of a catalog's tasks. Start it, and stop it to hand back what it holds."""

    def __init__(
        self, store: Store, catalog: Catalog, settings: WorkerSettings | None = None, clock: Clock | None = None
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._settings = settings or WorkerSettings()
        self._clock = clock or store.clock  # what falls due, several hosts judge: none of them by a clock of its own
        self._claimable = catalog.claimable(self._settings.labels, self._settings.tasks)
        self._turns: dict[str, tuple[Turn, asyncio.Task[None]]] = {}
        self._ready = asyncio.Event()
        self._idle = asyncio.Event()
        self._stopping = False
        self._trouble = "it has not started"
        self._pauses = Pauses()
        self._strays = Strays(store)
        self._upkeep = Upkeep(store, self._clock, self._settings)
        self._checks = Checks(store, self._turns, looked=self._wake)
        self._matching = Matching(store, catalog, self._clock)
        self._loops: list[asyncio.Task[None]] = []
        self._membership = Membership(store, catalog, self._settings, beat=self._beaten, lost=self._lost_all)
        self._threads = StepThreads(self._settings.threads)
        self._unwatch: Callable[[], None] | None = None

    @property
    def id(self) -> str:
        """What the database knows it by; another one after its lease was lost."""
        return self._membership.id

    # -- starting and stopping

    async def start(self) -> None:
        """Register, recover what dead workers of this host left, and begin to take runs."""
        _, workers = await asyncio.gather(self._membership.begin(), self._store.workers())
        if self._catalog.queues:
            await self._store.declare_queues(self._catalog.queues)
        dead = [worker.id for worker in workers if hosts.is_dead(worker)]
        if dead:
            logger.info("recovering the runs of %d workers of this host that have died", len(dead))
            await self._store.bury(dead)
        await self._upkeep.recover()
        await self._matching.start()
        capture()
        self._unwatch = self._store.watch(self._heard)
        self._loops = [asyncio.create_task(self._take_runs()), asyncio.create_task(self._upkeep.go_on())]

    async def stop(self) -> None:
        """Take no more runs, let each go on to its next checkpoint, hand back what has not ended in time."""
        self._stopping = True
        for loop in self._loops:
            loop.cancel()
        self._checks.soon(self._membership.drain())
        for loop in self._loops:
            with suppress(asyncio.CancelledError):
                await loop
        for turn, _ in self._turns.values():
            turn.is_stopping = True
        await self._matching.stop()
        running = {task for _, task in self._turns.values()}
        if running:
            await asyncio.wait(running, timeout=self._settings.drain_for.total_seconds())
        for turn, task in list(self._turns.values()):
            turn.leave(HandedBack())
            task.cancel()
        if self._turns:
            await asyncio.wait({task for _, task in self._turns.values()}, timeout=1)
        await self._membership.end()
        self._put_down()

    def _put_down(self) -> None:
        """Stop the threads and leave the process's logging as it was; the lease is as it is."""
        self._membership.drop()
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None
            release()
        self._threads.shutdown(wait=False, cancel_futures=True)

    @property
    def steps_in_threads(self) -> int:
        """How many sync steps have not returned. A thread cannot be ended; only the end of the process ends it."""
        return self._threads.taken

    @property
    def turns(self) -> int:
        """How many runs it executes; after its end, how many would not be ended."""
        return len(self._turns)

    @property
    def trouble(self) -> str:
        """Why it takes no runs at present; empty if it does."""
        if self._stopping:
            return "it is stopping"
        if not self._loops or self._loops[0].done():
            return self._trouble or "it has stopped taking runs"
        return self._trouble or self._matching.trouble

    async def until_idle(self) -> None:
        """Return when nothing is due and no turn is running; what waits for people or timers still waits."""
        while True:
            self._wake()  # look anew: something may have fallen due since the last look
            await self._idle.wait()
            if not await self._matching.until_idle():
                return

    # -- taking runs

    def _heard(self, run_id: str, moved: bool) -> None:
        """Something was committed: an answer for a run that is being executed, or a run that can be taken."""
        if not moved:
            return
        known = self._turns.get(run_id)
        if not run_id:
            self._checks.all()
        if known is None:
            if run_id or self._room > 0:  # without room what falls due is looked for with the checks
                self._wake()
        elif not known[0].is_over:
            known[0].waits.look()
            self._checks.one(*known)
            self._wake()  # it may have opened a wait that is the next thing to fall due

    def _wake(self) -> None:
        self._idle.clear()
        self._ready.set()

    async def _take_runs(self) -> None:
        while not self._stopping:
            self._ready.clear()
            try:
                await self._fill()
                due_at = await self._store.next_due_at() if not self._ready.is_set() else None
            except Exception as error:  # noqa: BLE001  a worker that ends silently is worse than one that repeats itself
                self._trouble = "the database could not be asked for runs"
                complain("runs could not be taken", error)
                await self._clock.sleep(self._pauses.next(self.id))
                continue
            self._trouble = ""
            self._pauses.reset()
            await self._rest(None if due_at is None else due_at - self._store.now())

    @property
    def _room(self) -> int:
        return self._settings.concurrency - len(self._turns)

    async def _fill(self) -> None:
        """Take due runs as long as there are any and there is room for them."""
        while (room := self._room) > 0 and any(self._claimable):
            tasks, versions = self._claimable
            queues = self._settings.queues
            wanted = ClaimRuns(worker_id=self.id, tasks=tasks, versions=versions, queues=queues, limit=room)
            claimed = await self._store.claim(wanted)
            for one in claimed:
                self._begin(one)
            if len(claimed) < room:
                return

    async def _rest(self, span: timedelta | None) -> None:
        """Wait until something is committed or falls due."""
        if self._ready.is_set():
            return
        if not self._turns and (span is None or span > timedelta(0)):
            self._idle.set()
        waiting: set[asyncio.Future[Any]] = {asyncio.ensure_future(self._ready.wait())}
        if span is not None:
            waiting.add(asyncio.ensure_future(self._fall_due(span)))
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()
        self._idle.clear()

    async def _fall_due(self, span: timedelta) -> None:
        await self._clock.sleep(span)
        with suppress(StoreError):  # tried again by the next look, which finds it overdue still
            await self._store.expire(limit=SWEEP_LIMIT)

    # -- turns

    def _begin(self, claimed: Claimed) -> None:
        run = claimed.run
        turn = (Turn if claimed.run.ending is None else UndoTurn)(
            claimed,
            self._catalog.task_for(run) or self._catalog.task(run.task, run.version),  # which says what is missing
            self._store,
            self._clock,
            hold_for=self._settings.hold_for,
            threads=self._threads,
            caller_for=InRun,
        )
        task = asyncio.create_task(self._execute(turn))
        self._turns[turn.run.id] = (turn, task)

    async def _execute(self, turn: Turn) -> None:
        try:
            outcome = await self._outcome(turn)
            if outcome is not None:
                await turn.finish(outcome)
            await turn.logs.drain()
        except Exception:
            logger.exception("turn %s of run %s ended in a defect of agentflow", turn.lease.epoch, turn.run.id)
        finally:
            current = self._turns.get(turn.run.id)
            if current is not None and current[0] is turn:
                del self._turns[turn.run.id]
            self._wake()

    @staticmethod
    async def _outcome(turn: Turn) -> Any:
        try:
            return await turn.execute()
        except asyncio.CancelledError:
            return turn.ended_as  # the worker took the run from the code; what became of it is known

    # -- leases

    def _beaten(self, held: dict[str, int]) -> None:
        """Leave the runs that are no longer this worker's: cancelled, or recovered by another."""
        for run_id, (turn, task) in list(self._turns.items()):
            if held.get(run_id) != turn.lease.epoch and turn.was_held_before_beat:
                turn.give_up()
                task.cancel()
            turn.was_held_before_beat = True
        for run_id, epoch in self._strays.among(held, self._turns):
            self._checks.soon(self._strays.hand_back(run_id, epoch, self.id, self._turns))

    def _lost_all(self) -> None:
        """The lease is gone: leave every run, and come back as a new worker."""
        logger.warning("worker %s lost its lease; its runs are left to others", self.id)
        for turn, task in list(self._turns.values()):
            turn.give_up()
            task.cancel()
        if not self._stopping:
            self._loops.append(asyncio.create_task(self._come_back()))

    async def _come_back(self) -> None:
        while not self._stopping:
            try:
                await self._membership.begin()
            except StoreError as error:
                complain("the worker could not register anew", error)
                await self._clock.sleep(self._pauses.next(self.id))
                continue
            self._wake()
            return
