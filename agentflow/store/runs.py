"""A turn's hold on its run: what it opens, settles and parks."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, case, null, select, update

from agentflow.errors import LeaseLost, RunNotFound
from agentflow.requests import NewEntry
from agentflow.states import EntryKind, RunStatus, Transition, WaitKind
from agentflow.store import journal, locks, rows, standings, tables
from agentflow.store.rows import table_of
from agentflow.store.spending import entries
from agentflow.store.statements import Statement, const
from agentflow.store.transaction import single_statement
from agentflow.store.waiting import callbacks, events, waits

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from agentflow.records import Run
    from agentflow.requests import Lease, OpenWait
    from agentflow.store.transaction import Transaction

run = table_of(tables.RunRow)


MOST_NAMED = 20
BY_ID = Statement(select(run).where(run.c.id == bindparam("id")))
HOLDER = Statement(
    select(run.c.task, run.c.root_id)
    .where(run.c.id == bindparam("run_id"), run.c.epoch == bindparam("epoch"), run.c.status == const("running"))
    .with_for_update()
)
RELEASE = Statement(
    update(run)
    .where(run.c.id == bindparam("run_id"), run.c.epoch == bindparam("epoch"), run.c.status == const("running"))
    .values(
        # Somebody may have asked, while the turn went on, that the run be paused after it.
        status=case((run.c.pause.is_not(None), const(RunStatus.PAUSED.value)), else_=bindparam("status")),
        worker_id=null(),
        recoveries=const(0),
        available_at=case(
            (run.c.pause.is_not(None), null()), else_=bindparam("available_at", type_=run.c.available_at.type)
        ),
    )
)


def held(tx: Transaction, lease: Lease) -> tuple[str, str]:
    """The task and root of the lease's run, which is locked from here on. Raises `LeaseLost`."""
    row = tx.row(HOLDER, {"run_id": lease.run_id, "epoch": lease.epoch})
    if row is None:
        raise LeaseLost(run_id=lease.run_id, epoch=lease.epoch)
    return row[0], row[1] or lease.run_id


def settle(tx: Transaction, lease: Lease, entry: NewEntry, scope: str) -> None:
    """Keep the entry and withdraw what was waited for under `scope`."""
    entries.append(tx, lease, entry)
    waits.withdraw(tx, lease.run_id, scope=scope)


def open_waits(tx: Transaction, lease: Lease, new: Sequence[OpenWait]) -> None:
    """Open waits while another branch of the run goes on."""
    task, _ = held(tx, lease)
    for one in new:
        waits.open_wait(tx, lease.run_id, task, lease.epoch, one)
        _answer_if_known(tx, lease.run_id, task, one)


def _answer_if_known(tx: Transaction, run_id: str, task: str, new: OpenWait) -> None:
    """What had happened, or been decided, before the run waited for it answers at once."""
    if new.approval is not None:
        standings.decide_ahead(tx, task, new.approval)
    elif new.kind is WaitKind.CHILD:
        locks.run_of(tx, str(new.subject))  # so that it has ended, or ends after this wait is there to be seen
        ended = tx.row(waits.ENDED_CHILD, {"id": new.subject})
        if ended is not None:
            waits.answer(tx, run_id, new.key, waits.child_ended(new.key, *ended))
    elif new.kind is WaitKind.CALLBACK:
        callbacks.answer_opened(tx, run_id, new)
    elif new.kind in events.TIMED:
        events.answer_opened(tx, run_id, new)


def is_answered(tx: Transaction, run_id: str, new: OpenWait) -> bool:
    """Whether an event or callback that is to be waited for is there."""
    if new.kind is WaitKind.CALLBACK:
        return callbacks.is_resolved(tx, str(new.subject))
    return new.kind in events.TIMED and events.is_there(tx, run_id, new)


def park(tx: Transaction, lease: Lease, new: Sequence[OpenWait], blocked: Collection[str]) -> RunStatus:
    """Park the run, unless one of its waits was answered meanwhile: then queue it again."""
    open_waits(tx, lease, new)
    due: list[int] = []
    still_open = set()
    for _, key, kind, _, _, due_at in tx.rows(waits.OF_RUN, {"run_id": lease.run_id}):
        still_open.add(key)
        if key in blocked and due_at is not None and kind in {WaitKind.TIMER, WaitKind.RETRY}:
            due.append(due_at)
    wake_at = min(due, default=None)
    answered = not still_open.issuperset(blocked)
    how = Transition.REQUEUE if answered or (wake_at is not None and wake_at <= tx.now) else Transition.PARK
    _release(tx, lease, how, available_at=wake_at if how is Transition.PARK else tx.now)
    journal.enter(tx, lease.run_id, NewEntry(kind=EntryKind.PARKED, detail=_named(blocked)), epoch=lease.epoch)
    return how.target


def _named(blocked: Collection[str]) -> str:
    """What the run waits for, as its journal says: a few of many keys, so that a thousand gates stay a line each."""
    shown = ",".join(heapq.nsmallest(MOST_NAMED, blocked))
    more = len(blocked) - MOST_NAMED
    return f"{shown},…{more} more" if more > 0 else shown


def _release(tx: Transaction, lease: Lease, how: Transition, *, available_at: int | None) -> None:
    moved = tx.run(
        RELEASE,
        {"run_id": lease.run_id, "epoch": lease.epoch, "status": how.target.value, "available_at": available_at},
    )
    if moved == 0:
        raise LeaseLost(run_id=lease.run_id, epoch=lease.epoch)


@single_statement
def get(tx: Transaction, run_id: str) -> Run:
    """The run. Raises `RunNotFound`."""
    row = tx.row(BY_ID, {"id": run_id})
    if row is None:
        raise RunNotFound(f"there is no run {run_id!r}")
    return rows.run(row)
