"""Standing approvals: decisions made ahead, for calls like one that a person has seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A standing approval. `uses` counts the approvals it has decided; once revoked, expired or used up, none more."""

    id: str
    task: str
    tool: str
    terms: str
    made_by: str
    reason: str
    approval_id: str | None
    most_uses: int | None
    uses: int
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    revoked_by: str | None

    def holds_at(self, now: datetime) -> bool:
        """Whether it may decide at this instant."""
        is_used_up = self.most_uses is not None and self.uses >= self.most_uses
        return self.revoked_at is None and now < self.expires_at and not is_used_up


@dataclass(frozen=True, slots=True, kw_only=True)
class BackTest:
    """What terms would have approved of the last `looked_at` calls that people decided, and what people said of those.

    `covered` of them meet the terms; of these `approved` were approved as they were, `corrected` and `rejected` not.
    """

    looked_at: int
    covered: int
    approved: int
    corrected: int
    rejected: int
