"""Claiming: due runs for a worker, never the same one for two.

A claim looks up what may start, queue by queue, and takes it by id: the ids first, since SQLite opens every index of
the table for an update that turns out to change nothing. Which runs of a queue with limits may start, `governing.py`
says.
"""

from __future__ import annotations

import heapq
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, exists, func, select, true, update

from agentflow.errors import StoreUnusable
from agentflow.failures import Failure
from agentflow.payloads import is_stand_in
from agentflow.requests import Lease, NeedsAttention
from agentflow.states import EntryKind, RunStatus, Transition
from agentflow.store import journal, locks, outcomes, rows, runs, tables
from agentflow.store.promises.runs import Claimed
from agentflow.store.queueing import governing, lines, queues
from agentflow.store.queueing.governing import Claiming
from agentflow.store.queueing.lines import DEFAULT, Asked, Line, Lineup
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement, besides, const, consts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.sql.dml import ReturningUpdate

    from agentflow.records import Run
    from agentflow.requests import ClaimRuns
    from agentflow.store.queueing.lines import Candidate
    from agentflow.store.queueing.queues import Stored
    from agentflow.store.transaction import Row, Transaction

run = table_of(tables.RunRow)
worker = table_of(tables.WorkerRow)
# One that has been given up for dead, and does not know it yet, gets none.
_ALIVE = exists(select(const(1)).where(worker.c.id == bindparam("worker_id")))


# Whether no run stands in a named queue, and the default one is served: what a claim pays for there being queues.
_DEFAULT_IS_PAUSED = exists(
    select(const(1)).where(queues.queue.c.name == const(DEFAULT), queues.queue.c.paused_at.is_not(None))
)
PLAIN = Statement(select(*lines.first_names(), _DEFAULT_IS_PAUSED))


def _take_those(condition: ColumnElement[bool]) -> ReturningUpdate[Any]:
    return (
        update(run)
        .where(condition, besides(run.c.status.in_(consts(Transition.CLAIM.sources | {RunStatus.WAITING}))), _ALIVE)
        .values(
            status=const(Transition.CLAIM.target.value),
            worker_id=bindparam("worker_id"),
            epoch=run.c.epoch + const(1),
            started_at=func.coalesce(run.c.started_at, bindparam("now")),
        )
        .returning(*run.columns)
    )


@cache
def taking(count: int) -> Statement:
    """The claim of this many runs by their ids."""
    return Statement(_take_those(run.c.id.in_([bindparam(f"id{n}") for n in range(count)])), brief=True)


@cache
def taking_due(tasks: int, versions: int) -> Statement:
    """Look and take in one, where each statement is a journey: due runs of the default queue if there is no other.

    Its last column is whether that was so. The ids go through an array: however many are expected, each run is found
    by its id.
    """
    new, again = (one.is_(None) for one in lines.first_names())
    plain = select(and_(new, again, ~_DEFAULT_IS_PAUSED).label("is_plain")).cte("plain")
    line = lines.due(Line.DEFAULT, tasks, versions).limit(bindparam("limit")).offset(const(0)).subquery("line")
    ids = select(line.c.id).where(select(plain.c.is_plain).scalar_subquery()).scalar_subquery()
    taken = _take_those(run.c.id == func.any(func.array(ids))).cte("taken")
    return Statement(select(*taken.c, plain.c.is_plain).select_from(plain.outerjoin(taken, true())), brief=True)


def claim(tx: Transaction, request: ClaimRuns) -> Sequence[Claimed]:
    """Take due runs for this worker. A parked run whose timer has come is woken and taken in one move."""
    if request.limit < 1 or not (request.tasks or request.versions):
        return []
    at_once = None if tx.is_alone or request.queues else _take_at_once(tx, request)
    taken = _take_by_queue(tx, request) if at_once is None else at_once
    claimed = sorted((rows.run(row) for row in taken), key=lambda one: (one.available_at, one.id))
    known_of = _journals(tx, [one.id for one in claimed if one.epoch > 1])
    loaded = [_loaded(tx, one, Lease(one.id, one.epoch, request.worker_id), known_of) for one in claimed]
    return [one for one in loaded if one is not None]


def _take_at_once(tx: Transaction, request: ClaimRuns) -> Sequence[Row] | None:
    """Take what is due by one statement; None, having taken nothing, where there are queues to look at."""
    asked = Asked.of(request, tx.now)
    wanted = asked.params | {"worker_id": request.worker_id, "limit": request.limit, "after": ""}
    found = tx.rows(taking_due(asked.tasks, asked.versions), wanted)
    *_, is_plain = found[0]
    return [row[:-1] for row in found if row[0] is not None] if is_plain else None


def _take_by_queue(tx: Transaction, request: ClaimRuns) -> Sequence[Row]:
    is_plain = tx.row(PLAIN, {"after": ""}) == (None, None, 0)
    known = {} if is_plain else queues.stored(tx)
    served = [DEFAULT] if is_plain else [DEFAULT, *lines.named(tx)]
    if request.queues:
        served = [name for name in served if name in request.queues]
    if (counted := governing.counted(known, served)) and not tx.is_alone:
        locks.names(tx, *counted)
        known = queues.stored(tx)  # whose turn it is, and what the limits are by now
    return _take(Claiming(tx, Asked.of(request, tx.now), request.worker_id, request.limit), served, known)


def _take(claiming: Claiming, served: Sequence[str], known: Mapping[str, Stored]) -> Sequence[Row]:
    """Take the runs that may start, the one first whose queue's next has waited longest."""
    standing = [_standing(claiming, name, known.get(name)) for name in served]
    picked = list(islice(heapq.merge(*standing, key=lambda pair: pair[1].available_at), claiming.room))
    if not picked:
        return []
    params: dict[str, Any] = {f"id{n}": one.id for n, (_, one) in enumerate(picked)}
    params |= {"now": claiming.tx.now, "worker_id": claiming.worker_id}
    taken = claiming.tx.rows(taking(len(picked)), params)
    if taken and known:
        by_queue: dict[str, list[Candidate]] = {}
        for name, one in picked:
            by_queue.setdefault(name, []).append(one)
        governing.settle(claiming, known, by_queue)
    return taken


def _standing(claiming: Claiming, name: str, queue: Stored | None) -> Iterator[tuple[str, Candidate]]:
    if queue is not None and queue.is_governed:
        yield from ((name, one) for one in governing.pick(claiming, queue))
        return
    lineup = Lineup(claiming.tx, claiming.asked, name, page=claiming.room)
    while (one := lineup.pop()) is not None:
        yield name, one


def _journals(tx: Transaction, run_ids: Sequence[str]) -> Mapping[str, Sequence[Row]]:
    """The journals of these runs; of none of them if one is damaged, since then each is read by itself."""
    try:
        return journal.of_runs(tx, run_ids)
    except StoreUnusable:
        return {}


def _loaded(tx: Transaction, one: Run, lease: Lease, known_of: Mapping[str, Sequence[Row]]) -> Claimed | None:
    """What its turn begins with; None for a run with a damaged payload, which keeps no other run from being claimed."""
    tx.touched.add(one.id)
    try:
        if is_stand_in(one.input):
            one = runs.get(tx, one.id)
        # A first turn finds nothing to replay; only waking and retrying runs pay for the read.
        found = [] if one.epoch == 1 else known_of.get(one.id) or journal.entries(tx, one.id)
        known = [rows.entry(row) for row in found]
    except StoreUnusable as error:
        failure = Failure.of(error).to_json()
        outcomes.finish(tx, lease, NeedsAttention(EntryKind.QUARANTINED, failure, str(error)))
        return None
    return Claimed(one, lease, known)
