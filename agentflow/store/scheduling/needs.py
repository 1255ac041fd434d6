"""Whether schedulers have anything to do: what each of them asks once a second, and nearly always for nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, exists, or_, select

from agentflow.clock import to_micros
from agentflow.store.scheduling.backfills import backfill
from agentflow.store.scheduling.occurrences import IS_QUEUED, occurrence
from agentflow.store.scheduling.stored import schedule
from agentflow.store.statements import Statement, by_index, const

if TYPE_CHECKING:
    from datetime import datetime

    from agentflow.store.transaction import Transaction

_UNPLANNED = (
    select(const(1))
    .select_from(schedule)
    .where(schedule.c.plan_from.is_not(None), schedule.c.paused_at.is_(None))
    .with_hint(*by_index(schedule, "ix_agentflow_schedule_plan_from"))
)
_DUE = select(const(1)).where(
    schedule.c.next_fire_at <= bindparam("until"), schedule.c.plan_from.is_(None), schedule.c.paused_at.is_(None)
)
_QUEUED = (
    select(const(1))
    .select_from(occurrence)
    .join(schedule, schedule.c.id == occurrence.c.schedule_id)
    .where(IS_QUEUED, schedule.c.paused_at.is_(None))
    .with_hint(*by_index(occurrence, "ix_agentflow_occurrence_queued"))
)
_BACKFILL = (
    select(const(1))
    .select_from(backfill)
    .where(backfill.c.finished_at.is_(None))
    .with_hint(*by_index(backfill, "ix_agentflow_backfill_open"))
)
SCHEDULERS = Statement(select(or_(*(exists(one) for one in (_UNPLANNED, _DUE, _QUEUED, _BACKFILL)))))


def schedulers_are_needed(tx: Transaction, until: datetime) -> bool:
    """Whether a schedule is to be planned, is due by then or has an occurrence queued, or a backfill is open."""
    row = tx.row(SCHEDULERS, {"until": to_micros(until)})
    return row is not None and bool(row[0])
