"""Schedules and webhooks: a unique occurrence or delivery starts one run, in one transaction with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, insert, select, update

from agentflow.clock import to_micros
from agentflow.errors import IdempotencyMismatch, SingletonTaken
from agentflow.store import locks, rows, tables, triggering
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement, columns

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from agentflow.records import Delivery, Run, Schedule
    from agentflow.requests import DeclareSchedule, Deliver, Fire, TriggerRun
    from agentflow.store.transaction import Transaction

schedule = table_of(tables.ScheduleRow)
occurrence = table_of(tables.OccurrenceRow)
delivery = table_of(tables.DeliveryRow)

SCHEDULES = Statement(select(schedule).order_by(schedule.c.id))
ADD = Statement(insert(schedule).values({c.name: bindparam(c.name) for c in schedule.columns}))
CHANGE = Statement(
    update(schedule)
    .where(schedule.c.id == bindparam("schedule_id"))
    .values({name: bindparam(name) for name in ("task", "rule", "timezone", "input", "next_fire_at")})
)
REMOVE = Statement(delete(schedule).where(schedule.c.id == bindparam("schedule_id")))
ADVANCE = Statement(
    update(schedule)
    .where(schedule.c.id == bindparam("schedule_id"), schedule.c.next_fire_at <= bindparam("fire_at"))
    .values(next_fire_at=bindparam("next_fire_at"), last_fire_at=bindparam("fire_at"))
)
OCCURRED = Statement(
    select(occurrence.c.run_id).where(
        occurrence.c.schedule_id == bindparam("schedule_id"), occurrence.c.fire_at == bindparam("fire_at")
    )
)
OCCUR = Statement(insert(occurrence).values({c.name: bindparam(c.name) for c in occurrence.columns}))
DELIVERED = Statement(
    select(delivery).where(
        delivery.c.webhook == bindparam("webhook"), delivery.c.delivery_id == bindparam("delivery_id")
    )
)
DELIVER = Statement(insert(delivery).values({c.name: bindparam(c.name) for c in delivery.columns}))


def _micros(instant: datetime | None) -> int | None:
    return None if instant is None else to_micros(instant)


def declare_schedules(
    tx: Transaction, declared: Sequence[DeclareSchedule], tasks: Collection[str]
) -> Sequence[Schedule]:
    """Reconcile the stored schedules of these tasks with the declared ones; an unchanged rule keeps its next fire time.

    Schedules of other tasks are another program's, and stay.
    """
    locks.names(tx, "schedules")
    known_ids = {one.id for one in declared}
    everything = [rows.schedule(row) for row in tx.rows(SCHEDULES, {})]
    stored = {one.id: one for one in everything if one.task in tasks or one.id in known_ids}
    for one in declared:
        known = stored.pop(one.id, None)
        values: dict[str, Any] = {"task": one.task, "rule": one.rule, "timezone": one.timezone, "input": one.input}
        if known is None:
            values |= {"id": one.id, "next_fire_at": _micros(one.first_fire_at), "last_fire_at": None}
            tx.run(ADD, values | {"created_at": tx.now})
        else:
            same_times = (known.rule, known.timezone) == (one.rule, one.timezone)
            next_fire_at = known.next_fire_at if same_times else one.first_fire_at
            tx.run(CHANGE, values | {"schedule_id": one.id, "next_fire_at": _micros(next_fire_at)})
    for schedule_id in stored:
        tx.run(REMOVE, {"schedule_id": schedule_id})
    return [rows.schedule(row) for row in tx.rows(SCHEDULES, {})]


def fire(tx: Transaction, request: Fire) -> Run | None:
    """The run of this occurrence; None if another scheduler was there first, or an open run has its singleton key.

    None, too, if the schedule is gone.
    """
    key = {"schedule_id": request.schedule_id, "fire_at": to_micros(request.fire_at)}
    advanced = tx.run(ADVANCE, key | {"next_fire_at": _micros(request.next_fire_at)})
    if advanced == 0 or tx.row(OCCURRED, key) is not None:
        return None
    made, run_id = _made(tx, request.run)
    tx.run(OCCUR, key | {"run_id": run_id, "created_at": tx.now})
    return made


def _made(tx: Transaction, request: TriggerRun) -> tuple[Run | None, str]:
    """The run that was made, if one was, and the id of the one that stands for this trigger: made or met."""
    try:
        made = triggering.trigger(tx, request)
    except SingletonTaken as taken:  # nothing was written yet, and what is skipped is done with
        return None, taken.run_id
    return made, made.id


def deliver(tx: Transaction, request: Deliver) -> Delivery:
    """The delivery with the one run its id ever starts."""
    key = {"webhook": request.webhook, "delivery_id": request.delivery_id}
    known = tx.row(DELIVERED, key)
    if known is not None:
        first = rows.delivery(known)
        if first.digest != request.digest:
            raise IdempotencyMismatch(
                f"delivery {request.delivery_id!r} of webhook {request.webhook} came before with another body and "
                f"made run {first.run_id}; no run was made"
            )
        return first
    _, run_id = _made(tx, request.run)
    values = key | {"digest": request.digest, "run_id": run_id, "received_at": tx.now}
    tx.run(DELIVER, values)
    return rows.delivery(tuple(values[name] for name in columns(delivery)))
