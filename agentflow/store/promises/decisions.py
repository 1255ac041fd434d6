"""Promises about approvals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from agentflow.records import Decision
    from agentflow.requests import Decide


class Approvals(Protocol):
    """Decisions, all through one command."""

    async def decide(self, request: Decide) -> Decision:
        """The recorded decision; the run is claimable in the same transaction.

        The same decision id again returns the first receipt. Raises `ApprovalNotFound`, `IdempotencyMismatch`,
        `AlreadyDecided`, `ApprovalExpired` (and records the time-out if nothing had yet), `ApprovalWithdrawn`,
        `StaleVersion` or `InvalidDecision`; nothing of this decision was recorded then.
        """
        ...
