"""The journal of all runs as subscribers hear it: what they may be told of, each entry once, none passed over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import and_, bindparam, or_, select

from agentflow.clock import to_micros
from agentflow.records import Unread
from agentflow.states import WITHDRAWN, EntryKind, WaitKind
from agentflow.store import reads, rows, tables
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement, columns, const, consts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from agentflow.records import Approval
    from agentflow.store.transaction import Transaction

run = table_of(tables.RunRow)
journal = table_of(tables.EntryRow)
approval = table_of(tables.ApprovalRow)

PATIENCE: Final = 120_000_000
"""How long an entry is waited for that a transaction under way may put in between: longer than one of ours lives."""
OF_RUNS: Final = (
    EntryKind.TRIGGERED, EntryKind.PARKED, EntryKind.DIVERGED, EntryKind.QUARANTINED, EntryKind.RUN_COMPLETED,
    EntryKind.RUN_FAILED, EntryKind.RUN_CANCELLED, EntryKind.RUN_EXPIRED,
)  # fmt: skip
OF_WAITS: Final = (EntryKind.WAIT_OPENED, EntryKind.WAIT_RESOLVED)
OF_SCOPES: Final = (EntryKind.SUCCEEDED, EntryKind.FAILED)
"""How a branch ends, and with it the requests it has made and nobody has decided."""

# Who withdraws an approval enters something in the same transaction, and so at the same moment. One value of one run,
# where `exists` would let a server read all approvals there are into a table of its own.
_WITHDRAWS = (
    select(const(1))
    .where(
        approval.c.run_id == journal.c.run_id,
        approval.c.decided_at == journal.c.at,
        approval.c.status.in_(consts(WITHDRAWN)),
    )
    .limit(const(1))
    .offset(const(0))
    .scalar_subquery()
    .is_not(None)
)
UNREAD = Statement(
    select(journal, run.c.task)
    .join(run, run.c.id == journal.c.run_id)
    .where(
        journal.c.id > bindparam("after"),
        journal.c.id <= bindparam("until"),
        or_(
            journal.c.kind.in_(consts(OF_RUNS)),
            and_(journal.c.kind.in_(consts(OF_WAITS)), journal.c.operation == const(WaitKind.APPROVAL.value)),
            and_(journal.c.kind.in_(consts(OF_SCOPES)), _WITHDRAWS),
        ),
    )
    .order_by(journal.c.id)
    .limit(bindparam("limit"))
    .offset(const(0)),
    brief=True,
)
APPROVALS_AT = Statement(
    select(approval).where(
        approval.c.run_id == bindparam("run_id"),
        or_(approval.c.created_at == bindparam("at"), approval.c.decided_at == bindparam("at")),
    )
)
_WIDTH: Final = len(columns(journal))


def unread(tx: Transaction, after: int, limit: int) -> Unread:
    """What happened since, up to the newest entry that none can come before any more."""
    head = tx.row(reads.HEAD, {"long_ago": tx.now - PATIENCE})
    until = 0 if head is None or head[0] is None else int(head[0])
    if until <= after:
        return Unread(entries=(), until=after)
    found = tx.rows(UNREAD, {"after": after, "until": until, "limit": limit})
    entries = [(rows.entry(row[:_WIDTH]), str(row[_WIDTH])) for row in found]
    return Unread(entries=entries, until=entries[-1][0].id if len(entries) == limit else until)


def approvals_at(tx: Transaction, run_id: str, at: datetime) -> Sequence[Approval]:
    """The run's approvals opened or resolved at this moment."""
    return [rows.approval(row) for row in tx.rows(APPROVALS_AT, {"run_id": run_id, "at": to_micros(at)})]
