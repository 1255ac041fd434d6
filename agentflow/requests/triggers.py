"""Schedules to be declared, occurrences and deliveries to be started."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from agentflow.requests.runs import TriggerRun


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclareSchedule:
    """A schedule as declared in code; `first_fire_at` is used when it is new or its rule changed."""

    id: str
    task: str
    version: str
    rule: str
    timezone: str
    input: str
    first_fire_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fire:
    """An occurrence to be started: at most one run for (schedule, fire_at), and the schedule advanced with it."""

    schedule_id: str
    fire_at: datetime
    next_fire_at: datetime | None
    run: TriggerRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliver:
    """An authentic webhook request; `digest` is of its raw body."""

    webhook: str
    delivery_id: str
    digest: str
    run: TriggerRun
