"""The journal: appended to, never changed. A turn's appends are fenced by its epoch."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, exists, func, insert, select

from agentflow.errors import LeaseLost
from agentflow.states import EntryKind
from agentflow.store import brevity, tables
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement, const
from agentflow.store.transaction import single_statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import BindParameter

    from agentflow.requests import Lease, NewEntry, NewLogLine
    from agentflow.store.transaction import Row, Transaction

run = table_of(tables.RunRow).c
journal = table_of(tables.EntryRow)
log = table_of(tables.LogRow)

FIELDS = (
    "run_id", "seq", "kind", "key", "operation", "epoch", "attempt", "at", "took", "input", "output", "error", "detail",
)  # fmt: skip


def _values() -> dict[str, Any]:
    """The new row's values; `seq` continues the run's own count, so a journal has no gaps."""
    last = select(func.coalesce(func.max(journal.c.seq), const(0))).where(journal.c.run_id == bindparam("run_id"))
    typed: dict[str, Any] = {name: bindparam(name, type_=journal.c[name].type) for name in FIELDS}
    return typed | {"seq": last.scalar_subquery() + const(1)}


_BY_THE_TURN = (
    run.id == bindparam("run_id"), run.epoch == bindparam("epoch"), run.status == const("running"),
)  # fmt: skip
HELD = exists(select(const(1)).where(*_BY_THE_TURN).with_for_update(read=True))
"""That the turn holds its run, and goes on holding it until the transaction has ended."""
_ROW = _values()
APPEND = Statement(
    # SQLite keeps what is selected for an insert in a table first; a row of values it inserts at once. That of a turn
    # that has lost its run has no run, which the column refuses: it is then left out.
    insert(journal)
    .values(_ROW | {"run_id": select(run.id).where(*_BY_THE_TURN).scalar_subquery()})
    .prefix_with("OR IGNORE", dialect="sqlite"),
    postgres=insert(journal).from_select(FIELDS, select(*_ROW.values()).where(HELD)),
)
ENTER = Statement(insert(journal).values(_ROW), postgres=insert(journal).from_select(FIELDS, select(*_ROW.values())))
OF_RUN = journal.columns.keys().index("run_id")
ENTRIES = Statement(select(journal).where(journal.c.run_id == bindparam("run_id")).order_by(journal.c.seq))
MOST_TOGETHER = 32


@cache
def _of_runs(count: int) -> Statement:
    ids: list[BindParameter[str]] = [bindparam(f"run{n}") for n in range(count)]
    found = select(journal).where(journal.c.run_id.in_(ids)).order_by(journal.c.run_id, journal.c.seq)
    return Statement(found)


KEEP_LOG = Statement(insert(log).values({c.name: bindparam(c.name) for c in log.columns if c.name != "id"}))


def params(tx: Transaction, run_id: str, epoch: int, new: NewEntry) -> dict[str, Any]:
    """The new row's values but for its `seq`."""
    return {
        "run_id": run_id,
        "epoch": epoch,
        "kind": new.kind.value,  # the plain text: a driver looks long for how to write a subclass
        "key": new.key,
        "operation": new.operation,
        "attempt": new.attempt,
        "at": tx.now,
        "took": new.took,
        "input": new.input,
        "output": new.output,
        "error": new.error,
        "detail": _detail(new),
    }


def _detail(new: NewEntry) -> str | None:
    if new.kind is not EntryKind.WAIT_OPENED or new.detail is None:
        return new.detail
    return brevity.short_asked(new.detail)


@single_statement
def append(tx: Transaction, lease: Lease, new: NewEntry) -> None:
    """Keep an entry of this turn: one insert, fenced. Raises `LeaseLost`, having kept nothing."""
    if tx.run(APPEND, params(tx, lease.run_id, lease.epoch, new)) == 0:
        raise LeaseLost(run_id=lease.run_id, epoch=lease.epoch)
    tx.touched.add(lease.run_id)


def enter(tx: Transaction, run_id: str, new: NewEntry, *, epoch: int = 0) -> None:
    """Keep an entry that no turn makes: the caller has locked the run."""
    tx.run(ENTER, params(tx, run_id, epoch, new))
    tx.touched.add(run_id)
    tx.moved.add(run_id)


def entries(tx: Transaction, run_id: str) -> Sequence[Row]:
    """The whole journal of a run, oldest first."""
    return tx.rows(ENTRIES, {"run_id": run_id})


def of_runs(tx: Transaction, run_ids: Sequence[str]) -> dict[str, list[Row]]:
    """The whole journals of these runs, each oldest first."""
    found: dict[str, list[Row]] = {run_id: [] for run_id in run_ids}
    for at in range(0, len(run_ids), MOST_TOGETHER):
        some = run_ids[at : at + MOST_TOGETHER]
        count = 1 << (len(some) - 1).bit_length()  # few statements, whatever the number: the last id fills them up
        params = {f"run{n}": some[min(n, len(some) - 1)] for n in range(count)}
        for row in tx.rows(_of_runs(count), params):
            found[row[OF_RUN]].append(row)
    return found


def keep_logs(tx: Transaction, lines: Sequence[NewLogLine]) -> None:
    """Keep log lines."""
    for line in lines:
        tx.run(
            KEEP_LOG,
            {
                "run_id": line.run_id,
                "epoch": line.epoch,
                "at": line.at,
                "level": line.level,
                "logger": line.logger,
                "message": line.message,
                "key": line.key,
            },
        )
        tx.touched.add(line.run_id)
