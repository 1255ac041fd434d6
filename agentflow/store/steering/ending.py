"""Ending a run before its code does: at once, or after a worker has undone its steps.

What a run has to undo its journal says, without its code: the entry of an operation that can be undone carries the mark
`UNDOABLE`. Such a run is queued with `Run.ending` set, which says how it ends once that is done; the turns that undo it
are the only ones it still gets.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, null, select, update

from agentflow.requests import NewEntry
from agentflow.requests.forks import UNDOABLE
from agentflow.states import OPEN, EntryKind, ParentClose, RunStatus, Transition
from agentflow.store import journal, tables
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement, const, consts
from agentflow.store.waiting import waits

if TYPE_CHECKING:
    from agentflow.records import Run
    from agentflow.store.transaction import Transaction

run = table_of(tables.RunRow)
entry = table_of(tables.EntryRow)
TO_UNDO = Statement(
    select(const(1))
    .where(
        entry.c.run_id == bindparam("run_id"),
        entry.c.kind == const(EntryKind.SUCCEEDED.value),
        entry.c.detail.like(const(f"{UNDOABLE}%")),
    )
    .limit(const(1))
    .offset(const(0))
)
UNDO = Statement(
    update(run)
    .where(run.c.id == bindparam("run_id"), run.c.status.in_(consts(Transition.UNDO.sources)), run.c.ending.is_(None))
    .values(
        status=const(Transition.UNDO.target.value),
        worker_id=null(),
        error=null(),
        pause=null(),
        recoveries=const(0),
        ending=bindparam("ending"),
        singleton_key=null(),  # the next one may begin: this one does nothing new
        available_at=bindparam("now"),
    )
)
TO_CLOSE = Statement(
    select(run.c.id).where(
        run.c.parent_id == bindparam("run_id"),
        run.c.on_parent_close == const(ParentClose.CANCEL.value),
        run.c.status.in_(consts(OPEN)),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a run is to end: cancelled by somebody, or failed with an error; `said` is what its journal says of it."""

    status: RunStatus
    said: str
    error: str | None = None

    def to_json(self) -> str:
        """What `Run.ending` holds."""
        return json.dumps({"as": self.status, "said": self.said, "error": self.error}, ensure_ascii=False)

    @classmethod
    def of(cls, one: Run) -> Ending:
        """How this run, whose `ending` is set, is to end."""
        told: dict[str, Any] = json.loads(one.ending or "{}")
        return cls(status=RunStatus(told["as"]), said=told["said"], error=told["error"])


def undo_first(tx: Transaction, run_id: str, epoch: int, ending: Ending) -> bool:
    """Queue the run to undo its steps, where it has any. False, with nothing written, where it has none."""
    if tx.row(TO_UNDO, {"run_id": run_id}) is None:
        return False
    if tx.run(UNDO, {"run_id": run_id, "ending": ending.to_json(), "now": tx.now}) == 0:
        return False
    told = NewEntry(kind=EntryKind.UNDOING, error=ending.error, detail=ending.said)
    journal.enter(tx, run_id, told, epoch=epoch)
    waits.withdraw(tx, run_id)
    return True


def children_to_close(tx: Transaction, run_id: str) -> list[str]:
    """The open child runs that end with this run."""
    return [child for (child,) in tx.rows(TO_CLOSE, {"run_id": run_id})]
