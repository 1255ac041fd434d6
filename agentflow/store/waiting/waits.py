"""Waits: opened with what they wait for, answered by whoever comes first, withdrawn when nobody needs them.

Lock order, always: run first, approval second. Answering deletes the wait row; a turn that finds one of its waits gone
when it parks knows that it was answered meanwhile, so no wake-up is ever missed. A wait for an approval is the pending
approval itself, which is no longer pending once it is answered.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, exists, insert, null, select, union_all, update

from agentflow.clock import MICROSECOND, to_micros
from agentflow.errors import CallbackFailed
from agentflow.failures import Failure
from agentflow.requests import NewEntry
from agentflow.states import TERMINAL, ApprovalStatus, CallbackStatus, EntryKind, Transition, WaitKind
from agentflow.store import brevity, journal, tables
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement, besides, const, consts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.requests import NewApproval, OpenWait
    from agentflow.store.transaction import Row, Transaction

run = table_of(tables.RunRow)
wait = table_of(tables.WaitRow)
approval = table_of(tables.ApprovalRow)
callback = table_of(tables.CallbackRow)

_COPIED = (
    "id", "title", "summary", "body", "reason", "risk", "priority", "confidence", "field_confidence", "evidence",
    "tags", "data", "schema", "digest", "on_timeout", "default", "tool", "said",
)  # fmt: skip
HOUR = 3_600_000_000
UNHURRIED = 30 * 24 * HOUR

IS_PENDING = approval.c.status == const(ApprovalStatus.PENDING.value)
# An approval that is pending, as a wait.
_AS_WAIT = {
    "run_id": approval.c.run_id,
    "key": approval.c.key,
    "kind": const(WaitKind.APPROVAL.value),
    "subject": approval.c.id,
    "opened_at": approval.c.created_at,
    "due_at": null(),
}

OPEN = Statement(insert(wait).values({c.name: bindparam(c.name) for c in wait.columns}))
OF_RUN = Statement(
    union_all(
        select(wait).where(wait.c.run_id == bindparam("run_id")),
        select(*(_AS_WAIT[c.name].label(c.name) for c in wait.columns)).where(
            approval.c.run_id == bindparam("run_id"), besides(IS_PENDING)
        ),
    )
)
IS_OPEN = Statement(select(const(1)).where(wait.c.run_id == bindparam("run_id"), wait.c.key == bindparam("key")))
CLOSE = Statement(delete(wait).where(wait.c.run_id == bindparam("run_id"), wait.c.key == bindparam("key")))
CLOSE_ALL = Statement(delete(wait).where(wait.c.run_id == bindparam("run_id")))
SOUGHT = wait.c.kind != const(WaitKind.APPROVAL.value)
"""What the index of subjects holds: the wait for an approval is found by the run and key that the approval names."""
FOR_CHILD = Statement(
    select(wait.c.run_id, wait.c.key).where(
        wait.c.subject == bindparam("child"), wait.c.kind == const(WaitKind.CHILD.value), SOUGHT
    )
)
FOR_SUBJECT = Statement(
    select(wait.c.run_id, wait.c.key, wait.c.due_at)
    .where(wait.c.subject == bindparam("subject"), wait.c.kind == bindparam("kind"), SOUGHT)
    .order_by(wait.c.opened_at, wait.c.key)
)
PUT_OFF = Statement(
    update(wait)
    .where(wait.c.subject == bindparam("of"), wait.c.kind == bindparam("of_kind"), SOUGHT)
    .values(due_at=bindparam("due_at"))
)
WITHDRAW_CALLBACKS = Statement(
    update(callback)
    .where(callback.c.run_id == bindparam("of_run"), callback.c.status == const(CallbackStatus.PENDING.value))
    .values(status=const(CallbackStatus.CANCELLED.value), resolved_at=bindparam("now"))
    .returning(callback.c.id)
)
LEFT = Statement(
    select(
        exists(select(const(1)).where(wait.c.run_id == bindparam("run_id")))
        | exists(select(const(1)).where(approval.c.run_id == bindparam("run_id"), besides(IS_PENDING)))
        | exists(
            select(const(1)).where(
                wait.c.subject == bindparam("run_id"), wait.c.kind == const(WaitKind.CHILD.value), SOUGHT
            )
        ),
        exists(
            select(const(1)).where(
                callback.c.run_id == bindparam("run_id"), callback.c.status == const(CallbackStatus.PENDING.value)
            )
        ),
    )
)
ENDED_CHILD = Statement(
    select(run.c.status, run.c.output, run.c.error).where(
        run.c.id == bindparam("id"), run.c.status.in_(consts(TERMINAL))
    )
)
WAKE = Statement(
    update(run)
    .where(run.c.id == bindparam("run_id"), besides(run.c.status.in_(consts(Transition.WAKE.sources))))
    .values(status=const(Transition.WAKE.target.value), available_at=bindparam("now"))
)
OPEN_APPROVAL = Statement(insert(approval).values({c.name: bindparam(c.name) for c in approval.columns}))
_WITHDRAWN = {
    "status": const(ApprovalStatus.CANCELLED.value),
    "decided_at": bindparam("now"),
    "version": approval.c.version + const(1),
}
WITHDRAW = Statement(update(approval).where(approval.c.id == bindparam("approval_id"), IS_PENDING).values(_WITHDRAWN))
WITHDRAW_ALL = Statement(
    update(approval).where(approval.c.run_id == bindparam("of_run"), besides(IS_PENDING)).values(_WITHDRAWN)
)
SUPERSEDE = Statement(
    update(approval)
    .where(approval.c.id == bindparam("approval_id"))
    .values(
        status=const(ApprovalStatus.SUPERSEDED.value),
        decided_at=bindparam("now"),
        version=approval.c.version + const(1),
    )
)


def open_wait(tx: Transaction, run_id: str, task: str, epoch: int, new: OpenWait) -> None:
    """Open a wait and the approval it is for, with the journal entry that says so."""
    if new.replaces is not None:
        tx.run(SUPERSEDE, {"approval_id": new.replaces, "now": tx.now})
    if new.approval is not None:
        _open_approval(tx, run_id, task, new.key, new.approval)
    else:
        _open(tx, run_id, new)
    opened = NewEntry(kind=EntryKind.WAIT_OPENED, key=new.key, operation=new.kind.value, detail=new.detail)
    journal.enter(tx, run_id, opened, epoch=epoch)


def _open(tx: Transaction, run_id: str, new: OpenWait) -> None:
    tx.run(
        OPEN,
        {
            "run_id": run_id,
            "key": new.key,
            "kind": new.kind.value,
            "subject": new.subject,
            "opened_at": tx.now,
            "due_at": None if new.due_at is None else to_micros(new.due_at),
        },
    )


def _open_approval(tx: Transaction, run_id: str, task: str, key: str, new: NewApproval) -> None:
    deadline = None if new.timeout is None else tx.now + new.timeout // MICROSECOND
    values: dict[str, Any] = dict.fromkeys(
        ("decided_at", "decided_by", "channel", "final", "final_digest", "patch", "decision_id", "standing_id")
    )
    values |= {name: getattr(new, name) for name in _COPIED}
    values |= {
        "run_id": run_id,
        "task": task,
        "key": key,
        "status": ApprovalStatus.PENDING.value,
        "allow": brevity.short_allow(",".join(new.allow)),
        "digest": brevity.short_digest(new.digest),
        "field_confidence": brevity.short_object(new.field_confidence),
        "evidence": brevity.short_object(new.evidence),
        "tags": brevity.short_object(new.tags),
        "version": 1,
        "created_at": tx.now,
        "deadline_at": deadline,
        "comment": "",
        "urgency": (tx.now + UNHURRIED if deadline is None else deadline) - new.priority * HOUR,
    }
    tx.run(OPEN_APPROVAL, values)


def answer(tx: Transaction, run_id: str, key: str, entry: NewEntry) -> None:
    """Close a wait, record what it got and make the run claimable if it is parked. The caller has locked the run."""
    tx.run(CLOSE, {"run_id": run_id, "key": key})
    tell(tx, run_id, entry)


def tell(tx: Transaction, run_id: str, entry: NewEntry) -> None:
    """Record what a wait that is closed got, and make the run claimable if it is parked."""
    journal.enter(tx, run_id, entry)
    tx.run(WAKE, {"run_id": run_id, "now": tx.now})


def child_ended(key: str, status: str, output: str | None, error: str | None) -> NewEntry:
    """The entry by which a parent learns how its child ended."""
    return NewEntry(
        kind=EntryKind.WAIT_RESOLVED, key=key, operation=WaitKind.CHILD, output=output, error=error, detail=status
    )


def tell_parents(tx: Transaction, child_id: str, status: str, output: str | None, error: str | None) -> None:
    """Answer every wait for this child run."""
    for run_id, key in tx.rows(FOR_CHILD, {"child": child_id}):
        answer(tx, run_id, key, child_ended(key, status, output, error))


def is_open(tx: Transaction, run_id: str, key: str) -> bool:
    """Whether the run still waits for it."""
    return tx.row(IS_OPEN, {"run_id": run_id, "key": key}) is not None


def end(tx: Transaction, run_id: str, status: str, output: str | None, error: str | None) -> None:
    """Withdraw what a run that has ended leaves behind and answer who waits for it; most leave nothing to nobody."""
    left = tx.row(LEFT, {"run_id": run_id})
    if left == (0, 0):
        return
    withdraw(tx, run_id)
    tell_parents(tx, run_id, status, output, error)


def for_subject(tx: Transaction, kind: WaitKind, subject: str) -> Sequence[Row]:
    """Who waits for it, longest first: run, key, and until when."""
    return tx.rows(FOR_SUBJECT, {"kind": kind, "subject": subject})


def put_off(tx: Transaction, kind: WaitKind, subject: str, due_at: int | None) -> None:
    """Say anew until when a subject is waited for."""
    tx.run(PUT_OFF, {"of_kind": kind, "of": subject, "due_at": due_at})


def callback_answer(
    key: str, callback_id: str, status: str, output: str | None = None, error: str | None = None
) -> NewEntry:
    """The entry by which a run learns what became of a callback."""
    return NewEntry(
        kind=EntryKind.WAIT_RESOLVED,
        key=key,
        operation=WaitKind.CALLBACK,
        output=output,
        error=None if error is None else Failure.of(CallbackFailed(error)).to_json(),
        detail=json.dumps({"outcome": status, "callback": callback_id}),
    )


def tell_of_callback(
    tx: Transaction, callback_id: str, status: str, output: str | None = None, error: str | None = None
) -> None:
    """Answer every wait for this callback."""
    for run_id, key, _ in for_subject(tx, WaitKind.CALLBACK, callback_id):
        answer(tx, run_id, key, callback_answer(key, callback_id, status, output, error))


def withdraw(tx: Transaction, run_id: str, *, scope: str | None = None) -> None:
    """Close the run's waits (those under `scope`, or all) and withdraw the approvals they were for.

    When all are closed the run has ended, and its callbacks are withdrawn too: what a scope leaves behind of them can
    still be answered, because the code may have passed them on.
    """
    if scope is None:
        tx.run(CLOSE_ALL, {"run_id": run_id})
        tx.run(WITHDRAW_ALL, {"of_run": run_id, "now": tx.now})
        for (callback_id,) in tx.rows(WITHDRAW_CALLBACKS, {"of_run": run_id, "now": tx.now}):
            tell_of_callback(tx, callback_id, CallbackStatus.CANCELLED)  # a fork of this run may wait for it
    else:
        for _, key, kind, subject, *_ in tx.rows(OF_RUN, {"run_id": run_id}):
            if within(str(key), scope):
                _close(tx, run_id, key, kind, subject)


def _close(tx: Transaction, run_id: str, key: str, kind: str, subject: str | None) -> None:
    if kind == WaitKind.APPROVAL:
        tx.run(WITHDRAW, {"approval_id": subject, "now": tx.now})
    else:
        tx.run(CLOSE, {"run_id": run_id, "key": key})


def within(key: str, scope: str) -> bool:
    """Whether an operation is `scope` itself or belongs to it; `fetch#10` does not belong to `fetch#1`."""
    return key == scope or key.startswith((scope + "/", scope + "["))
