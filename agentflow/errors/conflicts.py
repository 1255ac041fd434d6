"""Losing a race, and decisions and deliveries that are refused: nothing was changed or recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow.errors.base import AgentflowError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.errors.base import FieldProblem


class Conflict(AgentflowError):
    """Something else came first; nothing was changed by this call."""


class IdempotencyMismatch(Conflict):
    """The key was used before with other content; the first use stands."""


class DeliveryMismatch(Conflict):
    """A delivery of this id came before with another body, which stands; no run was made.

    This one is kept, as `kept_as`, for people to look at.
    """

    def __init__(self, *, webhook: str, delivery_id: str, first: str, run_id: str | None, kept_as: str) -> None:
        made = "" if run_id is None else f" and made run {run_id}"
        super().__init__(
            f"delivery {delivery_id!r} of webhook {webhook} came before with another body{made}; no run was made. "
            "What is new needs an id of its own"
        )
        self.webhook = webhook
        self.delivery_id = delivery_id
        self.first = first
        self.run_id = run_id
        self.kept_as = kept_as


class BodyNotKept(Conflict):
    """The delivery's body is not kept, so it cannot be delivered again; no run was made."""

    def __init__(self, *, delivery_id: str) -> None:
        super().__init__(
            f"the body of delivery {delivery_id} is not kept: it came before bodies were. No run was made; ask its "
            "sender to send it again under another id"
        )
        self.delivery_id = delivery_id


class SubscriptionDisabled(Conflict):
    """The subscription is disabled, so nothing is sent to it; nothing was changed."""

    def __init__(self, *, subscription_id: str, reason: str) -> None:
        said = f" ({reason})" if reason else ""
        super().__init__(
            f"subscription {subscription_id} is disabled{said}, so nothing is sent to it. Enable it first, as "
            f"`agentflow subscriptions enable {subscription_id}` does"
        )
        self.subscription_id = subscription_id


class TokenNameTaken(Conflict):
    """A token that is not revoked has this name; none was made."""


class MatchSettled(Conflict):
    """The event has started its run of the listener's task, and starts no other; nothing was changed."""

    def __init__(self, *, event_id: str, listener_id: str, run_id: str | None) -> None:
        super().__init__(
            f"event {event_id!r} started run {run_id} for listener {listener_id!r}, and starts no other; nothing was "
            "changed. Fork or retry the run, or send an event with another id"
        )
        self.event_id = event_id
        self.listener_id = listener_id
        self.run_id = run_id


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


class ForkRefused(AgentflowError):
    """The journal cannot be gone on from as the fork asks, or a patch does not fit; no run was made."""


class CallbackResolved(Conflict):
    """The callback had its answer, timed out or was withdrawn before; this answer was not recorded."""

    def __init__(self, *, callback_id: str, status: str) -> None:
        super().__init__(f"callback {callback_id} is {status}; this answer was not recorded")
        self.callback_id = callback_id
        self.status = status


class CallbackLapsed(CallbackResolved):
    """The callback timed out, or its run has ended: no answer is wanted any more."""


class SingletonTaken(Conflict):
    """An open run holds the singleton key; no run was made."""

    def __init__(self, *, task: str, key: str, run_id: str) -> None:
        super().__init__(f"task {task!r} has an open run for singleton key {key!r}: {run_id}; no run was made")
        self.run_id = run_id


class QueueFull(Conflict):
    """As many runs are lined up in the queue as it allows; no run was made."""

    def __init__(self, *, queue: str, backlog: int) -> None:
        runs = f"{backlog:,} run{'s' * (backlog != 1)}"
        super().__init__(
            f"queue {queue!r} has {runs} lined up, as many as it allows; no run was made. Try again later, "
            "or raise its backlog"
        )
        self.queue = queue
        self.backlog = backlog


class ScheduleTaken(Conflict):
    """The schedule is one of the code, and a program asked, or the other way round; nothing was changed."""
