"""Starting occurrences: due ones, caught up ones, queued ones, and those that somebody asks for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, update

from agentflow.errors import SingletonTaken
from agentflow.states import OccurrenceKind, OccurrenceOutcome, Overlap
from agentflow.store import locks, triggering
from agentflow.store.scheduling import occurrences
from agentflow.store.scheduling.stored import find, hold, hold_one, micros, schedule
from agentflow.store.statements import Statement
from agentflow.store.steering import control

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from agentflow.records import Occurrence, Run, Schedule
    from agentflow.requests import Fire, FireByHand, Miss, StartQueued, TriggerRun
    from agentflow.store.transaction import Transaction

MOST_QUEUED: Final = 1000

ADVANCE = Statement(
    update(schedule)
    .where(schedule.c.id == bindparam("schedule_id"))
    .values(next_fire_at=bindparam("next_fire_at"), last_fire_at=bindparam("last_fire_at"))
)


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of an occurrence."""

    outcome: OccurrenceOutcome
    run_id: str | None = None
    reason: str | None = None


def fire(tx: Transaction, request: Fire) -> Occurrence | None:
    """What became of this occurrence, the schedule having gone on; None if it is not to be dealt with any more."""
    seen = find(tx, request.schedule_id)
    if seen is None:
        return None
    hold_open(tx, seen.id, seen.overlap)
    held = _hold_due(tx, seen.id, request.revision, request.fire_at)
    if held is None:
        return None
    _advance(tx, held, request.next_fire_at, request.fire_at)
    if occurrences.at(tx, held.id, request.fire_at) is not None:  # a backfill was there first
        return None
    fate = begin(tx, held, held.overlap, request.run)
    return _write(tx, held, request.fire_at, request.kind, fate)


def miss(tx: Transaction, request: Miss) -> Occurrence | None:
    """What says that these were missed, the schedule having gone on; None if it is past them, or one of them began."""
    held = _hold_due(tx, request.schedule_id, request.revision, request.fire_at)
    if held is None:
        return None
    _advance(tx, held, request.next_fire_at, held.last_fire_at)
    if occurrences.at(tx, held.id, request.fire_at) is not None:
        return None
    outcome = OccurrenceOutcome.MISSED
    return occurrences.add(
        tx,
        held.id,
        request.fire_at,
        kind=OccurrenceKind.DUE,
        revision=held.revision,
        outcome=outcome,
        count=request.count,
    )


def start_queued(tx: Transaction, request: StartQueued) -> Occurrence | None:
    """The queued occurrence, started or skipped; None while a run is open."""
    held = hold(tx, request.schedule_id)
    if held is None or held.paused_at is not None:
        return None
    known = occurrences.at(tx, held.id, request.fire_at)
    if known is None or known.outcome is not OccurrenceOutcome.QUEUED or occurrences.open_runs(tx, held.id):
        return None
    fate = _made(tx, request.run)
    now = replace(
        known, outcome=fate.outcome, run_id=fate.run_id, reason=fate.reason or known.reason, revision=held.revision
    )
    return now if occurrences.settle(tx, known, now) else None


def fire_by_hand(tx: Transaction, request: FireByHand) -> Run | None:
    """The run; None if there is an occurrence of this instant. Raises `ScheduleNotFound`, or what refuses the run."""
    held = hold_one(tx, request.schedule_id)
    if occurrences.at(tx, held.id, request.fire_at) is not None:
        return None
    made = triggering.trigger(tx, request.run)
    fate = Fate(OccurrenceOutcome.STARTED, made.id, f"asked for by {request.by}")
    _write(tx, held, request.fire_at, OccurrenceKind.BY_HAND, fate)
    return made


def hold_open(tx: Transaction, schedule_id: str, overlap: Overlap) -> None:
    """Hold the runs that the next one would cancel: runs are held before their schedule, always."""
    if overlap is Overlap.CANCEL and not tx.is_alone:
        for run_id in occurrences.open_runs(tx, schedule_id):
            locks.before_end(tx, run_id)


def begin(tx: Transaction, held: Schedule, overlap: Overlap, request: TriggerRun) -> Fate:
    """What becomes of an occurrence of the schedule, which is held: the run is made, or is not, as `overlap` says."""
    open_runs = [] if overlap is Overlap.ALLOW else occurrences.open_runs(tx, held.id)
    match overlap:
        case Overlap.SKIP if open_runs:
            return Fate(OccurrenceOutcome.SKIPPED, reason=f"run {open_runs[0]} was open")
        case Overlap.QUEUE if waiting := occurrences.count_queued(tx, held.id) or len(open_runs):
            if waiting >= MOST_QUEUED:
                return Fate(OccurrenceOutcome.SKIPPED, reason=f"{MOST_QUEUED:,} occurrences were queued")
            return Fate(OccurrenceOutcome.QUEUED)
        case Overlap.CANCEL:
            _cancel(tx, held, open_runs)
    return _made(tx, request)


def _cancel(tx: Transaction, held: Schedule, run_ids: Sequence[str]) -> None:
    for run_id in run_ids:
        control.cancel(tx, run_id, f"schedule {held.id}", "its next occurrence starts")


def _made(tx: Transaction, request: TriggerRun) -> Fate:
    try:
        made = triggering.trigger(tx, request)
    except SingletonTaken as taken:  # nothing was written yet, and what is skipped is done with
        return Fate(OccurrenceOutcome.SKIPPED, reason=f"run {taken.run_id} had the singleton key")
    return Fate(OccurrenceOutcome.STARTED, made.id)


def _hold_due(tx: Transaction, schedule_id: str, revision: int, fire_at: datetime) -> Schedule | None:
    """The schedule, held, if it is still to deal with this time as it was planned."""
    held = hold(tx, schedule_id)
    if held is None or held.paused_at is not None or held.plan_from is not None or held.revision != revision:
        return None
    return held if held.next_fire_at is not None and held.next_fire_at <= fire_at else None


def _advance(tx: Transaction, held: Schedule, next_fire_at: datetime | None, last_fire_at: datetime | None) -> None:
    values = {"next_fire_at": micros(next_fire_at), "last_fire_at": micros(last_fire_at)}
    tx.run(ADVANCE, {"schedule_id": held.id} | values)


def _write(tx: Transaction, held: Schedule, fire_at: datetime, kind: OccurrenceKind, fate: Fate) -> Occurrence:
    return occurrences.add(
        tx,
        held.id,
        fire_at,
        kind=kind,
        revision=held.revision,
        outcome=fate.outcome,
        run_id=fate.run_id,
        reason=fate.reason,
    )
