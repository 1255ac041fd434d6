"""What the store refuses or cannot do, and what is not there."""

from __future__ import annotations

from agentflow.errors.base import AgentflowError


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

    def __init__(self, *, run_id: str, verb: str, status: str, remedy: str = "") -> None:
        super().__init__(f"run {run_id} is {status}; it cannot {verb}" + (f". {remedy}" if remedy else ""))
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


class CallbackNotFound(NotFound):
    """No callback has this token."""


class TokenNotFound(NotFound):
    """No token of the API has this id or name."""


class StandingNotFound(NotFound):
    """There is no standing approval with this id."""


class DeliveryNotFound(NotFound):
    """No delivery of a webhook has this id."""


class SubscriptionNotFound(NotFound):
    """There is no subscription with this id."""


class DispatchNotFound(NotFound):
    """No event was or is to be sent under this id."""


class ScheduleNotFound(NotFound):
    """There is no schedule with this id."""


class BackfillNotFound(NotFound):
    """There is no backfill with this id."""


class EventNotFound(NotFound):
    """No event has this id; it may have been removed with age."""


class ListenerNotFound(NotFound):
    """There is no listener with this id."""


class MatchNotFound(NotFound):
    """The event never was one for the listener."""


class QueueNotFound(NotFound):
    """No queue has this name."""


class KeyNotRecorded(NotFound):
    """The run's journal has no operation with this key; nothing was made."""
