"""What an `await` inside a task raises, and what users' code raises to end a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow.errors.base import AgentflowError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


class OperationError(AgentflowError):
    """What an `await` inside a task raises when agentflow, not the called code, is the reason."""


class OperationFailed(OperationError):
    """A recorded failure whose exception class is not to be had in this program."""

    def __init__(self, failure: Any) -> None:
        super().__init__(f"{failure.type}: {failure.message}")
        self.failure = failure


class StepTimedOut(OperationError, TimeoutError):
    """A step or awaited call took longer than its timeout."""


class RunTimedOut(OperationError, TimeoutError):
    """A run took longer than its task allows."""


class AllFailed(OperationError):
    """Every hop of a fallback chain failed; `failures` says why, in the order they were tried."""

    def __init__(self, failures: Sequence[str]) -> None:
        super().__init__("every hop failed: " + "; ".join(failures))
        self.failures = tuple(failures)


class CompletionFailed(OperationError):
    """Too many branches of a `gather` or `map` failed for its rule; `branches` says what became of each.

    Its cause is the error of the first that failed. Where it comes from the journal, having left the awaited function
    it was raised in, `branches` is empty.
    """

    branches: Sequence[Any] = ()

    def __init__(self, message: str, *, branches: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.branches = branches


class ApprovalTimedOut(OperationError, TimeoutError):
    """Nobody answered the approval in time."""


class ApprovalSchemaMismatch(OperationError):
    """What was approved no longer fits the type the code asks for."""


class RunFailed(OperationError):
    """The run that was waited for failed."""


class RunCancelled(OperationError):
    """The run that was waited for was cancelled."""


class Fatal(AgentflowError):
    """Raise it in a step or task to fail at once: no retry policy tries again."""


class Rejected(Fatal):
    """Raise it to end a run because a person said no; like any `Fatal`, it is not tried again."""


class NotAsDecided(Fatal):
    """What is about to be used is not what a person decided about; it was not used."""


class OutcomeUnknown(Fatal):
    """A call that is made at most once was cut off, and a person said to stop rather than to make it again."""


class UnsupportedAwait(AgentflowError):
    """An asyncio construct that cannot be durable was used inside a task; the message says what to use."""


class Diverged(AgentflowError):
    """The code asked for something its run's journal does not fit; the run needs attention."""

    def __init__(self, *, run_id: str, recorded: str, asked: str) -> None:
        super().__init__(f"run {run_id} diverged: recorded {recorded}, the code asks for {asked}")
        self.run_id = run_id
        self.recorded = recorded
        self.asked = asked


class EventTimedOut(OperationError, TimeoutError):
    """No event came in time."""


class CallbackTimedOut(OperationError, TimeoutError):
    """The other system did not answer, or gave no sign of life, in time."""


class CallbackFailed(OperationError):
    """The other system said that it failed."""


class EventMismatch(OperationError):
    """What was sent, or what another system answered, does not fit the type the code asks for."""


class PollingEnded(OperationError, TimeoutError):
    """`wait_until` has checked as often, or for as long, as it was to, and it was not done."""


class HeartbeatTimedOut(StepTimedOut):
    """A step gave no sign of life in time."""


class CircuitOpen(OperationError):
    """The circuit breaker of a hop or step is open after repeated failures, so it was not called.

    `retry_after` is the instant until which it is open.
    """

    def __init__(self, message: str, *, retry_after: datetime | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
