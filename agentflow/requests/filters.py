"""What a listing shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs a listing shows: those that meet every condition that is given.

    Created from `created_from` on, and before `created_until`; with all of `tags`.
    """

    statuses: Sequence[str] = ()
    task: str | None = None
    version: str | None = None
    queue: str | None = None
    origin: str | None = None
    tags: Sequence[str] = ()
    parent_id: str | None = None
    forked_from: str | None = None
    created_from: datetime | None = None
    created_until: datetime | None = None
    search: str | None = None
    cursor: str | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalFilter:
    """Which approvals a listing shows. Pending ones come by urgency, decided ones newest first."""

    pending: bool | None = True
    run_id: str | None = None
    search: str | None = None
    cursor: str | None = None
    limit: int = 50
