"""Dry replay: whether code fits a run's journal, found out by replaying it with no effects."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from agentflow.errors import (
    ApprovalSchemaMismatch,
    DefinitionError,
    PayloadError,
    RunTimedOut,
    UnsupportedAwait,
)
from agentflow.failures import Failure
from agentflow.requests import Completed, Failed, Lease, TryAgain
from agentflow.runtime.callers import InRun
from agentflow.runtime.dry.nowhere import Nowhere, Still
from agentflow.runtime.dry.rehearsal import Rehearsal
from agentflow.runtime.operations import values as operations  # noqa: F401  they say what asyncio's calls do in a task
from agentflow.runtime.parallel import gathering  # noqa: F401  they say what asyncio's calls do in a task
from agentflow.runtime.signals import Divergence
from agentflow.runtime.turn import Turn
from agentflow.states import EntryKind
from agentflow.store.base import Claimed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from agentflow.records import Entry, Run
    from agentflow.requests import Outcome
    from agentflow.runtime.dry.rehearsal import Asked
    from agentflow.runtime.signals import Ambiguous, Suspend
    from agentflow.store.base import Store
    from agentflow.tasks.task import Task

    Rehearse = Callable[[Turn, Callable[[Asked], None] | None], Rehearsal]

LIMIT: Final = timedelta(seconds=5)
MISFITS: Final = (PayloadError, ApprovalSchemaMismatch, UnsupportedAwait, DefinitionError, RunTimedOut)
"""What the code raises because it, or what it is given, cannot be used; not what a run is meant to fail with."""


@dataclass(frozen=True, slots=True)
class Fits:
    """The journal fits. The code goes on at `frontier`, a key for each branch, or ends with `outcome`."""

    frontier: tuple[str, ...] = ()
    outcome: Completed | Failed | TryAgain | None = None


@dataclass(frozen=True, slots=True)
class Diverges:
    """At `key` the journal holds `recorded`, and the code asks for `asked`."""

    key: str
    recorded: str
    asked: str

    def __str__(self) -> str:
        return f"diverges at {self.key}: recorded {self.recorded}, code asks {self.asked}"


@dataclass(frozen=True, slots=True)
class Broken:
    """The code cannot be replayed: it raises where the journal goes on, does not come to an end, or is given nonsense.

    `key` is the operation the error came from, None if it came from none.
    """

    error: BaseException
    key: str | None = None

    def __str__(self) -> str:
        at = f" at {self.key}" if self.key else ""
        return f"breaks{at}: {type(self.error).__name__}: {self.error}"


DryReplay = Fits | Diverges | Broken


async def dry_replay(
    run: Run,
    entries: Sequence[Entry],
    task: Task[..., Any],
    *,
    limit: timedelta | None = LIMIT,
    watch: Callable[[Asked], None] | None = None,
    rehearse: Rehearse = Rehearsal,
) -> DryReplay:
    """Whether the task fits the journal. Never raises, and has no effect: nothing is called that is not recorded.

    The task's own code runs, and that of awaited functions as far as it is recorded, as in any replay. Code that waits
    for something else is given up after `limit`. `watch` is called for each operation the code asks for, and `rehearse`
    makes what says what becomes of them.
    """
    try:
        return await _replayed(_DryTurn(run, entries, task, watch, rehearse), limit)
    except Exception as error:  # noqa: BLE001  what keeps the code from being replayed is what was asked
        return Broken(error)


async def misfit(run: Run, entries: Sequence[Entry], task: Task[..., Any]) -> str | None:
    """What keeps the task from going on from this journal, as a text; None if it fits."""
    found = await dry_replay(run, entries, task)
    return None if isinstance(found, Fits) else str(found)


class _DryTurn(Turn):
    """A turn that looks at its code, and remembers what it found."""

    def __init__(
        self,
        run: Run,
        entries: Sequence[Entry],
        task: Task[..., Any],
        watch: Callable[[Asked], None] | None,
        rehearse: Rehearse,
    ) -> None:
        nowhere = Nowhere()
        super().__init__(
            Claimed(run, Lease(run.id, run.epoch, "dry replay"), entries),
            task,
            cast("Store", nowhere),
            Still(entries[-1].at if entries else run.created_at),
            hold_for=timedelta.min,
            threads=ThreadPoolExecutor(1),  # has no thread before it is given work, and is given none
            caller_for=InRun,
        )
        self.rehearsal = nowhere.rehearsal = rehearse(self, watch)
        self.nowhere = nowhere
        self.found: Divergence | Ambiguous | None = None
        self.error: Exception | None = None

    def stop(self, found: Divergence | Ambiguous) -> Suspend:
        self.found = self.found or found
        return super().stop(found)

    def _failed(self, error: Exception) -> Outcome:
        self.error = error
        return super()._failed(error)


async def _replayed(turn: _DryTurn, limit: timedelta | None) -> DryReplay:
    executing = asyncio.create_task(_executed(turn))
    try:
        await asyncio.wait({executing}, timeout=None if limit is None else limit.total_seconds())
        if executing.done():
            return _judged(turn, executing.result())
        place = await _given_up(turn, executing)
    finally:
        turn.leave(None)
        executing.cancel()
    return Broken(TimeoutError(f"the code waits{place} for something that is no recorded operation"))


async def _executed(turn: _DryTurn) -> Outcome | str | None:
    """How the turn ended; where its code was, if it had to be cancelled."""
    try:
        return await turn.execute()
    except asyncio.CancelledError as error:
        return _place(error.__traceback__, turn.task.body.__code__.co_filename)


async def _given_up(turn: _DryTurn, executing: asyncio.Task[Outcome | str | None]) -> str:
    """Leave code that does not come to an end; where it was. Code that does not stop either is left behind."""
    turn.leave(None)
    executing.cancel()
    await asyncio.wait({executing}, timeout=1)
    place = executing.result() if executing.done() and not executing.cancelled() else None
    return f" at {place}" if isinstance(place, str) else ""


def _place(traceback: TracebackType | None, filename: str) -> str:
    """File and line of the innermost frame that is in the task's own file."""
    place = filename
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == filename:
            place = f"{filename}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return place


def _judged(turn: _DryTurn, outcome: Outcome | str | None) -> DryReplay:
    if isinstance(turn.found, Divergence):
        return Diverges(turn.found.key, turn.found.recorded, turn.found.asked)
    if turn.found is not None:
        return Fits((turn.found.key,))
    if turn.error is not None and _is_broken(turn, turn.error):
        return Broken(turn.error, turn.key_of(turn.error))
    if isinstance(outcome, Completed | Failed | TryAgain):
        return Fits((), outcome)
    return Fits(turn.nowhere.frontier)


def _is_broken(turn: _DryTurn, error: Exception) -> bool:
    """Whether the code failed where it had gone on before, or in a way that no run is meant to and this one did not."""
    if turn.scopes[""].is_replaying:
        return True
    recorded = turn.index.by_key.get(turn.key_of(error) or "")
    if recorded is not None and recorded.final is not None and recorded.final.kind is EntryKind.FAILED:
        return False
    ended_with = None if turn.run.error is None else Failure.from_json(turn.run.error)
    return isinstance(error, MISFITS) and Failure.of(error).type != (ended_with and ended_with.type)
