"""Who stands in a queue: the runs of a queue that are due, oldest first, of all keys or of one.

A named queue has two lines, the runs that never started and those that go on; each is found along an index of its own,
so that a long line costs no more than a short one, and one that may not start keeps nobody behind it from being found.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, and_, bindparam, func, or_, select

from agentflow.states import RunStatus
from agentflow.store import tables
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement, by_index, const

if TYPE_CHECKING:
    from sqlalchemy import Select

    from agentflow.requests import ClaimRuns
    from agentflow.store.transaction import Transaction

run = table_of(tables.RunRow)
DEFAULT: Final = "default"
_QUEUED = run.c.status == const(RunStatus.QUEUED.value)
_OPEN = run.c.status.in_([const(RunStatus.QUEUED.value), const(RunStatus.WAITING.value)])
_NAMED = run.c.queue != const(DEFAULT)
_TIMED = run.c.available_at.is_not(None)  # one that waits for an answer alone stands in no line


class Line(Enum):
    """A line of runs: the conditions of its indexes, and their names."""

    DEFAULT = ((_OPEN, _TIMED, run.c.queue == const(DEFAULT)), "ix_agentflow_run_due", "")
    NEW = ((_QUEUED, run.c.epoch == const(0), _NAMED), "ix_agentflow_run_new", "ix_agentflow_run_new_by_key")
    AGAIN = ((_OPEN, _TIMED, run.c.epoch > const(0), _NAMED), "ix_agentflow_run_again", "ix_agentflow_run_again_by_key")

    def __init__(self, conditions: tuple[ColumnElement[bool], ...], by_time: str, by_key: str) -> None:
        self.conditions = conditions
        self.by_time = by_time
        self.by_key = by_key


NAMED: Final = (Line.NEW, Line.AGAIN)


def _first(column: ColumnElement[Any], line: Line, index: str, *conditions: ColumnElement[bool]) -> Any:
    query = select(func.min(column)).where(*line.conditions, *conditions).with_hint(*by_index(run, index))
    return query.scalar_subquery()


def first_names() -> list[Any]:
    """The first name of a queue, after a given one, in which a run stands that never started, and one that goes on."""
    return [_first(run.c.queue, one, one.by_time, run.c.queue > bindparam("after")) for one in NAMED]


_IN_QUEUE = run.c.queue == bindparam("queue")
_LATER_KEY = run.c.queue_key > bindparam("after")
NEXT_NAME = Statement(select(*first_names()))
NEXT_KEY = Statement(select(*[_first(run.c.queue_key, one, one.by_key, _IN_QUEUE, _LATER_KEY) for one in NAMED]))
_LATER = run.c.available_at > bindparam("now")
NEXT_TIME = Statement(select(*[_first(run.c.available_at, one, one.by_time, _IN_QUEUE, _LATER) for one in NAMED]))
NEXT_DEFAULT_TIME = Statement(
    select(func.min(run.c.available_at))
    .where(*Line.DEFAULT.conditions, _LATER)
    .with_hint(*by_index(run, Line.DEFAULT.by_time))
)
LONGEST_WAITING = Statement(
    select(run.c.cost)
    .where(*Line.NEW.conditions, _IN_QUEUE, run.c.available_at <= bindparam("now"))
    .with_hint(*by_index(run, Line.NEW.by_time))
    .order_by(run.c.available_at)
    .limit(const(1))
    .offset(const(0))
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A due run: since when, for whose share, at what cost, and whether this would be its first start."""

    id: str
    available_at: int
    queue_key: str | None
    cost: int
    is_new: bool


@cache
def standing(line: Line, tasks: int, versions: int, *, of_key: bool) -> Statement:
    """The due runs of one line of a queue, oldest first, for this many tasks and versions."""
    query = due(line, tasks, versions)
    if line is not Line.DEFAULT:
        query = query.where(_IN_QUEUE)
    if of_key:
        query = query.where(run.c.queue_key.is_not_distinct_from(bindparam("key")))
    hinted = query.with_hint(*by_index(run, line.by_key if of_key else line.by_time))
    return Statement(hinted.limit(bindparam("limit")).offset(bindparam("offset")))


def due(line: Line, tasks: int, versions: int) -> Select[Any]:
    """The due runs of one line of all queues, each held for whoever reads it."""
    return (
        select(run.c.id, run.c.available_at, run.c.queue_key, run.c.cost)
        .where(*line.conditions, run.c.available_at <= bindparam("now"), carried(tasks, versions), may_start())
        .order_by(run.c.available_at)
        .with_for_update(skip_locked=True)
    )


def carried(tasks: int, versions: int) -> ColumnElement[bool]:
    """Whether a run is of one of these tasks, whatever its version, or of one of these versions."""
    known: list[ColumnElement[bool]] = []
    if tasks:
        known.append(run.c.task.in_([bindparam(f"task{n}") for n in range(tasks)]))
    known += [
        and_(run.c.task == bindparam(f"pinned{n}"), run.c.version == bindparam(f"version{n}")) for n in range(versions)
    ]
    return or_(*known)


def may_start() -> ColumnElement[bool]:
    """Whether the run has started before, or not waited longer than it may."""
    return or_(run.c.expires_at.is_(None), run.c.expires_at > bindparam("now"), run.c.epoch > const(0))


@dataclass(frozen=True, slots=True)
class Asked:
    """What a worker asks for, as the parameters of statements."""

    tasks: int
    versions: int
    params: dict[str, Any]

    @classmethod
    def of(cls, request: ClaimRuns, now: int) -> Asked:
        params: dict[str, Any] = {"now": now}
        params |= {f"task{n}": task for n, task in enumerate(request.tasks)}
        for n, (task, version) in enumerate(request.versions):
            params |= {f"pinned{n}": task, f"version{n}": version}
        return cls(len(request.tasks), len(request.versions), params)


class Stream:
    """The due runs of one line, read some at a time, oldest first."""

    def __init__(
        self, tx: Transaction, statement: Statement, params: dict[str, Any], *, page: int, is_new: bool
    ) -> None:
        self._tx = tx
        self._statement = statement
        self._params = params
        self._page = page
        self._read = 0
        self._is_at_end = False
        self._ahead: deque[Candidate] = deque()
        self.is_new = is_new

    @property
    def head(self) -> Candidate | None:
        """The next run, None after the last."""
        if not self._ahead and not self._is_at_end:
            found = self._tx.rows(self._statement, self._params | {"limit": self._page, "offset": self._read})
            self._read += len(found)
            self._is_at_end = len(found) < self._page
            self._ahead.extend(Candidate(row[0], row[1], row[2], row[3], self.is_new) for row in found)
        return self._ahead[0] if self._ahead else None

    def pop(self) -> Candidate:
        """Take the head, which must be there."""
        return self._ahead.popleft()


ANY_KEY: Final = object()


class Lineup:
    """The runs of a queue, or of one key of it, oldest first: its new ones and those that go on, side by side."""

    def __init__(self, tx: Transaction, asked: Asked, queue: str, *, key: Any = ANY_KEY, page: int) -> None:
        of_key = key is not ANY_KEY
        params = asked.params | {"queue": queue} | ({"key": key} if of_key else {})
        self._streams = [
            Stream(
                tx,
                standing(line, asked.tasks, asked.versions, of_key=of_key),
                params,
                page=page,
                is_new=line is Line.NEW,
            )
            for line in ((Line.DEFAULT,) if queue == DEFAULT else NAMED)
        ]

    def head(self, *, with_new: bool = True) -> Candidate | None:
        """The oldest run, None if there is none; of those that go on only, unless `with_new`."""
        stream = self._oldest(with_new)
        return None if stream is None else stream.head

    def pop(self, *, with_new: bool = True) -> Candidate | None:
        """Take the oldest run."""
        stream = self._oldest(with_new)
        return None if stream is None else stream.pop()

    def _oldest(self, with_new: bool) -> Stream | None:
        open_ones = [one for one in self._streams if with_new or not one.is_new]
        heads = [(head.available_at, n) for n, one in enumerate(open_ones) if (head := one.head) is not None]
        return open_ones[min(heads)[1]] if heads else None


def named(tx: Transaction) -> list[str]:
    """The named queues in which runs stand."""
    return _walk(tx, NEXT_NAME, {}, "")


def keys_after(tx: Transaction, queue: str, after: str) -> list[str]:
    """Every key of the queue's runs that comes after this one."""
    return _walk(tx, NEXT_KEY, {"queue": queue}, after)


def next_key(tx: Transaction, queue: str, after: str, *, with_new: bool) -> str | None:
    """The first key of the queue's runs that comes after this one; of those that go on only, unless `with_new`."""
    row = tx.row(NEXT_KEY, {"queue": queue, "after": after})
    assert row is not None
    found: str | None = _least(row if with_new else row[1:])
    return found


def next_time(tx: Transaction, queue: str) -> int | None:
    """When the next run of a named queue falls due."""
    found: int | None = _least(tx.row(NEXT_TIME, {"queue": queue, "now": tx.now}))
    return found


def _walk(tx: Transaction, statement: Statement, params: dict[str, Any], after: str) -> list[str]:
    """One look-up for each value there is, however many runs have it."""
    found = []
    while (value := _least(tx.row(statement, params | {"after": after}))) is not None:
        found.append(value)
        after = value
    return found


def _least(row: Any) -> Any:
    return min((value for value in row if value is not None), default=None)
