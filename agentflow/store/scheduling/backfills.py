"""Backfills: a range of the past that schedulers fill in, one occurrence after the other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import bindparam, insert, select, update

from agentflow.clock import to_micros
from agentflow.errors import BackfillNotFound
from agentflow.states import OccurrenceKind, OccurrenceOutcome, Overlap
from agentflow.store import rows, tables
from agentflow.store.rows import table_of
from agentflow.store.scheduling import firing, occurrences
from agentflow.store.scheduling.stored import hold, hold_one
from agentflow.store.statements import Statement, by_index, const

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from agentflow.records import Backfill, Occurrence, Schedule
    from agentflow.requests import AdvanceBackfill, RequestBackfill, TriggerRun
    from agentflow.store.transaction import Transaction

backfill = table_of(tables.BackfillRow)

UNDONE: Final = frozenset({OccurrenceOutcome.SKIPPED, OccurrenceOutcome.MISSED})

ADD = Statement(insert(backfill).values({c.name: bindparam(c.name) for c in backfill.columns}))
ONE = Statement(select(backfill).where(backfill.c.id == bindparam("id")))
HELD = Statement(select(backfill).where(backfill.c.id == bindparam("id")).with_for_update())
ADVANCE = Statement(
    update(backfill)
    .where(backfill.c.id == bindparam("backfill_id"))
    .values({name: bindparam(name) for name in ("cursor", "started", "finished_at")})
)
CANCEL = Statement(
    update(backfill)
    .where(backfill.c.id == bindparam("backfill_id"), backfill.c.finished_at.is_(None))
    .values(finished_at=bindparam("now"), cancelled_by=bindparam("by"))
)
END_ALL = Statement(
    update(backfill)
    .where(backfill.c.schedule_id == bindparam("of_schedule"), backfill.c.finished_at.is_(None))
    .values(finished_at=bindparam("now"), cancelled_by=bindparam("by"))
)
OPEN = Statement(
    select(backfill)
    .where(backfill.c.finished_at.is_(None))
    .with_hint(*by_index(backfill, "ix_agentflow_backfill_open"))
    .order_by(backfill.c.created_at, backfill.c.id)
)
NEWEST = Statement(select(backfill).order_by(backfill.c.id.desc()).limit(bindparam("limit")).offset(const(0)))
OF_SCHEDULE = Statement(
    select(backfill)
    .where(backfill.c.schedule_id == bindparam("schedule_id"))
    .order_by(backfill.c.created_at.desc())
    .limit(bindparam("limit"))
    .offset(const(0))
)


def request_backfill(tx: Transaction, asked: RequestBackfill) -> Backfill:
    """The backfill, which begins at its first instant. Raises `ScheduleNotFound`; an id known before gives that one."""
    hold_one(tx, asked.schedule_id)
    known = tx.row(ONE, {"id": asked.id})
    if known is not None:
        return rows.backfill(known)
    since = to_micros(asked.since)
    values: dict[str, Any] = {
        "id": asked.id,
        "schedule_id": asked.schedule_id,
        "since": since,
        "until": to_micros(asked.until),
        "cursor": since,
        "overlap": asked.overlap.value,
        "started": 0,
        "requested_by": asked.by,
        "created_at": tx.now,
    }
    tx.run(ADD, values | {"finished_at": None, "cancelled_by": None})
    return get(tx, asked.id)


def get(tx: Transaction, backfill_id: str) -> Backfill:
    """The backfill. Raises `BackfillNotFound`."""
    row = tx.row(ONE, {"id": backfill_id})
    if row is None:
        raise BackfillNotFound(f"there is no backfill {backfill_id!r}")
    return rows.backfill(row)


def open_ones(tx: Transaction) -> Sequence[Backfill]:
    """Those not finished, the oldest first."""
    return [rows.backfill(row) for row in tx.rows(OPEN, {})]


def listed(tx: Transaction, schedule_id: str | None, limit: int) -> Sequence[Backfill]:
    """The latest, the newest first."""
    if schedule_id is None:
        return [rows.backfill(row) for row in tx.rows(NEWEST, {"limit": limit})]
    return [rows.backfill(row) for row in tx.rows(OF_SCHEDULE, {"schedule_id": schedule_id, "limit": limit})]


def cancel_backfill(tx: Transaction, backfill_id: str, by: str) -> Backfill:
    """The backfill, ended. Raises `BackfillNotFound`."""
    tx.run(CANCEL, {"backfill_id": backfill_id, "now": tx.now, "by": by})
    return get(tx, backfill_id)


def end_all(tx: Transaction, schedule_id: str, by: str) -> None:
    """End those of a schedule that is taken out."""
    tx.run(END_ALL, {"of_schedule": schedule_id, "now": tx.now, "by": by})


# -- working it off


class _Step(NamedTuple):
    """An occurrence to be filled in, the one after it, and its run."""

    fire_at: datetime
    next_at: datetime | None
    run: TriggerRun


def advance_backfill(tx: Transaction, asked: AdvanceBackfill) -> Backfill:
    """The backfill, one occurrence further; unchanged if it has moved on meanwhile, or waits."""
    seen = get(tx, asked.backfill_id)
    firing.hold_open(tx, seen.schedule_id, seen.overlap)
    schedule = hold(tx, seen.schedule_id)
    row = tx.row(HELD, {"id": seen.id})
    found = seen if row is None else rows.backfill(row)
    if schedule is None or found.finished_at is not None or found.cursor != asked.cursor:
        return found
    if asked.fire_at is None or asked.run is None or asked.fire_at >= found.until:
        return _move(tx, found, None, 0)
    started = _fill(tx, schedule, found, _Step(asked.fire_at, asked.next_at, asked.run))
    return found if started is None else _move(tx, found, asked.next_at, started)


def _fill(tx: Transaction, schedule: Schedule, found: Backfill, step: _Step) -> int | None:
    """How many runs this occurrence started, 0 or 1; None where it is to wait for the end of one that is open."""
    known = occurrences.at(tx, schedule.id, step.fire_at)
    if known is not None and known.outcome not in UNDONE:
        return 0
    if found.overlap is Overlap.QUEUE and occurrences.open_runs(tx, schedule.id):
        return None
    fate = firing.begin(tx, schedule, Overlap.ALLOW if found.overlap is Overlap.QUEUE else found.overlap, step.run)
    became: dict[str, Any] = {
        "kind": OccurrenceKind.BACKFILL,
        "outcome": fate.outcome,
        "run_id": fate.run_id,
        "reason": fate.reason or f"asked for by {found.requested_by}",
        "revision": schedule.revision,
    }
    if known is None:
        occurrences.add(tx, schedule.id, step.fire_at, **became)
    else:
        occurrences.put(tx, known, replace(known, **became, count=1))
        _keep_missed(tx, known, step.next_at)
    return int(fate.outcome is OccurrenceOutcome.STARTED)


def _keep_missed(tx: Transaction, known: Occurrence, next_at: datetime | None) -> None:
    """Of several that were missed, the first being filled in, say so of the others, from the next one on."""
    if known.count == 1 or next_at is None or occurrences.at(tx, known.schedule_id, next_at) is not None:
        return
    occurrences.add(
        tx,
        known.schedule_id,
        next_at,
        kind=known.kind,
        revision=known.revision,
        outcome=known.outcome,
        reason=known.reason,
        count=known.count - 1,
    )


def _move(tx: Transaction, found: Backfill, next_at: datetime | None, started: int) -> Backfill:
    """The backfill, gone on to this time; finished if that is none of its range."""
    is_over = next_at is None or next_at >= found.until
    cursor = found.until if next_at is None or is_over else next_at
    values = {"cursor": to_micros(cursor), "started": found.started + started}
    tx.run(ADVANCE, {"backfill_id": found.id} | values | {"finished_at": tx.now if is_over else None})
    return get(tx, found.id)
