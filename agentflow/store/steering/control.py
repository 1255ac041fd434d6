"""What people do to runs: cancel, pause and resume them, have them tried again.

Each is a compare-and-set on the run's status, so whoever comes second is told what the run is by then. A run that is
being executed is not stopped in the middle of an operation: it is marked, and its turn ends at the next checkpoint.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, case, func, null, select, update

from agentflow.errors import IllegalTransition, SingletonTaken
from agentflow.requests import NewEntry
from agentflow.requests.forks import UNDOES
from agentflow.states import TERMINAL, EntryKind, ParentClose, RunStatus, Transition
from agentflow.store import journal, locks, rows, tables
from agentflow.store.rows import table_of
from agentflow.store.runs import get
from agentflow.store.statements import Statement, const, consts
from agentflow.store.steering.ending import Ending, children_to_close, undo_first
from agentflow.store.waiting import callbacks, waits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentflow.records import Entry, Run
    from agentflow.store.transaction import Transaction

run = table_of(tables.RunRow)
entry = table_of(tables.EntryRow)

CANCEL = Statement(
    update(run)
    .where(run.c.id == bindparam("run_id"), run.c.status.in_(consts(Transition.CANCEL.sources)))
    .values(
        status=const(Transition.CANCEL.target.value),
        worker_id=null(),
        error=null(),
        pause=null(),
        finished_at=bindparam("now"),
    )
)
PAUSE = Statement(
    update(run)
    .where(
        run.c.id == bindparam("run_id"),
        run.c.status.in_(consts(Transition.PAUSE.sources - {RunStatus.RUNNING})),
    )
    .values(
        status=const(Transition.PAUSE.target.value),
        pause=bindparam("pause"),
        # A delay or back-off still counts; what it waits for is looked at when it goes on.
        available_at=case((run.c.status == const(RunStatus.WAITING.value), null()), else_=run.c.available_at),
    )
)
MARK = Statement(
    update(run)
    .where(run.c.id == bindparam("run_id"), run.c.status == const(RunStatus.RUNNING.value), run.c.pause.is_(None))
    .values(pause=bindparam("pause"))
)
UNMARK = Statement(
    update(run)
    .where(run.c.id == bindparam("run_id"), run.c.status == const(RunStatus.RUNNING.value), run.c.pause.is_not(None))
    .values(pause=null())
)
RESUME = Statement(
    update(run)
    .where(run.c.id == bindparam("run_id"), run.c.status.in_(consts(Transition.RESUME.sources)))
    .values(
        status=const(Transition.RESUME.target.value),
        error=null(),
        pause=null(),
        recoveries=const(0),
        collect_key=null(),
        available_at=func.coalesce(run.c.available_at, bindparam("now")),
    )
)
RETRY = Statement(
    update(run)
    .where(run.c.id == bindparam("run_id"), run.c.status.in_(consts(Transition.RETRY.sources)), run.c.ending.is_(None))
    .values(
        status=const(Transition.RETRY.target.value),
        error=null(),
        finished_at=null(),
        expires_at=null(),
        recoveries=const(0),
        collect_key=null(),
        attempt=run.c.attempt + const(1),
        available_at=bindparam("now"),
        deadline_at=case((run.c.deadline_at > bindparam("now"), run.c.deadline_at), else_=null()),
    )
)
HOLDER = Statement(
    select(run.c.id).where(
        run.c.task == bindparam("task"),
        run.c.singleton_key == bindparam("singleton_key"),
        run.c.singleton_key.is_not(None),
        run.c.finished_at.is_(None),
    )
)
CLOSED = Statement(
    select(run.c.id).where(
        run.c.parent_id == bindparam("run_id"),
        run.c.on_parent_close == const(ParentClose.CANCEL.value),
        and_(run.c.status == const(RunStatus.CANCELLED.value), run.c.ending.is_(None)),
    )
)
LATEST = Statement(
    select(entry)
    .where(entry.c.run_id == bindparam("run_id"))
    .order_by(entry.c.seq.desc())
    .limit(const(1))
    .offset(const(0))
)
IN_DOUBT = Statement(
    select(entry)
    .where(entry.c.run_id == bindparam("run_id"), entry.c.kind == const(EntryKind.DIVERGED.value))
    .order_by(entry.c.seq.desc())
    .limit(const(1))
    .offset(const(0))
)
OF_KEY = Statement(
    select(entry).where(entry.c.run_id == bindparam("run_id"), entry.c.key == bindparam("key")).order_by(entry.c.seq)
)


# -- cancelling


def cancel(tx: Transaction, run_id: str, by: str, reason: str) -> Run:
    """End the run, its approvals and its children; one with steps to undo is queued to undo them first.

    One that is already ending is left to it; but where undoing has failed, it ends as it is.
    """
    locks.before_end(tx, run_id)
    before = get(tx, run_id)
    said = f"cancelled by {by}" + (f": {reason}" if reason else "")
    if before.ending is not None and not before.is_finished:
        return _give_up_undoing(tx, before, said) if before.status is RunStatus.NEEDS_ATTENTION else before
    if before.is_finished:
        raise IllegalTransition(run_id=run_id, verb="be cancelled", status=before.status)
    if undo_first(tx, run_id, before.epoch, Ending(status=RunStatus.CANCELLED, said=said)):
        close_children(tx, run_id)
        return get(tx, run_id)
    return _cancelled(tx, before, said)


def _give_up_undoing(tx: Transaction, before: Run, said: str) -> Run:
    return _cancelled(tx, before, f"{said}; what was not undone stays as it is")


def _cancelled(tx: Transaction, before: Run, said: str) -> Run:
    if tx.run(CANCEL, {"run_id": before.id, "now": tx.now}) == 0:
        raise IllegalTransition(run_id=before.id, verb="be cancelled", status=before.status)
    journal.enter(tx, before.id, NewEntry(kind=EntryKind.RUN_CANCELLED, detail=said), epoch=before.epoch)
    waits.withdraw(tx, before.id)
    close_children(tx, before.id)
    waits.tell_parents(tx, before.id, RunStatus.CANCELLED, None, None)
    return get(tx, before.id)


def close_children(tx: Transaction, run_id: str) -> None:
    """Cancel the open children that are not to outlive the run, and theirs."""
    for child in children_to_close(tx, run_id):
        cancel(tx, child, _parent(run_id), "")


def _parent(run_id: str) -> str:
    return f"parent {run_id}"


# -- pausing


def pause(tx: Transaction, run_id: str, by: str, reason: str) -> Run:
    """Stop the run where it is, or mark it to stop at its next checkpoint."""
    locks.run_of(tx, run_id)
    before = get(tx, run_id)
    told = {"run_id": run_id, "pause": json.dumps({"by": by, "reason": reason}, ensure_ascii=False)}
    if tx.run(PAUSE, told) == 0 and tx.run(MARK, told) == 0:
        status = "about to be paused" if before.status is RunStatus.RUNNING else before.status
        raise IllegalTransition(run_id=run_id, verb="be paused", status=status)
    said = f"paused by {by}" + (f": {reason}" if reason else "")
    journal.enter(tx, run_id, NewEntry(kind=EntryKind.PAUSED, detail=said), epoch=before.epoch)
    return get(tx, run_id)


def resume(tx: Transaction, run_id: str, by: str, output: str | None) -> Run:
    """Queue a run that is paused or needs attention, or take back a pause that has not come to pass."""
    locks.run_of(tx, run_id)
    before = get(tx, run_id)
    is_marked = before.status is RunStatus.RUNNING and before.pause is not None
    if not is_marked and before.status not in Transition.RESUME.sources:
        raise IllegalTransition(run_id=run_id, verb="be resumed", status=before.status)
    if output is not None:
        _answer_doubt(tx, before, output)
    tx.run(UNMARK if is_marked else RESUME, {"run_id": run_id, "now": tx.now})
    journal.enter(tx, run_id, NewEntry(kind=EntryKind.RESUMED, detail=f"resumed by {by}"), epoch=before.epoch)
    return get(tx, run_id)


def _answer_doubt(tx: Transaction, one: Run, output: str) -> None:
    """Record what became of the operation whose end is not known. Raises `IllegalTransition` where there is none."""
    stopped = tx.row(IN_DOUBT, {"run_id": one.id}) if one.status is RunStatus.NEEDS_ATTENTION else None
    said = {} if stopped is None else json.loads(rows.entry(stopped).detail or "{}")
    begun = _without_end(tx, one.id, said.get("key"))
    if begun is None:
        raise IllegalTransition(
            run_id=one.id,
            verb="be given an output",
            status=one.status,
            remedy="An output is for an operation that was started and whose end is not known; there is none here.",
        )
    told = NewEntry(EntryKind.SUCCEEDED, begun.key, begun.operation, begun.attempt, input=begun.input, output=output)
    told.detail = begun.detail if begun.kind is EntryKind.STARTED else f"{UNDOES}{said['undoes']}"
    journal.enter(tx, one.id, told, epoch=one.epoch)


def _without_end(tx: Transaction, run_id: str, key: str | None) -> Entry | None:
    """The latest entry of an operation that was started, or that could not undo another, and has no result."""
    if key is None:
        return None
    of_key = [rows.entry(row) for row in tx.rows(OF_KEY, {"run_id": run_id, "key": key})]
    if any(one.kind is EntryKind.SUCCEEDED for one in of_key):
        return None
    begun = [one for one in of_key if one.kind is EntryKind.STARTED or one.operation == "undo"]
    return begun[-1] if begun else None


# -- trying again


def retry(tx: Transaction, run_id: str, by: str, reason: str) -> Run:
    """Queue an ended run for one more attempt, and with it the children that its end had cancelled."""
    locks.run_of(tx, run_id)
    before = get(tx, run_id)
    _refuse_retry(tx, before)
    if tx.run(RETRY, {"run_id": run_id, "now": tx.now}) == 0:
        raise IllegalTransition(run_id=run_id, verb="be retried", status=before.status)
    said = f"retried by {by}" + (f": {reason}" if reason else "")
    journal.enter(tx, run_id, NewEntry(kind=EntryKind.RETRIED, detail=said), epoch=before.epoch)
    callbacks.revive(tx, run_id)
    for child in _closed_with(tx, run_id):
        with suppress(SingletonTaken):  # another run does its work by now; the parent hears that it was cancelled
            retry(tx, child, _parent(run_id), "")
    return get(tx, run_id)


def _refuse_retry(tx: Transaction, before: Run) -> None:
    """Raise `IllegalTransition` for what has been undone, `SingletonTaken` where another run holds the key."""
    if before.pruned_at is not None:
        remedy = f"Its journal was removed at {before.pruned_at}; start a new run."
        raise IllegalTransition(run_id=before.id, verb="be retried", status=before.status, remedy=remedy)
    if before.status in TERMINAL and before.ending is not None:
        remedy = f"Its steps have been undone; fork it instead: `agentflow fork {before.id}`."
        raise IllegalTransition(run_id=before.id, verb="be retried", status=before.status, remedy=remedy)
    if before.singleton_key is None or before.status not in Transition.RETRY.sources:
        return
    holder = tx.row(HOLDER, {"task": before.task, "singleton_key": before.singleton_key})
    if holder is not None:
        raise SingletonTaken(task=before.task, key=before.singleton_key, run_id=holder[0])


def _closed_with(tx: Transaction, run_id: str) -> Iterator[str]:
    """The children that were cancelled because this run ended."""
    for (child,) in tx.rows(CLOSED, {"run_id": run_id}):
        ended: Any = tx.row(LATEST, {"run_id": child})
        if ended is not None and rows.entry(ended).detail == f"cancelled by {_parent(run_id)}":
            yield child
