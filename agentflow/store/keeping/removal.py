"""Removing one run: everything that is only about it, and the blobs that nothing else names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, delete, exists, func, null, or_, select, union, update

from agentflow.store import tables
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement, const

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import ColumnElement, Table

    from agentflow.store.transaction import Transaction

run = table_of(tables.RunRow)
journal = table_of(tables.EntryRow)
approval = table_of(tables.ApprovalRow)
decision = table_of(tables.DecisionRow)
blob = table_of(tables.BlobRow)
OWNED: Final = tuple(
    table_of(one)
    for one in (
        tables.EntryRow, tables.LogRow, tables.CursorRow, tables.HeartbeatRow, tables.CallbackRow, tables.WaitRow,
        tables.RunBudgetRow, tables.GrantRow, tables.ChunkRow, tables.RunTagRow,
    )
)  # fmt: skip


def _payloads(table: Table) -> list[Any]:
    return [column for column in table.columns if column.info.get("is_payload")]


def _is_blob(column: Any) -> ColumnElement[bool]:
    """As the indexes of such rows have it."""
    return func.substr(column, const(1), const(5)) == const("blob:")


def _named_by(table: Table, *where: ColumnElement[bool]) -> list[Any]:
    # `substr` gives the name and not the text: what a statement gives of a payload column is the whole payload.
    return [
        select(func.substr(column, const(1)).label("name")).where(*where, _is_blob(column))
        for column in _payloads(table)
    ]


def _within(table: Table) -> list[ColumnElement[bool]]:
    """That a row of the table is the run's."""
    if table is decision:
        mine = select(approval.c.id).where(approval.c.run_id == bindparam("run_id"))
        return [decision.c.approval_id.in_(mine)]
    return [(table.c.id if table is run else table.c.run_id) == bindparam("run_id")]


def _names(*some: Table) -> Statement:
    return Statement(union(*(one for table in some for one in _named_by(table, *_within(table)))))


_GONE: Final = ("output", "error", "idempotency_key", "ending", "pause", "singleton_key", "tags", "metadata")
LAST_SEQ = Statement(select(func.max(journal.c.seq)).where(journal.c.run_id == bindparam("run_id")))
ANY_APPROVAL = Statement(
    select(approval.c.id).where(approval.c.run_id == bindparam("run_id")).limit(const(1)).offset(const(0))
)
PLAIN_NAMES = _names(run, *(table for table in OWNED if _payloads(table)))
APPROVAL_NAMES = _names(approval, decision)
REMOVE_OWNED = tuple(Statement(delete(table).where(*_within(table))) for table in OWNED)
REMOVE_DECISIONS = Statement(delete(decision).where(*_within(decision)))
REMOVE_APPROVALS = Statement(delete(approval).where(*_within(approval)))
REMOVE = Statement(delete(run).where(*_within(run)))
REDUCE = Statement(
    update(run)
    .where(*_within(run))
    .values(
        # Its idempotency key makes a new run from now on, as that of a removed run does.
        {"input": const("null"), "pruned_at": bindparam("now")} | {name: null() for name in _GONE}
    )
)
HOLD_BLOB = Statement(select(blob.c.digest).where(blob.c.digest == bindparam("digest")).with_for_update())
_EVERYWHERE = [
    exists(select(const(1)).where(column == bindparam("name"), _is_blob(column)))
    for table in tables.Base.metadata.sorted_tables
    for column in _payloads(table)
]
REMOVE_BLOB = Statement(delete(blob).where(blob.c.digest == bindparam("digest"), ~or_(*_EVERYWHERE)))


def entries_of(tx: Transaction, run_id: str) -> int:
    """How long the run's journal is."""
    row = tx.row(LAST_SEQ, {"run_id": run_id})
    return 0 if row is None or row[0] is None else int(row[0])


def has_approvals(tx: Transaction, run_id: str) -> bool:
    """Whether the run ever asked a person."""
    return tx.row(ANY_APPROVAL, {"run_id": run_id}) is not None


def remove(tx: Transaction, run_id: str, *, leave_approvals: bool) -> None:
    """Remove the run, or all of it but its approvals and the row they belong to. The caller holds it."""
    params = {"run_id": run_id}
    names = {row[0] for row in tx.rows(PLAIN_NAMES, params)}
    for statement in REMOVE_OWNED:
        tx.run(statement, params)
    if leave_approvals:
        tx.run(REDUCE, params | {"now": tx.now})
    else:
        names |= {row[0] for row in tx.rows(APPROVAL_NAMES, params)}
        for statement in (REMOVE_DECISIONS, REMOVE_APPROVALS, REMOVE):
            tx.run(statement, params)
    drop_blobs(tx, names)


def drop_blobs(tx: Transaction, names: Collection[str]) -> None:
    """Remove those of these blobs that no row names any more."""
    for name in sorted(names):
        digest = {"digest": name.split(":")[1]}
        if not tx.is_alone:
            # Whoever keeps the same text just now holds it, and is waited for; what it wrote is seen afterwards.
            tx.rows(HOLD_BLOB, digest)
        tx.run(REMOVE_BLOB, digest | {"name": name})
