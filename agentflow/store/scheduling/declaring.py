"""Making the stored schedules what code and programs say they are, and pausing, planning and removing them."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, delete, insert, null, update

from agentflow.clock import MICROSECOND, to_micros
from agentflow.errors import ScheduleTaken
from agentflow.records import Reconciled
from agentflow.requests import DeclareSchedule
from agentflow.store import locks, rows
from agentflow.store.scheduling import backfills, occurrences
from agentflow.store.scheduling.stored import all_schedules, get, hold, hold_one, log, micros, schedule
from agentflow.store.statements import Statement, columns, const
from agentflow.store.transaction import single_statement

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from agentflow.records import Schedule
    from agentflow.requests import PauseSchedule
    from agentflow.store.transaction import Transaction

CODE: Final = "code"
PROGRAM: Final = "program"
DECLARED: Final = tuple(one.name for one in fields(DeclareSchedule) if one.name != "id")
TIMES: Final = {"rule", "timezone", "start_at", "end_at"}
"""What decides when a schedule comes round: where one of them changed, its next time is worked out anew."""

COLUMNS: Final = columns(schedule)
ADD = Statement(insert(schedule).values({name: bindparam(name) for name in COLUMNS}))
CHANGE = Statement(
    update(schedule)
    .where(schedule.c.id == bindparam("schedule_id"))
    .values({name: bindparam(name) for name in (*DECLARED, "next_fire_at", "plan_from", "changed_at", "changed_by")})
    .values(revision=schedule.c.revision + const(1))
)
REMOVE = Statement(delete(schedule).where(schedule.c.id == bindparam("schedule_id")))
PAUSE = Statement(
    update(schedule)
    .where(schedule.c.id == bindparam("schedule_id"))
    .values(
        paused_at=bindparam("now"),
        paused_by=bindparam("by"),
        pause_reason=bindparam("reason"),
        next_fire_at=null(),
        plan_from=null(),
    )
)
RESUME = Statement(
    update(schedule)
    .where(schedule.c.id == bindparam("schedule_id"))
    .values(paused_at=null(), paused_by=null(), pause_reason=null(), plan_from=bindparam("now"))
)
PLAN = Statement(
    update(schedule)
    .where(
        schedule.c.id == bindparam("schedule_id"),
        schedule.c.revision == bindparam("of_revision"),
        schedule.c.plan_from == bindparam("of_plan"),
    )
    .values(next_fire_at=bindparam("next_fire_at"), plan_from=null())
)


# -- declared in code, made by programs


def declare_schedules(
    tx: Transaction, declared: Sequence[DeclareSchedule], tasks: Collection[str], dry_run: bool
) -> Reconciled:
    """Reconcile the schedules in code of these tasks with those declared; those of other tasks are another program's.

    Raises `ScheduleTaken`; nothing was changed then.
    """
    wanted = {one.id: one for one in declared}
    locks.names(tx, *map(_name, wanted))
    stored = {one.id: one for one in all_schedules(tx)}
    taken = sorted(name for name, one in stored.items() if name in wanted and one.source == PROGRAM)
    if taken:
        raise ScheduleTaken(
            f"schedule {taken[0]!r} was made by a program, and code declares one of that id; nothing was changed. "
            "Give it another id= in the code, or remove the program's"
        )
    ours = {name: one for name, one in stored.items() if one.source == CODE and (one.task in tasks or name in wanted)}
    changed = [name for name in sorted(wanted) if name in ours and _difference(ours[name], wanted[name])]
    added = [name for name in sorted(wanted) if name not in ours]
    removed = [ours[name] for name in sorted(ours) if name not in wanted]
    if not dry_run:
        for gone in removed:
            if hold(tx, gone.id) is not None:
                _remove(tx, gone.id, CODE)
    return Reconciled(
        added=[_put(tx, wanted[name], None, CODE, dry_run=dry_run) for name in added],
        changed=[_put(tx, wanted[name], ours[name], CODE, dry_run=dry_run) for name in changed],
        before=[ours[name] for name in changed],
        removed=removed,
        kept=[ours[name] for name in sorted(ours) if name in wanted and name not in changed],
    )


def upsert_schedule(tx: Transaction, declared: DeclareSchedule, by: str) -> Schedule:
    """The schedule of a program, made or changed. Raises `ScheduleTaken`."""
    locks.names(tx, _name(declared.id))
    before = hold(tx, declared.id)
    if before is None:
        return _put(tx, declared, None, by, source=PROGRAM)
    _require_of_program(before, "change it there, or give this one another id")
    return _put(tx, declared, before, by) if _difference(before, declared) else before


def remove_schedule(tx: Transaction, schedule_id: str, by: str) -> None:
    """Take out a schedule of a program. Raises `ScheduleNotFound`, `ScheduleTaken`."""
    before = hold_one(tx, schedule_id)
    _require_of_program(before, "remove it there, or pause it")
    _remove(tx, schedule_id, by)


def _name(schedule_id: str) -> str:
    return f"schedule:{schedule_id}"


def _require_of_program(found: Schedule, remedy: str) -> None:
    if found.source == CODE:
        raise ScheduleTaken(f"schedule {found.id!r} is declared in code; nothing was changed. {remedy.capitalize()}")


def _remove(tx: Transaction, schedule_id: str, by: str) -> None:
    tx.run(REMOVE, {"schedule_id": schedule_id})
    occurrences.skip_queued(tx, schedule_id, f"the schedule was removed by {by}")
    backfills.end_all(tx, schedule_id, by)
    log(tx, schedule_id, json.dumps({"removed": [False, True]}), by)


def _put(
    tx: Transaction,
    declared: DeclareSchedule,
    before: Schedule | None,
    by: str,
    *,
    source: str = CODE,
    dry_run: bool = False,
) -> Schedule:
    """The schedule as it is with this: stored and kept in the log, unless it is only to be told."""
    before = before if before is None or dry_run else hold(tx, before.id)
    values = _values(tx, declared, before, by, source)
    if not dry_run:
        log(tx, declared.id, json.dumps(_difference(before, declared), ensure_ascii=False), by)
        tx.run(ADD if before is None else CHANGE, values | {"schedule_id": declared.id})
    return rows.schedule(tuple(values[name] for name in COLUMNS)) if dry_run else get(tx, declared.id)


def _values(
    tx: Transaction, declared: DeclareSchedule, before: Schedule | None, by: str, source: str
) -> dict[str, Any]:
    """The row; of one that is paused, the next time is worked out when it goes on."""
    asked = {name: _stored(getattr(declared, name)) for name in DECLARED}
    if before is None:
        new: dict[str, Any] = dict.fromkeys(COLUMNS)
        made = {"id": declared.id, "source": source, "revision": 1, "created_at": tx.now, "plan_from": tx.now}
        return new | asked | made | {"changed_at": tx.now, "changed_by": by}
    values = {name: _stored(getattr(before, name)) for name in COLUMNS} | asked
    values |= {"revision": before.revision + 1, "changed_at": tx.now, "changed_by": by}
    if before.paused_at is None and TIMES & set(_difference(before, declared)):
        values |= {"next_fire_at": None, "plan_from": tx.now}
    return values


def _difference(before: Schedule | None, declared: DeclareSchedule) -> Mapping[str, Sequence[Any]]:
    """What was and what is to be, of each field that changes, as people read it."""
    pairs = {name: (None if before is None else getattr(before, name), getattr(declared, name)) for name in DECLARED}
    return {name: [_told(was), _told(wanted)] for name, (was, wanted) in pairs.items() if was != wanted}


def _stored(value: Any) -> Any:
    if isinstance(value, datetime):
        return to_micros(value)
    if isinstance(value, timedelta):
        return value // MICROSECOND
    return value.value if isinstance(value, Enum) else value


def _told(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return value.total_seconds() if isinstance(value, timedelta) else value


# -- steering


def pause_schedule(tx: Transaction, request: PauseSchedule) -> Schedule:
    """The schedule, paused or going on from now; one that is so already stays as it is. Raises `ScheduleNotFound`."""
    before = hold_one(tx, request.schedule_id)
    if (before.paused_at is not None) is request.paused:
        return before
    told = {"schedule_id": before.id, "now": tx.now}
    if request.paused:
        tx.run(PAUSE, told | {"by": request.by, "reason": request.reason})
    else:
        tx.run(RESUME, told)
    log(tx, before.id, json.dumps({"paused": [not request.paused, request.paused]}), request.by, request.reason)
    return get(tx, before.id)


@single_statement
def plan_schedule(
    tx: Transaction, schedule_id: str, revision: int, plan_from: datetime, next_fire_at: datetime | None
) -> bool:
    """Whether this is now its next time; nobody else planned or changed it meanwhile."""
    planned = {"of_revision": revision, "of_plan": micros(plan_from), "next_fire_at": micros(next_fire_at)}
    return tx.run(PLAN, {"schedule_id": schedule_id} | planned) == 1
