"""Occurrences: one row for each time of a schedule, with what became of it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, bindparam, func, insert, select, update

from agentflow.clock import to_micros
from agentflow.records import Page
from agentflow.states import OPEN, OccurrenceKind, OccurrenceOutcome
from agentflow.store import rows, tables
from agentflow.store.cursors import number_of
from agentflow.store.rows import table_of
from agentflow.store.scheduling.stored import schedule
from agentflow.store.statements import Statement, by_index, columns, const, consts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import BindParameter

    from agentflow.records import Occurrence
    from agentflow.store.transaction import Row, Transaction

occurrence = table_of(tables.OccurrenceRow)
run = table_of(tables.RunRow)
earlier = occurrence.alias("earlier")

LOOKED_BACK: Final = 200
"""Of so many of the runs that a schedule started last it is asked whether they are open."""
ANY: Final = 2**63 - 1
QUEUED: Final = const(OccurrenceOutcome.QUEUED.value)
IS_QUEUED: Final = occurrence.c.outcome == QUEUED
_KEY: Final = and_(
    occurrence.c.schedule_id == bindparam("schedule_id"), occurrence.c.fire_at == bindparam("of_fire_at")
)

AT = Statement(select(occurrence).where(_KEY))
ADD = Statement(insert(occurrence).values({c.name: bindparam(c.name) for c in occurrence.columns}))
REPLACE = Statement(
    update(occurrence)
    .where(_KEY)
    .values(
        {name: bindparam(name) for name in ("run_id", "kind", "outcome", "reason", "revision", "count", "created_at")}
    )
)
SETTLE = Statement(
    update(occurrence)
    .where(_KEY, IS_QUEUED)
    .values({name: bindparam(name) for name in ("run_id", "outcome", "reason", "revision")})
)
SKIP_QUEUED = Statement(
    update(occurrence)
    .where(occurrence.c.schedule_id == bindparam("schedule_id"), IS_QUEUED)
    .values(outcome=const(OccurrenceOutcome.SKIPPED.value), reason=bindparam("why"))
)
_LAST = (
    select(occurrence.c.run_id)
    .where(occurrence.c.schedule_id == bindparam("schedule_id"), occurrence.c.run_id.is_not(None))
    .with_hint(*by_index(occurrence, "ix_agentflow_occurrence_started"))
    .order_by(occurrence.c.run_id.desc())
    .limit(const(LOOKED_BACK))
    .offset(const(0))
)
OPEN_RUNS = Statement(select(run.c.id).where(run.c.id.in_(_LAST), run.c.status.in_(consts(OPEN))).order_by(run.c.id))
COUNT_QUEUED = Statement(
    select(func.count())
    .select_from(occurrence)
    .where(occurrence.c.schedule_id == bindparam("schedule_id"), IS_QUEUED)
    .with_hint(*by_index(occurrence, "ix_agentflow_occurrence_queued"))
)
_OLDEST = (
    select(occurrence.c.schedule_id, func.min(occurrence.c.fire_at).label("fire_at"))
    .where(IS_QUEUED)
    .with_hint(*by_index(occurrence, "ix_agentflow_occurrence_queued"))
    .group_by(occurrence.c.schedule_id)
    .subquery("oldest")
)
OLDEST_QUEUED = Statement(
    select(occurrence)
    .join(_OLDEST, and_(occurrence.c.schedule_id == _OLDEST.c.schedule_id, occurrence.c.fire_at == _OLDEST.c.fire_at))
    .join(schedule, and_(schedule.c.id == occurrence.c.schedule_id, schedule.c.paused_at.is_(None)))
)
_WITH_RUN = select(occurrence, run.c.status).join(run, run.c.id == occurrence.c.run_id, isouter=True)
PAGE = Statement(
    _WITH_RUN.where(occurrence.c.schedule_id == bindparam("schedule_id"), occurrence.c.fire_at < bindparam("before"))
    .order_by(occurrence.c.fire_at.desc())
    .limit(bindparam("limit"))
    .offset(const(0))
)


@cache
def _latest(count: int) -> Statement:
    """The latest few of so many schedules, each found by its key: those from its last but few on."""
    ids: list[BindParameter[str]] = [bindparam(f"id{n}") for n in range(count)]
    first = (
        select(earlier.c.fire_at)
        .where(earlier.c.schedule_id == schedule.c.id)
        .order_by(earlier.c.fire_at.desc())
        .limit(const(1))
        .offset(bindparam("before_it"))
        .scalar_subquery()
    )
    return Statement(
        select(occurrence, run.c.status)
        .select_from(schedule)
        .join(
            occurrence,
            and_(occurrence.c.schedule_id == schedule.c.id, occurrence.c.fire_at >= func.coalesce(first, const(0))),
        )
        .join(run, run.c.id == occurrence.c.run_id, isouter=True)
        .where(schedule.c.id.in_(ids))
        .order_by(occurrence.c.schedule_id, occurrence.c.fire_at.desc())
    )


# -- looking


def at(tx: Transaction, schedule_id: str, fire_at: datetime) -> Occurrence | None:
    """The occurrence of this time."""
    row = tx.row(AT, _key(schedule_id, fire_at))
    return None if row is None else rows.occurrence(row)


def open_runs(tx: Transaction, schedule_id: str) -> Sequence[str]:
    """The schedule's runs that have not ended, the one that was started first before the others."""
    return [run_id for (run_id,) in tx.rows(OPEN_RUNS, {"schedule_id": schedule_id})]


def count_queued(tx: Transaction, schedule_id: str) -> int:
    """How many of the schedule's occurrences wait for a run of it to end."""
    row = tx.row(COUNT_QUEUED, {"schedule_id": schedule_id})
    return 0 if row is None else int(row[0])


def page(tx: Transaction, schedule_id: str, cursor: str | None, limit: int) -> Page[Occurrence]:
    """Occurrences of a schedule, the latest first. Raises `InvalidSetting` for a cursor that is none."""
    before = ANY if cursor is None else number_of(cursor)
    wanted = {"schedule_id": schedule_id, "before": before, "limit": limit + 1}
    found = [_with_run(row) for row in tx.rows(PAGE, wanted)]
    return Page(found[:limit], str(to_micros(found[limit - 1].fire_at)) if len(found) > limit else None)


def latest(tx: Transaction, schedule_ids: Sequence[str], limit: int) -> Sequence[Occurrence]:
    """Of each of these schedules the latest few."""
    if not schedule_ids:
        return []
    ids = {f"id{n}": schedule_id for n, schedule_id in enumerate(schedule_ids)}
    return [_with_run(row) for row in tx.rows(_latest(len(ids)), ids | {"before_it": limit - 1})]


def queued(tx: Transaction) -> Sequence[Occurrence]:
    """The oldest queued one of each schedule that is not paused."""
    return sorted((rows.occurrence(row) for row in tx.rows(OLDEST_QUEUED, {})), key=lambda one: one.fire_at)


def _with_run(row: Row) -> Occurrence:
    *own, status = row
    return replace(rows.occurrence(tuple(own)), run_status=None if status is None else rows.status(status))


# -- writing


def add(
    tx: Transaction,
    schedule_id: str,
    fire_at: datetime,
    *,
    kind: OccurrenceKind,
    revision: int,
    outcome: OccurrenceOutcome,
    run_id: str | None = None,
    reason: str | None = None,
    count: int = 1,
) -> Occurrence:
    """The occurrence, written; whoever writes it holds the schedule, and has seen that there is none of this time."""
    values: dict[str, Any] = {
        "schedule_id": schedule_id,
        "fire_at": to_micros(fire_at),
        "run_id": run_id,
        "created_at": tx.now,
        "kind": kind.value,
        "outcome": outcome.value,
        "reason": reason,
        "revision": revision,
        "count": count,
    }
    tx.run(ADD, values)
    return rows.occurrence(tuple(values[name] for name in columns(occurrence)))


def put(tx: Transaction, was: Occurrence, now: Occurrence) -> None:
    """Write what has become of an occurrence that was skipped or missed."""
    values = {name: getattr(now, name) for name in ("run_id", "reason", "revision", "count")}
    values |= {"kind": now.kind.value, "outcome": now.outcome.value, "created_at": tx.now}
    tx.run(REPLACE, _key(was.schedule_id, was.fire_at) | values)


def settle(tx: Transaction, was: Occurrence, now: Occurrence) -> bool:
    """Whether the occurrence was queued until now, and is this."""
    values = {"run_id": now.run_id, "outcome": now.outcome.value, "reason": now.reason, "revision": now.revision}
    return tx.run(SETTLE, _key(was.schedule_id, was.fire_at) | values) == 1


def skip_queued(tx: Transaction, schedule_id: str, why: str) -> None:
    """Skip whatever is queued."""
    tx.run(SKIP_QUEUED, {"schedule_id": schedule_id, "why": why})


def _key(schedule_id: str, fire_at: datetime) -> dict[str, Any]:
    return {"schedule_id": schedule_id, "of_fire_at": to_micros(fire_at)}
