"""Triggers that become one run: the last of them (debounce), or all of them in a list (batch)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, null, select, update

from agentflow.clock import MICROSECOND
from agentflow.errors import InvalidSetting
from agentflow.payloads import LIMIT
from agentflow.states import RunStatus
from agentflow.store import rows, tables
from agentflow.store.rows import table_of
from agentflow.store.statements import Statement, by_index, columns, const

if TYPE_CHECKING:
    from agentflow.records import Run
    from agentflow.requests import TriggerRun
    from agentflow.store.transaction import Row, Transaction

run = table_of(tables.RunRow)
FOUND = Statement(
    select(run)
    .where(
        run.c.task == bindparam("task"),
        run.c.collect_key == bindparam("collect_key"),
        run.c.collect_key.is_not(None),
        run.c.status == const(RunStatus.QUEUED.value),
        run.c.epoch == const(0),
    )
    .with_hint(*by_index(run, "uq_agentflow_run_collecting"))
    .with_for_update()
)
_CHANGED = (
    "input", "cost", "queue_key", "collect_key", "collected", "available_at", "expires_at", "deadline_at",
)  # fmt: skip
COLLECT = Statement(
    update(run)
    .where(run.c.id == bindparam("run_id"))
    .values({name: bindparam(name) for name in _CHANGED})
    .returning(*run.columns)
)
CLOSE = Statement(
    update(run).where(run.c.id == bindparam("run_id")).values(collect_key=null(), available_at=bindparam("now"))
)
_PLACES = {name: place for place, name in enumerate(columns(run))}


def begun(tx: Transaction, request: TriggerRun) -> dict[str, Any]:
    """The columns by which a new run collects further triggers; one that is full at once collects none."""
    collect = request.collect
    if collect is None:
        return {"collect_key": None, "collect_until": None, "collected": 1}
    if collect.keep == "last":
        until = None if collect.most is None else tx.now + collect.most // MICROSECOND
        return {"collect_key": collect.key, "collect_until": until, "collected": 1}
    _, items = _items(request.input, request.task)
    return {"collect_key": None if is_full(request) else collect.key, "collect_until": None, "collected": len(items)}


def is_full(request: TriggerRun) -> bool:
    """Whether the request alone has as many inputs as a run takes."""
    collect = request.collect
    if collect is None or collect.keep == "last" or collect.size is None:
        return False
    return len(_items(request.input, request.task)[1]) >= collect.size


def join(tx: Transaction, request: TriggerRun, deadline_at: int | None, most_cost: int | None) -> Run | None:
    """The run that this trigger became part of; None if it needs one of its own."""
    collect = request.collect
    row = None if collect is None else tx.row(FOUND, {"task": request.task, "collect_key": collect.key})
    if collect is None or row is None:
        return None
    before = {name: row[place] for name, place in _PLACES.items()}
    changed = _latest(tx, request, before) if collect.keep == "last" else _added(tx, request, before, most_cost)
    if changed is None:
        tx.run(CLOSE, {"run_id": before["id"], "now": tx.now})
        _tell(tx, before["id"])
        return None
    if request.ttl is not None:
        changed["expires_at"] = max(changed["available_at"], tx.now) + request.ttl // MICROSECOND
    values = {name: before[name] for name in _CHANGED} | changed
    after: Row | None = tx.row(COLLECT, values | {"run_id": before["id"], "deadline_at": deadline_at})
    assert after is not None
    _tell(tx, before["id"])
    return rows.run(after)


def _latest(tx: Transaction, request: TriggerRun, before: dict[str, Any]) -> dict[str, Any]:
    """The newest input counts, and puts the start off, as far as it may be."""
    assert request.collect is not None
    start_at = tx.now + request.collect.delay // MICROSECOND
    return {
        "input": request.input,
        "cost": request.cost,
        "queue_key": request.queue_key,
        "collected": before["collected"] + 1,
        "available_at": start_at if before["collect_until"] is None else min(start_at, before["collect_until"]),
    }


def _added(
    tx: Transaction, request: TriggerRun, before: dict[str, Any], most_cost: int | None
) -> dict[str, Any] | None:
    """The inputs of both in one list; None if that would be more than a run takes."""
    assert request.collect is not None
    name, known = _items(before["input"], request.task)
    _, new = _items(request.input, request.task)
    count, cost, size = len(known) + len(new), before["cost"] + request.cost, request.collect.size
    text = json.dumps({name: [*known, *new]}, separators=(",", ":"))
    if (size is not None and count > size) or (most_cost is not None and cost > most_cost) or len(text) > LIMIT:
        return None
    changed = {"input": text, "cost": cost, "collected": count, "available_at": before["available_at"]}
    return changed | ({"collect_key": None, "available_at": tx.now} if count == size else {})


def _items(text: str, task: str) -> tuple[str, list[Any]]:
    """The one parameter and the list it is given. Raises `InvalidSetting`; no run was made."""
    given = json.loads(text)
    if isinstance(given, dict) and len(given) == 1:
        [(name, items)] = given.items()
        if isinstance(items, list):
            return name, items
    raise InvalidSetting(f"task {task!r} gathers its triggers in one list, and this input is none; no run was made")


def _tell(tx: Transaction, run_id: str) -> None:
    """Have workers look anew at when the next run falls due."""
    tx.touched.add(run_id)
    tx.moved.add(run_id)
