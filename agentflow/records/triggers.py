"""What starts runs: schedules with their occurrences, and webhook deliveries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A stored rule that starts runs; `next_fire_at` is None when it will never fire again."""

    id: str
    task: str
    rule: str
    timezone: str
    input: str
    next_fire_at: datetime | None
    last_fire_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """One fire time of a schedule and the run it started."""

    schedule_id: str
    fire_at: datetime
    run_id: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One authentic webhook request and the run it started."""

    webhook: str
    delivery_id: str
    digest: str
    run_id: str
    received_at: datetime
