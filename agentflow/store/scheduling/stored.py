"""The stored schedules: found, held and listed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, insert, select

from agentflow.clock import to_micros
from agentflow.errors import ScheduleNotFound
from agentflow.store import rows, tables
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement, by_index, const

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from agentflow.records import Schedule, ScheduleChange
    from agentflow.store.transaction import Transaction

schedule = table_of(tables.ScheduleRow)
change = table_of(tables.ScheduleChangeRow)

ALL = Statement(select(schedule).order_by(schedule.c.id))
ONE = Statement(select(schedule).where(schedule.c.id == bindparam("id")))
HELD = Statement(select(schedule).where(schedule.c.id == bindparam("id")).with_for_update())
UNPLANNED = Statement(
    select(schedule)
    .where(schedule.c.plan_from.is_not(None), schedule.c.paused_at.is_(None))
    .with_hint(*by_index(schedule, "ix_agentflow_schedule_plan_from"))
)
DUE = Statement(
    select(schedule).where(
        schedule.c.next_fire_at <= bindparam("until"),
        schedule.c.plan_from.is_(None),
        schedule.c.paused_at.is_(None),
    )
)
LOG = Statement(insert(change).values({c.name: bindparam(c.name) for c in change.columns if c.name != "id"}))
CHANGES = Statement(
    select(change)
    .where(change.c.schedule_id == bindparam("schedule_id"))
    .order_by(change.c.id.desc())
    .limit(bindparam("limit"))
    .offset(const(0))
)


def micros(instant: datetime | None) -> int | None:
    """The instant as it is stored."""
    return None if instant is None else to_micros(instant)


def all_schedules(tx: Transaction) -> Sequence[Schedule]:
    """Every schedule, by id."""
    return [rows.schedule(row) for row in tx.rows(ALL, {})]


def find(tx: Transaction, schedule_id: str) -> Schedule | None:
    """The schedule, as it is at this moment."""
    row = tx.row(ONE, {"id": schedule_id})
    return None if row is None else rows.schedule(row)


def get(tx: Transaction, schedule_id: str) -> Schedule:
    """The schedule. Raises `ScheduleNotFound`."""
    found = find(tx, schedule_id)
    if found is None:
        raise not_found(schedule_id)
    return found


def hold(tx: Transaction, schedule_id: str) -> Schedule | None:
    """The schedule, which nobody else changes or fires until the end of the transaction."""
    row = tx.row(HELD, {"id": schedule_id})
    return None if row is None else rows.schedule(row)


def hold_one(tx: Transaction, schedule_id: str) -> Schedule:
    """As `hold`. Raises `ScheduleNotFound`."""
    found = hold(tx, schedule_id)
    if found is None:
        raise not_found(schedule_id)
    return found


def not_found(schedule_id: str) -> ScheduleNotFound:
    """What is said of a schedule that is none."""
    return ScheduleNotFound(f"there is no schedule {schedule_id!r}")


def due(tx: Transaction, until: datetime) -> Sequence[Schedule]:
    """Those to be planned, and those whose next time has come by `until`."""
    found = [*tx.rows(UNPLANNED, {}), *tx.rows(DUE, {"until": to_micros(until)})]
    return sorted(map(rows.schedule, found), key=lambda one: one.id)


def log(tx: Transaction, schedule_id: str, made: str, by: str, reason: str = "") -> None:
    """Keep who made this change, and why."""
    told: Mapping[str, object] = {"schedule_id": schedule_id, "change": made, "changed_by": by, "reason": reason}
    tx.run(LOG, {**told, "at": tx.now})


def changes(tx: Transaction, schedule_id: str, limit: int) -> Sequence[ScheduleChange]:
    """Who changed the schedule, the latest first."""
    return [rows.schedule_change(row) for row in tx.rows(CHANGES, {"schedule_id": schedule_id, "limit": limit})]
