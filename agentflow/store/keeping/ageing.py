"""What grows old by itself: log lines, events, occurrences of schedules with backfills, and deliveries of webhooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, delete, exists, func, or_, select, tuple_

from agentflow.states import OPEN, MatchStatus, OccurrenceOutcome
from agentflow.store import tables
from agentflow.store.keeping import removal
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement, const

if TYPE_CHECKING:
    from agentflow.store.transaction import Transaction

run = table_of(tables.RunRow)
log = table_of(tables.LogRow)
event = table_of(tables.EventRow)
later = event.alias("later")
cursor = table_of(tables.CursorRow)
match = table_of(tables.MatchRow)
schedule = table_of(tables.ScheduleRow)
occurrence = table_of(tables.OccurrenceRow)
backfill = table_of(tables.BackfillRow)
delivery = table_of(tables.DeliveryRow)
original = run.alias("original")
SAME_TIME: Final = 1_000_000
"""Within a second, runs that began at one time may have any order."""


def _open(run_id: Any) -> Any:
    """That the run of this id has not ended."""
    return exists(select(const(1)).where(run.c.id == run_id, run.c.finished_at.is_(None)))


LOGS = Statement(
    select(log.c.id, log.c.at, _open(log.c.run_id))
    .where(log.c.id > bindparam("after"))
    .order_by(log.c.id)
    .limit(bindparam("limit"))
    .offset(const(0))
)
REMOVE_LOG = Statement(delete(log).where(log.c.id == bindparam("id")))
# An open run may still read what was sent since it, or what it is a fork of, began. The first id is of the oldest.
OLDEST_OPEN = tuple(
    Statement(
        select(run.c.created_at)
        .where(run.c.status == const(status.value))
        .order_by(run.c.id)
        .limit(const(1))
        .offset(const(0))
    )
    for status in sorted(OPEN)
)
OLDEST_FORKED = Statement(
    select(func.min(original.c.created_at)).where(
        run.c.forked_from.is_not(None), run.c.finished_at.is_(None), original.c.id == run.c.forked_from
    )
)
# The last of a stream says how its messages are numbered, which those who read it go by. What a task listens for and
# has not been asked about may still start a run.
EVENTS = Statement(
    select(event.c.sent_at, event.c.id, func.substr(event.c.payload, const(1), const(90)))
    .where(
        event.c.sent_at < bindparam("before"),
        tuple_(event.c.sent_at, event.c.id) > tuple_(bindparam("after_at"), bindparam("after_id")),
        or_(
            ~exists(select(const(1)).where(cursor.c.name == event.c.name, cursor.c.key == event.c.key)),
            exists(
                select(const(1)).where(
                    later.c.name == event.c.name, later.c.key == event.c.key, later.c.seq > event.c.seq
                )
            ),
        ),
        ~exists(
            select(const(1)).where(match.c.event_id == event.c.id, match.c.status == const(MatchStatus.PENDING.value))
        ),
    )
    .order_by(event.c.sent_at, event.c.id)
    .limit(bindparam("limit"))
    .offset(const(0))
)
REMOVE_EVENT = Statement(delete(event).where(event.c.id == bindparam("id")))
NEXT_SCHEDULE = Statement(
    select(func.min(occurrence.c.schedule_id)).where(occurrence.c.schedule_id > bindparam("after"))
)
# One that the schedule, or a backfill, could come to again is what keeps it from starting a second run.
OCCURRENCES = Statement(
    select(occurrence.c.schedule_id, occurrence.c.fire_at)
    .where(
        occurrence.c.schedule_id == bindparam("schedule_id"),
        occurrence.c.fire_at > bindparam("after"),
        occurrence.c.fire_at < bindparam("before"),
        occurrence.c.created_at < bindparam("before"),
        occurrence.c.outcome != const(OccurrenceOutcome.QUEUED.value),
        ~_open(occurrence.c.run_id),
        ~exists(
            select(const(1)).where(
                schedule.c.id == occurrence.c.schedule_id,
                or_(schedule.c.next_fire_at <= occurrence.c.fire_at, schedule.c.plan_from < occurrence.c.fire_at),
            )
        ),
        ~exists(
            select(const(1)).where(
                backfill.c.schedule_id == occurrence.c.schedule_id,
                backfill.c.finished_at.is_(None),
                backfill.c.cursor <= occurrence.c.fire_at,
                backfill.c.until > occurrence.c.fire_at,
            )
        ),
    )
    .order_by(occurrence.c.fire_at)
    .limit(bindparam("limit"))
    .offset(const(0))
)
REMOVE_OCCURRENCE = Statement(
    delete(occurrence).where(
        occurrence.c.schedule_id == bindparam("schedule_id"), occurrence.c.fire_at == bindparam("fire_at")
    )
)
BACKFILLS = Statement(
    select(backfill.c.id)
    .where(backfill.c.id > bindparam("after"), backfill.c.finished_at < bindparam("before"))
    .order_by(backfill.c.id)
    .limit(bindparam("limit"))
    .offset(const(0))
)
REMOVE_BACKFILL = Statement(delete(backfill).where(backfill.c.id == bindparam("id")))
DELIVERIES = Statement(
    select(delivery.c.received_at, delivery.c.id, func.substr(delivery.c.body, const(1), const(90)))
    .where(
        delivery.c.received_at < bindparam("before"),
        tuple_(delivery.c.received_at, delivery.c.id) > tuple_(bindparam("after_at"), bindparam("after_id")),
        ~_open(delivery.c.run_id),
    )
    .order_by(delivery.c.received_at, delivery.c.id)
    .limit(bindparam("limit"))
    .offset(const(0))
)
REMOVE_DELIVERY = Statement(delete(delivery).where(delivery.c.id == bindparam("id")))


After = Sequence[Any]
"""Where to look on: the last row's place in the order it was found in; empty at the beginning."""


@dataclass(frozen=True, slots=True)
class Aged:
    """Rows that may go, each as what names it to `by`; `after` is where to look on, None at the end."""

    rows: Sequence[Mapping[str, Any]]
    by: Statement
    after: After | None
    blobs: frozenset[str] = frozenset()

    def remove(self, tx: Transaction) -> None:
        """Remove them."""
        for row in self.rows:
            tx.run(self.by, row)
        removal.drop_blobs(tx, self.blobs)


def logs(tx: Transaction, before: int, after: After, limit: int) -> Aged:
    """Lines of runs that have ended."""
    (last,) = after or (0,)
    found = tx.rows(LOGS, {"after": last, "limit": limit})
    is_last = len(found) < limit or all(at >= before for _, at, _ in found)
    gone = [{"id": line} for line, at, is_open in found if at < before and not is_open]
    return Aged(gone, REMOVE_LOG, None if is_last else [found[-1][0]])


def events(tx: Transaction, before: int, after: After, limit: int) -> Aged:
    """Events sent before every open run began."""
    after_at, after_id = after or (0, "")
    begun = [row[0] - SAME_TIME for one in OLDEST_OPEN if (row := tx.row(one, {})) is not None]
    forked = tx.row(OLDEST_FORKED, {})
    if forked is not None and forked[0] is not None:
        begun.append(forked[0])
    found = tx.rows(
        EVENTS, {"before": min([before, *begun]), "after_at": after_at, "after_id": after_id, "limit": limit}
    )
    names = frozenset(text for *_, text in found if text.startswith("blob:"))
    gone = [{"id": one} for _, one, _ in found]
    return Aged(gone, REMOVE_EVENT, found[-1][:2] if len(found) == limit else None, names)


def occurrences(tx: Transaction, before: int, after: After, limit: int) -> Aged:
    """Occurrences that their schedule has left behind, one schedule after the other, and then finished backfills."""
    schedule_id, fired = after or ("", None)
    if schedule_id is None:
        return _backfills(tx, before, fired or "", limit)
    if fired is None:
        row = tx.row(NEXT_SCHEDULE, {"after": schedule_id})
        if row is None or row[0] is None:
            return _backfills(tx, before, "", limit)
        schedule_id, fired = row[0], 0
    found = tx.rows(OCCURRENCES, {"schedule_id": schedule_id, "after": fired, "before": before, "limit": limit})
    gone = [{"schedule_id": schedule_id, "fire_at": fire_at} for _, fire_at in found]
    return Aged(gone, REMOVE_OCCURRENCE, found[-1] if len(found) == limit else (schedule_id, None))


def _backfills(tx: Transaction, before: int, last: str, limit: int) -> Aged:
    found = tx.rows(BACKFILLS, {"before": before, "after": last, "limit": limit})
    gone = [{"id": one} for (one,) in found]
    return Aged(gone, REMOVE_BACKFILL, (None, found[-1][0]) if len(found) == limit else None)


def deliveries(tx: Transaction, before: int, after: After, limit: int) -> Aged:
    """Deliveries that started no run, or one that has ended."""
    after_at, after_id = after or (0, "")
    found = tx.rows(DELIVERIES, {"before": before, "after_at": after_at, "after_id": after_id, "limit": limit})
    names = frozenset(body for *_, body in found if body is not None and body.startswith("blob:"))
    gone = [{"id": one} for _, one, _ in found]
    return Aged(gone, REMOVE_DELIVERY, found[-1][:2] if len(found) == limit else None, names)
