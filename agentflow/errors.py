"""Every error agentflow raises, and the tree they form.

AgentflowError
├── DefinitionError ── SourceUnavailable                declared wrongly; nothing was defined
├── InvalidSetting, InvalidDuration, InvalidInput       refused; nothing was started
├── PayloadError
│   └── NotRecordable, PayloadTooLarge, UndecodablePayload
├── StoreError
│   └── StoreUnavailable, StoreUnusable, LeaseLost, IllegalTransition
├── NotFound
│   └── RunNotFound, ApprovalNotFound, TaskNotFound, WebhookNotFound
├── Conflict                                            something else came first
│   └── IdempotencyMismatch, AlreadyDecided, ApprovalExpired, ApprovalWithdrawn, StaleVersion
├── InvalidDecision, NotAuthentic                       refused; nothing was recorded
├── OperationError                                      what `await` raises inside a task
│   └── OperationFailed, StepTimedOut, RunTimedOut, AllFailed, ApprovalTimedOut, ApprovalSchemaMismatch,
│       RunFailed, RunCancelled
├── Fatal ── Rejected                                   raised by users' code: do not try again
└── UnsupportedAwait, Diverged
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


class AgentflowError(Exception):
    """Whatever agentflow itself raises."""


# -- definitions and settings -----------------------------------------------------------------------------------------


class DefinitionError(AgentflowError):
    """A task, step, schedule or webhook is declared in a way that cannot work; nothing was defined."""


class SourceUnavailable(DefinitionError):
    """A task's source cannot be read, so its awaits cannot be made checkpoints; the task was not defined."""


class InvalidSetting(AgentflowError):
    """A setting, option or environment variable has a value that cannot be used; nothing was started."""


class InvalidDuration(AgentflowError, ValueError):
    """A text or number that names no usable span of time."""


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One thing wrong with one field: where (JSON Pointer), what was found and what is wanted."""

    field: str
    found: str
    wanted: str

    def __str__(self) -> str:
        return f"{self.field or '/'}: found {self.found}; wanted {self.wanted}"


class InvalidInput(AgentflowError):
    """A trigger's input does not fit the task's parameters, so no run was made."""

    def __init__(self, *, task: str, errors: Sequence[FieldProblem]) -> None:
        super().__init__(f"input of task {task!r} is refused, no run was made: " + "; ".join(map(str, errors)))
        self.task = task
        self.errors = tuple(errors)


# -- payloads ---------------------------------------------------------------------------------------------------------


class PayloadError(AgentflowError):
    """A value cannot go into, or come out of, the store."""


class NotRecordable(PayloadError):
    """A value that cannot be stored; nothing was recorded."""

    def __init__(self, *, path: str, type_name: str, remedy: str) -> None:
        super().__init__(f"a {type_name} at {path or '/'} cannot be recorded; {remedy}")
        self.path = path
        self.type_name = type_name
        self.remedy = remedy


class PayloadTooLarge(PayloadError):
    """A value whose stored text would exceed the limit; nothing was recorded."""

    def __init__(self, *, size: int, limit: int) -> None:
        super().__init__(
            f"the value takes {size:,} bytes, the limit is {limit:,}; store it elsewhere and pass a reference"
        )
        self.size = size
        self.limit = limit


class UndecodablePayload(PayloadError):
    """A stored value does not fit the type that asks for it."""


# -- store ------------------------------------------------------------------------------------------------------------


class StoreError(AgentflowError):
    """The store refused or could not do what was asked."""


class StoreUnavailable(StoreError):
    """The database did not take the write (locked, full, read-only, gone); nothing was stored.

    Only if `may_be_stored` is the end of a commit unknown: then read the truth before trying again.
    """

    def __init__(self, message: str, *, may_be_stored: bool = False) -> None:
        super().__init__(message)
        self.may_be_stored = may_be_stored


class StoreUnusable(StoreError):
    """The database cannot be used as it is; nothing was changed in it."""


class LeaseLost(StoreError):
    """The turn no longer owns its run, so none of its writes were recorded."""

    def __init__(self, *, run_id: str, epoch: int) -> None:
        super().__init__(
            f"turn {epoch} of run {run_id} no longer owns it (cancelled, or its lease ran out); nothing was written"
        )
        self.run_id = run_id
        self.epoch = epoch


class IllegalTransition(StoreError):
    """A run is not in a state that allows the move; it stays as it was."""

    def __init__(self, *, run_id: str, verb: str, status: str) -> None:
        super().__init__(f"run {run_id} is {status}; it cannot {verb}")
        self.run_id = run_id
        self.verb = verb
        self.status = status


class NotFound(AgentflowError):
    """There is nothing by that name or id."""


class RunNotFound(NotFound):
    """No run has this id."""


class ApprovalNotFound(NotFound):
    """No approval has this id."""


class TaskNotFound(NotFound):
    """No task has this id among the definitions given."""


class WebhookNotFound(NotFound):
    """No webhook listens on this path."""


# -- losing a race ----------------------------------------------------------------------------------------------------


class Conflict(AgentflowError):
    """Something else came first; nothing was changed by this call."""


class IdempotencyMismatch(Conflict):
    """The key was used before with other content; the first use stands."""


class AlreadyDecided(Conflict):
    """The approval was resolved before this decision; the first one stands."""

    def __init__(self, *, approval_id: str, outcome: str, decided_by: str) -> None:
        super().__init__(
            f"approval {approval_id} was already {outcome} by {decided_by}; this decision was not recorded"
        )
        self.approval_id = approval_id
        self.outcome = outcome
        self.decided_by = decided_by


class ApprovalExpired(Conflict):
    """The deadline had passed when the decision came; it was not recorded."""

    def __init__(self, *, approval_id: str, expired_at: str) -> None:
        super().__init__(f"approval {approval_id} expired at {expired_at}; this decision was not recorded")
        self.approval_id = approval_id
        self.expired_at = expired_at


class ApprovalWithdrawn(Conflict):
    """The approval is no longer asked for: its run was cancelled or ended, or it was replaced."""

    def __init__(self, *, approval_id: str, outcome: str) -> None:
        super().__init__(f"approval {approval_id} is {outcome}; this decision was not recorded")
        self.approval_id = approval_id
        self.outcome = outcome


class StaleVersion(Conflict):
    """The approval changed since the caller read it; this decision was not recorded."""


class InvalidDecision(AgentflowError):
    """The decision cannot be accepted as it is; the approval is still pending."""

    def __init__(self, *, approval_id: str, errors: Sequence[FieldProblem]) -> None:
        super().__init__(f"approval {approval_id} is still pending: " + "; ".join(map(str, errors)))
        self.approval_id = approval_id
        self.errors = tuple(errors)


class NotAuthentic(AgentflowError):
    """A webhook delivery could not be verified; nothing was stored and no run was made."""


# -- inside a run -----------------------------------------------------------------------------------------------------


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


class UnsupportedAwait(AgentflowError):
    """An asyncio construct that cannot be durable was used inside a task; the message says what to use."""


class Diverged(AgentflowError):
    """The code asked for something its run's journal does not fit; the run needs attention."""

    def __init__(self, *, run_id: str, recorded: str, asked: str) -> None:
        super().__init__(f"run {run_id} diverged: recorded {recorded}, the code asks for {asked}")
        self.run_id = run_id
        self.recorded = recorded
        self.asked = asked
