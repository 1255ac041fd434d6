"""Conversations that go on from run to run, in the order in which their parts were added.

Who adds to one holds it, after its run: the parts of a conversation are numbered without gaps, whoever adds them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, func, insert, select

from agentflow.store import locks, rows, tables
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.records import ThreadPart
    from agentflow.requests import Lease, NewThreadPart
    from agentflow.store.transaction import Transaction

part = table_of(tables.ThreadPartRow)

OF_OPERATION = Statement(select(part).where(part.c.run_id == bindparam("run_id"), part.c.key == bindparam("key")))
LAST = Statement(select(func.max(part.c.seq)).where(part.c.thread == bindparam("thread")))
ADD = Statement(insert(part).values({c.name: bindparam(c.name) for c in part.columns}))
PARTS = Statement(select(part).where(part.c.thread == bindparam("thread")).order_by(part.c.seq))
PARTS_UPTO = Statement(
    select(part).where(part.c.thread == bindparam("thread"), part.c.seq <= bindparam("upto")).order_by(part.c.seq)
)


def extend_thread(tx: Transaction, lease: Lease, new: NewThreadPart) -> ThreadPart:
    """The part, added last; the one that this run and key added before. The turn is known to hold its run."""
    known = tx.row(OF_OPERATION, {"run_id": lease.run_id, "key": new.key})
    if known is not None:
        return rows.thread_part(known)
    locks.names(tx, f"thread:{new.thread}")
    last = tx.row(LAST, {"thread": new.thread})
    values = {
        "thread": new.thread,
        "seq": 1 + (0 if last is None or last[0] is None else last[0]),
        "run_id": lease.run_id,
        "key": new.key,
        "at": tx.now,
        "messages": new.messages,
        "count": new.count,
    }
    tx.run(ADD, values)
    tx.touched.add(lease.run_id)
    return rows.thread_part(tuple(values[c.name] for c in part.columns))


def thread(tx: Transaction, name: str, upto: int | None) -> Sequence[ThreadPart]:
    """The parts in order, up to this one."""
    found = tx.rows(PARTS, {"thread": name}) if upto is None else tx.rows(PARTS_UPTO, {"thread": name, "upto": upto})
    return [rows.thread_part(row) for row in found]
