"""What a listing shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs a listing shows."""

    statuses: Sequence[str] = ()
    task: str | None = None
    parent_id: str | None = None
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
