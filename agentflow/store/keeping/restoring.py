"""Going on from a backup: what happened after it is not known here, so nothing goes on by itself.

A run that was open then may have gone on, ended and had effects that the database has no trace of. Each is paused with
the reason, for a person to look at; its epoch is taken beyond all that can have been given out in the lost time, so
that a worker which lived through the restore can write nothing. What was still to start a run, or to be told somebody,
was so in the lost time, as far as anybody knows: it does so again when a person says so.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, bindparam, delete, func, null, or_, select, update

from agentflow.records import Restored, Withheld
from agentflow.requests import NewEntry
from agentflow.states import DispatchStatus, EntryKind, MatchStatus, OccurrenceOutcome, RunStatus, Transition
from agentflow.store import journal, locks, maintenance, reads, rows, tables
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement, const
from agentflow.store.steering import control

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.records import Run
    from agentflow.requests import MarkRestored
    from agentflow.store.transaction import Transaction

BEYOND: Final = 1_000_000
"""More turns than a run can have had in the time that was lost."""

IN_ORDER: Final = (
    RunStatus.PAUSED, RunStatus.NEEDS_ATTENTION, RunStatus.QUEUED, RunStatus.WAITING, RunStatus.RUNNING,
)  # fmt: skip
"""Each before those whose runs come to it meanwhile, so that no run is met twice."""

run = table_of(tables.RunRow)
worker = table_of(tables.WorkerRow)
schedule = table_of(tables.ScheduleRow)
occurrence = table_of(tables.OccurrenceRow)
backfill = table_of(tables.BackfillRow)
match = table_of(tables.MatchRow)
subscription = table_of(tables.SubscriptionRow)
dispatch = table_of(tables.DispatchRow)
session = table_of(tables.SessionRow)
token = table_of(tables.ApiTokenRow)

FORGET_ALL = Statement(delete(worker))
PAGE = Statement(
    select(run)
    .where(run.c.status == bindparam("status"), run.c.id > bindparam("after"))
    .order_by(run.c.id)
    .limit(bindparam("limit"))
    .offset(const(0)),
    brief=True,
)
# One that never started keeps its place among those that did not, with their limits and the time it has to start in.
LIFT = Statement(
    update(run)
    .where(
        run.c.id == bindparam("run_id"),
        or_(
            run.c.epoch > const(0),
            and_(run.c.queue == const("default"), run.c.expires_at.is_(None), run.c.collect_key.is_(None)),
        ),
    )
    .values(epoch=run.c.epoch + const(BEYOND))
)
SKIP = Statement(
    update(schedule)
    .where(
        or_(schedule.c.next_fire_at <= bindparam("now"), schedule.c.plan_from < bindparam("now")),
        schedule.c.paused_at.is_(None),
    )
    .values(next_fire_at=null(), plan_from=bindparam("now"))
)
SKIP_QUEUED = Statement(
    update(occurrence)
    .where(occurrence.c.outcome == const(OccurrenceOutcome.QUEUED.value))
    .values(outcome=const(OccurrenceOutcome.SKIPPED.value), reason=bindparam("why"))
)
END_BACKFILLS = Statement(
    update(backfill)
    .where(backfill.c.finished_at.is_(None))
    .values(finished_at=bindparam("now"), cancelled_by=bindparam("by"))
)
FAIL_MATCHES = Statement(
    update(match)
    .where(match.c.status == const(MatchStatus.PENDING.value))
    .values(status=const(MatchStatus.FAILED.value), reason=bindparam("why"), settled_at=bindparam("now"))
)
# Past what nobody had been told of yet, too: from here on subscribers hear of what happens from now on.
MOVE_ON = Statement(update(subscription).where(subscription.c.disabled_at.is_(None)).values(cursor=bindparam("head")))
DISCARD = Statement(
    update(dispatch)
    .where(dispatch.c.status == const(DispatchStatus.PENDING.value))
    .values(status=const(DispatchStatus.DISCARDED.value), next_at=null())
)
SIGN_OUT = Statement(delete(session))
VALID = Statement(
    select(func.count())
    .select_from(token)
    .where(token.c.revoked_at.is_(None), or_(token.c.expires_at.is_(None), token.c.expires_at > bindparam("now")))
)
LOOK = "see whether it started its task in the lost time; if it did not, have it tried again"


def forget_workers(tx: Transaction) -> int:
    """Forget all workers: whoever still lives is told so by its next heartbeat."""
    return tx.run(FORGET_ALL, {})


def mark_restored(tx: Transaction, request: MarkRestored) -> Restored:
    """Pause some open runs, or say in their journals that they go on all the same."""
    status, after = json.loads(request.after) if request.after else (IN_ORDER[0], "")
    found = [rows.run(row) for row in tx.rows(PAGE, {"status": status, "after": after, "limit": request.limit})]
    locks.runs_of(tx, [one.id for one in found])
    counts = {"paused": 0, "going_on": 0, "left": 0}
    for one in found:
        counts[_mark(tx, one, request)] += 1
    return Restored(**counts, after=_next(status, found, request.limit))


def _next(status: str, found: Sequence[Run], limit: int) -> str | None:
    if len(found) == limit:
        return json.dumps([status, found[-1].id])
    at = IN_ORDER.index(RunStatus(status)) + 1
    return json.dumps([IN_ORDER[at], ""]) if at < len(IN_ORDER) else None


def _mark(tx: Transaction, one: Run, request: MarkRestored) -> str:
    if one.status is RunStatus.RUNNING:
        _take_back(tx, one, request)
    tx.run(LIFT, {"run_id": one.id})
    if one.status in {RunStatus.PAUSED, RunStatus.NEEDS_ATTENTION}:
        return "left"  # a person has to move it on already
    if one.pause is None:  # of one that was to be paused, taking it back has paused it
        control.pause(tx, one.id, request.by, request.reason)
    if request.go_on:
        control.resume(tx, one.id, request.by, None)
        return "going_on"
    return "paused"


def _take_back(tx: Transaction, one: Run, request: MarkRestored) -> None:
    """Queue a run that a worker of the lost time holds; the loss is not the run's, and is not counted against it."""
    how: dict[str, Any] = {"status": Transition.RECOVER.target, "error": None, "more": 0}
    tx.run(maintenance.RECOVER, {"run_id": one.id, "epoch": one.epoch, "now": tx.now} | how)
    told = NewEntry(kind=EntryKind.RECOVERED, detail=f"{one.worker_id}: {request.reason}")
    journal.enter(tx, one.id, told, epoch=one.epoch)


def withhold(tx: Transaction, by: str, reason: str) -> Withheld:
    """Plan schedules anew from now, and let nothing else start or be told that was still to be."""
    subscriptions = tx.run(MOVE_ON, {"head": reads.head(tx)})  # held before what is on its way to them
    tokens = tx.row(VALID, {"now": tx.now})
    return Withheld(
        occurrences=tx.run(SKIP_QUEUED, {"why": reason}),
        backfills=tx.run(END_BACKFILLS, {"now": tx.now, "by": by}),
        schedules=tx.run(SKIP, {"now": tx.now}),
        matches=tx.run(FAIL_MATCHES, {"why": f"{reason}: {LOOK}", "now": tx.now}),
        dispatches=tx.run(DISCARD, {}),
        subscriptions=subscriptions,
        sessions=tx.run(SIGN_OUT, {}),
        tokens=0 if tokens is None else tokens[0],
    )
