"""Listeners: declared by every worker that has their code, and gone when none has had it for a while.

Releases run side by side during a restart, and either may restart at any moment. So a worker that does not have a
listener never removes it: each says once a minute what it has, and what nobody has said for ten minutes goes, with a
word to each event that still waited for it. Where two releases have one listener otherwise, it is as the one that was
started last has it, and as the other has it only when that one has been silent for as long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, delete, exists, insert, select, update

from agentflow.errors import ListenerNotFound
from agentflow.states import MatchStatus
from agentflow.store import locks, rows, tables
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement, const

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from agentflow.errors import AgentflowError
    from agentflow.records import Listener
    from agentflow.requests import DeclareListener
    from agentflow.store.transaction import Row, Transaction

listener = table_of(tables.ListenerRow)
match = table_of(tables.MatchRow)

MINUTE: Final = 60_000_000
AGAIN_AFTER: Final = MINUTE
"""How long a declaration stands until it is to be repeated."""
KEPT_FOR: Final = 10 * MINUTE
"""How long a listener that nobody declares any more goes on to hear."""
GONE: Final = (
    "no release that runs has this listener any more; a release that has it again can be given the event again"
)

LISTENERS = Statement(select(listener).order_by(listener.c.id))
ADD = Statement(insert(listener).values({c.name: bindparam(c.name) for c in listener.columns}))
CHANGE = Statement(
    update(listener)
    .where(listener.c.id == bindparam("listener_id"))
    .values({name: bindparam(name) for name in ("task", "pattern", "created_at", "declared_at")})
)
RENEW = Statement(
    update(listener).where(listener.c.id == bindparam("listener_id")).values(declared_at=bindparam("now"))
)
REMOVE = Statement(delete(listener).where(listener.c.id == bindparam("listener_id")))
# Also of those removed before: an event that was being sent just then may have been matched all the same.
FAIL_LEFT = Statement(
    update(match)
    .where(
        match.c.status == const(MatchStatus.PENDING.value),
        ~exists(select(const(1)).where(listener.c.id == match.c.listener_id)),
    )
    .values(status=const(MatchStatus.FAILED.value), reason=bindparam("reason"), settled_at=bindparam("now"))
)


def listed(tx: Transaction) -> Sequence[Listener]:
    """Every listener, by id."""
    return [rows.listener(row) for row in tx.rows(LISTENERS, {})]


def is_due(tx: Transaction, declared: Sequence[DeclareListener], tasks: Collection[str], begins: bool) -> bool:
    """Whether declaring these would change anything by now."""
    stored = _stored(tx)
    return any(_change(tx.now, one, stored.get(one.id), tasks, begins) for one in declared) or any(
        _gone(tx.now, stored, declared, tasks)
    )


def declare_listeners(
    tx: Transaction, declared: Sequence[DeclareListener], tasks: Collection[str], begins: bool
) -> Sequence[Listener]:
    """Add, change and renew what is declared; remove what has been declared by nobody for long, of these tasks."""
    locks.names(tx, "listeners")
    stored = _stored(tx)
    for one in declared:
        how = _change(tx.now, one, stored.get(one.id), tasks, begins)
        if how is not None:
            created_at = tx.now
            values = {"task": one.task, "pattern": one.pattern, "created_at": created_at, "declared_at": tx.now}
            tx.run(how, values | {"id": one.id, "listener_id": one.id, "now": tx.now})
    for listener_id in _gone(tx.now, stored, declared, tasks):
        tx.run(REMOVE, {"listener_id": listener_id})
    tx.run(FAIL_LEFT, {"reason": GONE, "now": tx.now})
    return listed(tx)


def remove_listener(tx: Transaction, listener_id: str, by: str) -> Listener | AgentflowError:
    """Remove a listener that no release has any more; one that a worker still has comes back within a minute."""
    locks.names(tx, "listeners")
    row = _stored(tx).get(listener_id)
    if row is None:
        return ListenerNotFound(f"there is no listener {listener_id!r}; nothing was removed")
    tx.run(REMOVE, {"listener_id": listener_id})
    tx.run(FAIL_LEFT, {"reason": f"its listener was removed by {by}", "now": tx.now})
    return rows.listener(row)


def _stored(tx: Transaction) -> Mapping[str, Row]:
    return {row[0]: row for row in tx.rows(LISTENERS, {})}


def _change(
    now: int, one: DeclareListener, known: Row | None, tasks: Collection[str], begins: bool
) -> Statement | None:
    """What there is to do to have it as it is declared; None if nothing is, or another release has it otherwise."""
    if known is None:
        return ADD
    _, task, pattern, _, declared_at = known
    age = now - declared_at
    if (task, pattern) == (one.task, one.pattern):
        return RENEW if age >= AGAIN_AFTER else None
    return CHANGE if age >= KEPT_FOR or (begins and task in tasks) else None


def _gone(
    now: int, stored: Mapping[str, Row], declared: Sequence[DeclareListener], tasks: Collection[str]
) -> list[str]:
    """Listeners of these tasks that nobody has declared for long."""
    ours = {one.id for one in declared}
    return [
        listener_id
        for listener_id, (_, task, _, _, declared_at) in stored.items()
        if listener_id not in ours and task in tasks and now - declared_at >= KEPT_FOR
    ]
