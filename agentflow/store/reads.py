"""Listings and look-ups, by keyset: a page costs the same whichever page it is."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, exists, func, or_, select, text, tuple_

from agentflow.clock import to_micros
from agentflow.records import Counts, Page
from agentflow.states import ApprovalStatus, RunStatus
from agentflow.store import rows, tables
from agentflow.store.cursors import LAST_SEQ, after_of, id_of, place_of
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement, const, consts
from agentflow.store.waiting.waits import OF_RUN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import BindParameter, ColumnElement

    from agentflow.records import Approval, Entry, LogLine, Run, Wait, Worker
    from agentflow.requests import ApprovalFilter, RunFilter
    from agentflow.store.transaction import Transaction

run = table_of(tables.RunRow)
tagged = table_of(tables.RunTagRow)
journal = table_of(tables.EntryRow)
log = table_of(tables.LogRow)
approval = table_of(tables.ApprovalRow)
worker = table_of(tables.WorkerRow)

LIMIT: BindParameter[int] = bindparam("limit")
ENTRIES = Statement(
    select(journal)
    .where(journal.c.run_id == bindparam("run_id"), journal.c.seq > bindparam("after"))
    .order_by(journal.c.seq)
    .limit(LIMIT)
    .offset(const(0))
)
# Where several write at once an entry's id begins with its transaction's number. A follower is shown what no
# transaction still under way can precede, and what is some seconds old: another program's may last for ever.
_SETTLED = or_(
    journal.c.id < text("(pg_snapshot_xmin(pg_current_snapshot())::text::bigint + agentflow_ahead()) << 20"),
    journal.c.at < bindparam("long_ago"),
)
PATIENCE = 5_000_000
_AFTER = select(journal).where(journal.c.id > bindparam("after"))
FEED = Statement(
    _AFTER.order_by(journal.c.id).limit(LIMIT).offset(const(0)),
    brief=True,
    postgres=_AFTER.where(_SETTLED).order_by(journal.c.id).limit(LIMIT).offset(const(0)),
)
NEWEST = Statement(select(func.max(journal.c.id)))
HEAD = Statement(
    select(func.max(journal.c.id)),
    postgres=select(journal.c.id).where(_SETTLED).order_by(journal.c.id.desc()).limit(const(1)),
)
LOGS = Statement(select(log).where(log.c.run_id == bindparam("run_id")).order_by(log.c.id))
WORKERS = Statement(select(worker).order_by(worker.c.id))
COUNT_RUNS = Statement(select(run.c.status, func.count()).group_by(run.c.status))
COUNT_PENDING = Statement(
    select(func.count()).select_from(approval).where(approval.c.status == const(ApprovalStatus.PENDING.value))
)
UNLIMITED = 2**31


CONDITIONS = {
    "task": run.c.task == bindparam("task"),
    "version": run.c.version == bindparam("version"),
    "queue": run.c.queue == bindparam("queue"),
    "origin": run.c.origin == bindparam("origin"),
    "parent_id": run.c.parent_id == bindparam("parent_id"),
    "forked_from": run.c.forked_from == bindparam("forked_from"),
    "created_from": run.c.created_at >= bindparam("created_from"),
    "created_until": run.c.created_at < bindparam("created_until"),
}


@cache
def _runs(statuses: tuple[str, ...], conditions: frozenset[str], tags: int, search: bool, cursor: bool) -> Statement:
    def query(like: str) -> Any:
        found, newest = select(run), run.c.id
        if tags:  # its index has the runs of a tag in their order
            first = tagged.alias("first")
            found = found.join(first, first.c.run_id == run.c.id).where(first.c.tag == bindparam("tag0"))
            newest = first.c.run_id
        for number in range(1, tags):
            found = found.where(_has_tag(number))
        if statuses:
            found = found.where(run.c.status.in_(consts(statuses)))
        for name in sorted(conditions):
            found = found.where(CONDITIONS[name])
        if search:
            found = found.where(_matches(like, run.c.id, (run.c.task, run.c.idempotency_key)))
        if cursor:
            found = found.where(newest < bindparam("cursor"))
        return found.order_by(newest.desc()).limit(LIMIT).offset(const(0))

    return Statement(query("like"), postgres=query("ilike"), brief=True)


def _has_tag(number: int) -> ColumnElement[bool]:
    one = tagged.alias(f"tag_{number}")
    return exists(select(const(1)).where(one.c.run_id == run.c.id, one.c.tag == bindparam(f"tag{number}")))


def _matches(like: str, id_: ColumnElement[str], texts: Sequence[ColumnElement[str]]) -> ColumnElement[bool]:
    """Whether an id begins with what is searched for, or one of the texts has it, in small letters or capitals.

    SQLite's `LIKE` looks past that difference by itself.
    """
    return or_(
        getattr(id_, like)(bindparam("starts"), escape="\\"),
        *(getattr(one, like)(bindparam("contains"), escape="\\") for one in texts),
    )


def runs(tx: Transaction, which: RunFilter) -> Page[Run]:
    """Runs, newest first."""
    statuses = tuple(sorted(RunStatus(status).value for status in which.statuses))
    given = {name: value for name in CONDITIONS if (value := getattr(which, name)) is not None}
    tags = sorted(set(which.tags))
    statement = _runs(statuses, frozenset(given), len(tags), bool(which.search), bool(which.cursor))
    values = {name: to_micros(value) if isinstance(value, datetime) else value for name, value in given.items()}
    values |= {f"tag{number}": tag for number, tag in enumerate(tags)}
    if which.cursor:
        values["cursor"] = id_of(which.cursor)
    params = values | {"limit": which.limit + 1} | _patterns(which.search)
    found = [rows.run(row) for row in tx.rows(statement, params)]
    more = len(found) > which.limit
    page = found[: which.limit]
    return Page(page, page[-1].id if more else None)


def _patterns(search: str | None) -> dict[str, str]:
    escaped = (search or "").replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return {"starts": f"{escaped}%", "contains": f"%{escaped}%"}


@cache
def _approvals(pending: bool | None, of_run: bool, search: bool, cursor: bool) -> Statement:
    order = (approval.c.urgency, approval.c.id) if pending else (approval.c.decided_at, approval.c.id)
    if pending is None:
        order = (approval.c.created_at, approval.c.id)

    def query(like: str) -> Any:
        found = select(approval)
        if pending is not None:
            is_pending = approval.c.status == const(ApprovalStatus.PENDING.value)
            found = found.where(is_pending if pending else approval.c.decided_at.is_not(None))
        if of_run:
            found = found.where(approval.c.run_id == bindparam("run_id"))
        if search:
            texts = (approval.c.title, approval.c.summary, approval.c.task, approval.c.data)
            found = found.where(_matches(like, approval.c.id, texts))
        if cursor:
            place = tuple_(bindparam("cursor_at"), bindparam("cursor_id"))
            found = found.where(tuple_(*order) > place if pending else tuple_(*order) < place)
        ordered = found.order_by(*order) if pending else found.order_by(*(column.desc() for column in order))
        return ordered.limit(LIMIT).offset(const(0))

    return Statement(query("like"), postgres=query("ilike"))


def approvals(tx: Transaction, which: ApprovalFilter) -> Page[Approval]:
    """Pending approvals by urgency, decided ones newest first, all of them newest first."""
    statement = _approvals(which.pending, which.run_id is not None, bool(which.search), bool(which.cursor))
    params: dict[str, Any] = {"run_id": which.run_id, "limit": which.limit + 1} | _patterns(which.search)
    if which.cursor:
        at, last_id = place_of(which.cursor)
        params |= {"cursor_at": at, "cursor_id": last_id}
    found = tx.rows(statement, params)
    page = [rows.approval(row) for row in found[: which.limit]]
    more = len(found) > which.limit
    return Page(page, _cursor(found[which.limit - 1], which) if more else None)


APPROVAL_COLUMNS = {column.name: index for index, column in enumerate(approval.columns)}


def _cursor(row: Sequence[Any], which: ApprovalFilter) -> str:
    name = {True: "urgency", False: "decided_at", None: "created_at"}[which.pending]
    return f"{row[APPROVAL_COLUMNS[name]]}.{row[APPROVAL_COLUMNS['id']]}"


def entries(tx: Transaction, run_id: str, after: int, limit: int | None) -> Sequence[Entry]:
    """A run's journal in order."""
    found = tx.rows(ENTRIES, {"run_id": run_id, "after": after_of(after, LAST_SEQ), "limit": limit or UNLIMITED})
    return [rows.entry(row) for row in found]


def feed(tx: Transaction, after: int, limit: int) -> Sequence[Entry]:
    """Every run's entries after this id."""
    params = {"after": after_of(after), "limit": limit} | long_ago(tx)
    return [rows.entry(row) for row in tx.rows(FEED, params)]


def head(tx: Transaction) -> int:
    """The newest entry's id, 0 if there is none: what is entered from now on has a higher one."""
    return _id_of(tx.row(HEAD, long_ago(tx)))


def long_ago(tx: Transaction) -> dict[str, int]:
    """The parameter of what tells settled entries: since when one is settled whoever is still under way."""
    return {"long_ago": tx.now - PATIENCE}


def newest(tx: Transaction) -> int:
    """The highest id of an entry, 0 if there is none; one that is committed later may have a lower."""
    return _id_of(tx.row(NEWEST, {}))


def _id_of(row: Sequence[Any] | None) -> int:
    return 0 if row is None or row[0] is None else int(row[0])


def logs(tx: Transaction, run_id: str) -> Sequence[LogLine]:
    """A run's log."""
    return [rows.log_line(row) for row in tx.rows(LOGS, {"run_id": run_id})]


def waits(tx: Transaction, run_id: str) -> Sequence[Wait]:
    """A run's open waits, oldest first."""
    found = [rows.wait(row) for row in tx.rows(OF_RUN, {"run_id": run_id})]
    return sorted(found, key=attrgetter("opened_at"))


def workers(tx: Transaction) -> Sequence[Worker]:
    """Every worker with a lease."""
    return [rows.worker(row) for row in tx.rows(WORKERS, {})]


def counts(tx: Transaction) -> Counts:
    """Runs by status, and pending approvals."""
    by_status = {rows.status(name): count for name, count in tx.rows(COUNT_RUNS, {})}
    pending = tx.row(COUNT_PENDING, {})
    return Counts(runs=by_status, pending_approvals=0 if pending is None else pending[0])
