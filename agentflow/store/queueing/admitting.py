"""What a trigger meets before it becomes a run: a full queue, a budget it could never be paid from, an open run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, func, select

from agentflow.errors import InvalidSetting, QueueFull, SingletonTaken
from agentflow.store import locks, rows, tables
from agentflow.store.queueing import queues
from agentflow.store.queueing.lines import DEFAULT, Line
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement, by_index
from agentflow.store.steering import control

if TYPE_CHECKING:
    from agentflow.records import Run
    from agentflow.requests import TriggerRun
    from agentflow.store.queueing.queues import Stored
    from agentflow.store.transaction import Transaction

run = table_of(tables.RunRow)
LINED_UP = Statement(
    select(func.count())
    .select_from(run)
    .where(*Line.NEW.conditions, run.c.queue == bindparam("queue"))
    .with_hint(*by_index(run, Line.NEW.by_time))
)
HOLDER = Statement(
    select(run)
    .where(
        run.c.task == bindparam("task"),
        run.c.singleton_key == bindparam("key"),
        run.c.singleton_key.is_not(None),
        run.c.finished_at.is_(None),
    )
    .with_hint(*by_index(run, "uq_agentflow_run_singleton"))
)
PARENT = Statement(select(run.c.parent_id).where(run.c.id == bindparam("run_id")))


class Admission:
    """Lets the triggers of one transaction in, or refuses them; each queue is looked up once."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._queues: dict[str, Stored] = {}
        self._lined_up: dict[str, int] = {}

    def _queue(self, name: str) -> Stored:
        if name not in self._queues:
            self._queues[name] = queues.find(self._tx, name)
        return self._queues[name]

    def most_cost(self, request: TriggerRun) -> int | None:
        """What a run of the queue may cost. Raises `InvalidSetting` for one that costs more; no run was made."""
        if request.queue == DEFAULT or (budget := self._queue(request.queue).limits.budget) is None:
            return None
        if request.cost > budget.rate.amount:
            raise InvalidSetting(
                f"a run of task {request.task!r} costs {request.cost:,}, and budget {budget.name!r} of queue "
                f"{request.queue!r} is {budget.rate}, so it could never start; no run was made. "
                "Lower its cost, or raise the budget"
            )
        return budget.rate.amount

    def require_room(self, request: TriggerRun) -> None:
        """Raise `QueueFull` if as many runs stand in the queue, never started, as it allows; no run was made."""
        name = request.queue
        if name == DEFAULT or (backlog := self._queue(name).limits.backlog) is None:
            return
        if name not in self._lined_up:
            locks.names(self._tx, f"queue:{name}")
            row = self._tx.row(LINED_UP, {"queue": name})
            self._lined_up[name] = 0 if row is None else row[0]
        if self._lined_up[name] >= backlog:
            raise QueueFull(queue=name, backlog=self._lined_up[name])
        self._lined_up[name] += 1

    def holder(self, request: TriggerRun) -> Run | None:
        """The open run that has the request's singleton key."""
        if request.singleton is None:
            return None
        row = self._tx.row(HOLDER, {"task": request.task, "key": request.singleton.key})
        return None if row is None else rows.run(row)

    def replace(self, holder: Run, request: TriggerRun, new_id: str, *, within: str | None) -> None:
        """Cancel the run that holds the key. Raises `SingletonTaken` where that would cancel `within`, which asks."""
        if holder.id in self._ancestry(within):
            raise taken(holder, request)
        control.cancel(self._tx, holder.id, "its singleton", f"replaced by {new_id}")

    def _ancestry(self, run_id: str | None) -> list[str]:
        found: list[str] = []
        while run_id is not None:
            found.append(run_id)
            row = self._tx.row(PARENT, {"run_id": run_id})
            run_id = None if row is None else row[0]
        return found


def taken(holder: Run, request: TriggerRun) -> SingletonTaken:
    """The refusal of a trigger whose key is taken."""
    assert request.singleton is not None
    return SingletonTaken(task=request.task, key=request.singleton.key, run_id=holder.id)
