"""Settling matches: each by one only, with the run it starts.

What makes an event start one run of a listener is the row of the two: it is pending, and then it is not. Whoever makes
it so makes the run in the same transaction.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, null, select, update

from agentflow.clock import from_micros
from agentflow.errors import ListenerNotFound, MatchNotFound, MatchSettled, SingletonTaken
from agentflow.ids import RUN, new_id
from agentflow.states import MatchStatus
from agentflow.store import rows, triggering
from agentflow.store.listening import matches
from agentflow.store.listening.matches import PENDING, THIS, listener, match_
from agentflow.store.statements import Statement, const, consts

if TYPE_CHECKING:
    from agentflow.errors import AgentflowError
    from agentflow.records import Match
    from agentflow.requests import SettleMatch, TriggerRun
    from agentflow.store.transaction import Transaction

IS_THERE = Statement(select(const(1)).where(listener.c.id == bindparam("listener_id")))
SETTLE = Statement(
    update(match_)
    .where(*THIS, PENDING)
    .values({name: bindparam(name) for name in ("status", "reason", "run_id", "settled_at")})
    .returning(*match_.columns)
)
STARTED = Statement(update(match_).where(*THIS).values(run_id=bindparam("run_id")))
INSTEAD = Statement(
    update(match_).where(*THIS).values(status=bindparam("status"), reason=bindparam("reason"), run_id=null())
)
AGAIN = Statement(
    update(match_)
    .where(*THIS, match_.c.status.in_(consts((MatchStatus.FAILED.value, MatchStatus.IGNORED.value))))
    .values(status=const(MatchStatus.PENDING.value), reason=bindparam("reason"), settled_at=null())
)


def settle_match(tx: Transaction, request: SettleMatch) -> Match | None:
    """The match, settled, with the run it started; None if another was quicker."""
    key = matches.this(request.event_id, request.listener_id)
    run = request.run
    if run is not None and run.id is None:
        run = replace(run, id=new_id(RUN, from_micros(tx.now)))
    values = {"status": request.status.value, "reason": request.reason, "settled_at": tx.now}
    found = tx.row(SETTLE, key | values | {"run_id": None if run is None else run.id})
    if found is None:
        return None
    settled = rows.match(found)
    return settled if run is None else _start(tx, key, settled, run)


def _start(tx: Transaction, key: dict[str, str], settled: Match, request: TriggerRun) -> Match:
    try:
        made = triggering.trigger(tx, request)
    except SingletonTaken as taken:  # no run was made, and what is skipped is done with
        tx.run(INSTEAD, key | {"status": MatchStatus.IGNORED.value, "reason": str(taken)})
        return replace(settled, status=MatchStatus.IGNORED, reason=str(taken), run_id=None)
    if made.id != settled.run_id:  # it joined an open run
        tx.run(STARTED, key | {"run_id": made.id})
    return replace(settled, run_id=made.id)


def retry_match(tx: Transaction, event_id: str, listener_id: str, by: str) -> Match | AgentflowError:
    """Have a match that started nothing be looked at anew."""
    key = matches.this(event_id, listener_id)
    known = matches.one(tx, key)
    if known is None:
        return MatchNotFound(f"event {event_id!r} never was one for listener {listener_id!r}; nothing was changed")
    if known.status is MatchStatus.STARTED:
        return MatchSettled(event_id=event_id, listener_id=listener_id, run_id=known.run_id)
    if tx.row(IS_THERE, {"listener_id": listener_id}) is None:
        return ListenerNotFound(
            f"no release has listener {listener_id!r}, so nobody could look at the event; nothing was changed. "
            "Start a worker that has it first"
        )
    if tx.run(AGAIN, key | {"reason": f"tried again by {by}"}):
        matches.announce(tx)
    return matches.one(tx, key) or known
