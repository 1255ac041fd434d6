"""What must be true of a run whatever was done to it, each breach as a sentence."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentflow.events import (
    ChildTriggered,
    OperationEvent,
    OperationFailed,
    OperationStarted,
    OperationSucceeded,
    RunDiverged,
    RunFinished,
    RunRetried,
    WaitOpened,
    WaitSatisfied,
    WaitTimedOut,
)
from agentflow.failures import Failure
from agentflow.states import RunStatus
from agentflow.tasks.handle import outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from agentflow.events import Event
    from agentflow.records import Run
    from agentflow.tasks.task import Task

    Done = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended, as far as it must be the same in every scenario."""

    status: str
    value: Any = None
    error: tuple[str, str] | None = None

    def __str__(self) -> str:
        if self.error is not None:
            return f"ended {self.status} with {self.error[0]}: {self.error[1]}"
        return f"returned {self.value!r}" if self.status == RunStatus.COMPLETED else f"ended {self.status}"


def ending_of(task: Task[..., Any], run: Run, same: Callable[[Any], Any]) -> Ending:
    """How this run ended."""
    if run.status is RunStatus.COMPLETED:
        return Ending(run.status, same(outcome(task, run.id, run.status, run.output, run.error)))
    failure = None if run.error is None else Failure.from_json(run.error)
    return Ending(run.status, error=None if failure is None else (failure.type, failure.message))


def in_doubt(run: Run, events: Sequence[Event]) -> bool:
    """Whether the run stopped to ask what became of an at-most-once operation that was cut off."""
    begun = {event.key for event in events if isinstance(event, OperationStarted)}
    ended = {event.key for event in events if isinstance(event, OperationSucceeded | OperationFailed)}
    stopped = [event.key for event in events if isinstance(event, RunDiverged)]
    return run.status is RunStatus.NEEDS_ATTENTION and any(key in begun - ended for key in stopped)


def reads_the_time(told: Iterable[tuple[Run, Sequence[Event]]]) -> bool:
    """Whether a run asked what time it is, so that its result may depend on when answers came."""
    events = (event for _, events in told for event in events if isinstance(event, OperationEvent))
    return any(event.operation == "value" and event.key.rpartition("/")[2].startswith("now#") for event in events)


def effects_breached(
    done: Counter[Done], wanted: Counter[Done], cut_off: Counter[tuple[str, str]], *, is_lenient: bool
) -> Iterator[str]:
    """Effects that did not happen, or happened again. What was cut off may happen once more, under the same key.

    Leniently, what happened may be other than what was wanted, but still not more often.
    """
    for one in sorted(done.keys() | wanted.keys()):
        task, key, name = one
        least, most = wanted[one], wanted[one] + cut_off[task, key]
        if is_lenient:
            least, most = 0, max(most, 1)
        if not least <= done[one] <= most:
            where = f"in operation {key}" if key else f"outside any operation, in the code of task {task or 'no run'}"
            yield f"effect {name!r} ({where}) happened {done[one]} times; undisturbed {wanted[one]}"


def breaches(run: Run, events: Sequence[Event]) -> Iterator[str]:
    """Every way in which a run and its history break what is promised of any run."""
    if [event.seq for event in events] != list(range(1, len(events) + 1)):
        yield f"{run.id}: its journal has gaps or doubles: {[event.seq for event in events]}"
    epochs = [event.epoch for event in events if event.epoch]
    if epochs != sorted(epochs):
        yield f"{run.id}: its epochs go back: {epochs}"
    yield from _ends(run, events)
    yield from _results(run, events)
    yield from _answers(run, events)


def _ends(run: Run, events: Sequence[Event]) -> Iterator[str]:
    """One end, the last thing that is told, and the one the run itself says; none while it is open."""
    last = max((event.seq for event in events if isinstance(event, RunRetried)), default=0)
    ends = [event for event in events if isinstance(event, RunFinished) and event.seq > last]
    wanted = [(len(events), run.status)] if run.is_finished else []
    if [(end.seq, end.status) for end in ends] != wanted:
        said = ", ".join(f"{end.status} at {end.seq}" for end in ends) or "nothing"
        yield f"{run.id} is {run.status}, and of {len(events)} events its ends are: {said}"


def _results(run: Run, events: Sequence[Event]) -> Iterator[str]:
    """No operation succeeds twice, or fails after it succeeded."""
    succeeded: Counter[str] = Counter()
    for event in events:
        if isinstance(event, OperationFailed) and succeeded[event.key]:
            yield f"{run.id}: {event.key} failed (seq {event.seq}) after it had succeeded"
        if isinstance(event, OperationSucceeded) and not isinstance(event, ChildTriggered):  # a retry triggers anew
            succeeded[event.key] += 1
    yield from (f"{run.id}: {key} has {count} results" for key, count in succeeded.items() if count > 1)


def _answers(run: Run, events: Sequence[Event]) -> Iterator[str]:
    """Each wait has at most one answer for each time it was opened."""
    opened: Counter[str] = Counter()
    for event in events:
        if isinstance(event, WaitOpened):
            opened[event.key] += 1
        elif isinstance(event, WaitSatisfied | WaitTimedOut):
            opened[event.key] -= 1
            if opened[event.key] < 0:
                yield f"{run.id}: {event.key} was answered more often than it waited (seq {event.seq})"
