"""What steps say of their progress, and the circuit breakers that all workers share.

A closed breaker without failures has no row, or one that says nothing: the calls of a healthy system read, and write
nothing. Writes decide for themselves what they find, whatever was read before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, insert, null, or_, select, update

from agentflow.clock import MICROSECOND, from_micros
from agentflow.errors import LeaseLost
from agentflow.store import locks, tables
from agentflow.store.journal import HELD
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement, const

if TYPE_CHECKING:
    from datetime import datetime

    from agentflow.requests import BreakerRule, Lease
    from agentflow.store.transaction import Transaction

heartbeat = table_of(tables.HeartbeatRow)
breaker = table_of(tables.BreakerRow)

BEAT_AGAIN = Statement(
    update(heartbeat)
    .where(heartbeat.c.run_id == bindparam("run_id"), heartbeat.c.key == bindparam("key"), HELD)
    .values(details=bindparam("details"), at=bindparam("at"))
)
FIRST_BEAT = Statement(
    insert(heartbeat).from_select(
        heartbeat.columns.keys(),
        select(*(bindparam(c.name, type_=c.type) for c in heartbeat.columns)).where(HELD),
    )
)
LAST_BEAT = Statement(
    select(heartbeat.c.details).where(heartbeat.c.run_id == bindparam("run_id"), heartbeat.c.key == bindparam("key"))
)
STATE = Statement(
    select(breaker.c.failures, breaker.c.counted_from, breaker.c.open_until, breaker.c.probe_until).where(
        breaker.c.key == bindparam("key")
    )
)
PROBE = Statement(
    update(breaker)
    .where(
        breaker.c.key == bindparam("key"),
        breaker.c.open_until <= bindparam("now"),
        or_(breaker.c.probe_until.is_(None), breaker.c.probe_until <= bindparam("now")),
    )
    .values(probe_until=bindparam("probe_until"))
)
CLOSE = Statement(
    update(breaker)
    .where(breaker.c.key == bindparam("key"))
    .values(failures=const(0), open_until=null(), probe_until=null())
)
COUNT = Statement(
    update(breaker)
    .where(breaker.c.key == bindparam("key"))
    .values(
        failures=bindparam("failures"),
        counted_from=bindparam("counted_from"),
        open_until=bindparam("open_until"),
        probe_until=null(),
    )
)
FIRST_FAILURE = Statement(
    insert(breaker).values({c.name: bindparam(c.name) for c in breaker.columns if c.name != "probe_until"})
)


def beat(tx: Transaction, lease: Lease, key: str, details: str) -> None:
    """Keep what the step says, in place of what it said before. Raises `LeaseLost`, having kept nothing."""
    params = {"run_id": lease.run_id, "epoch": lease.epoch, "key": key, "details": details, "at": tx.now}
    if tx.run(BEAT_AGAIN, params) == 0 and tx.run(FIRST_BEAT, params) == 0:
        raise LeaseLost(run_id=lease.run_id, epoch=lease.epoch)


def last_beat(tx: Transaction, run_id: str, key: str) -> str | None:
    """What the step last said of its progress."""
    row = tx.row(LAST_BEAT, {"run_id": run_id, "key": key})
    return None if row is None else str(row[0])


def is_clean(tx: Transaction, key: str) -> bool:
    """Whether the breaker is closed and counts no failure: a call may be made, and a success changes nothing."""
    state = tx.row(STATE, {"key": key})
    return state is None or (state[0] == 0 and state[2] is None)


def admit(tx: Transaction, rule: BreakerRule) -> datetime | None:
    """None if a call may be made, else until when not. Once an open breaker's time is over a single caller may try."""
    locks.names(tx, f"breaker:{rule.key}")
    state = tx.row(STATE, {"key": rule.key})
    if state is None or state[2] is None:
        return None
    _, _, open_until, probe_until = state
    if open_until > tx.now:
        return from_micros(open_until)
    until = tx.now + rule.open_for // MICROSECOND
    if tx.run(PROBE, {"key": rule.key, "now": tx.now, "probe_until": until}):
        return None
    return from_micros(probe_until)


def report(tx: Transaction, rule: BreakerRule, ok: bool) -> None:
    """Count a failure, and open the breaker if it is one too many; a success closes it."""
    locks.names(tx, f"breaker:{rule.key}")
    if ok:
        tx.run(CLOSE, {"key": rule.key})
        return
    state = tx.row(STATE, {"key": rule.key})
    if state is not None and state[2] is not None and state[2] > tx.now:
        return  # of a call that began before the breaker opened: it opens no longer for it
    values = {"key": rule.key} | _counted(tx.now, rule, state)
    tx.run(FIRST_FAILURE if state is None else COUNT, values)


def _counted(
    now: int, rule: BreakerRule, state: tuple[int, int, int | None, int | None] | None
) -> dict[str, int | None]:
    """The breaker's columns after one more failure."""
    failures, counted_from, open_until = (0, now, None) if state is None else state[:3]
    if failures == 0 or now - counted_from > rule.within // MICROSECOND:
        failures, counted_from = 0, now
    failures += 1
    opens = failures >= rule.failures or open_until is not None  # the call that was let through to try has failed
    return {
        "failures": failures,
        "counted_from": counted_from,
        "open_until": now + rule.open_for // MICROSECOND if opens else None,
    }
