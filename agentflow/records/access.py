"""Who may call the API, and who has signed in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """A token of the API: who it stands for (`name`) and what it may do (`scopes`, a JSON list); never the token."""

    id: str
    name: str
    digest: str = field(repr=False)
    scopes: str
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    revoked_by: str | None
    last_used_at: datetime | None

    def holds_at(self, now: datetime) -> bool:
        """Whether it may be used at this instant."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Somebody who signed in with a token. `id` is a digest of what the browser holds."""

    id: str = field(repr=False)
    token_id: str
    created_at: datetime
    seen_at: datetime
