"""Making the stored schedules those that the code declares."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from agentflow.errors import DefinitionError, InvalidInput, TaskNotFound
from agentflow.payloads import encode
from agentflow.requests import DeclareSchedule
from schedulers.triggers import next_fire, trigger_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow import records
    from agentflow.client import Client
    from agentflow.tasks.schedule import Schedule


async def declare(client: Client) -> Sequence[records.Schedule]:
    """The stored schedules, reconciled with those of the client's catalog.

    A schedule that cannot start runs, because its task is unknown or its input does not fit, is stored all the same:
    it is shown, and firing says what is wrong. A client without tasks declares nothing and changes nothing. Raises
    `DefinitionError` for two schedules of one id; nothing was changed then.
    """
    if not client.catalog.tasks:  # a program started without definitions must not take out everybody's schedules
        return await client.schedules()
    declared = list(client.catalog.schedules)
    (most_declared, count), *_ = Counter(one.id for one in declared).most_common(1) or [("", 0)]
    if count > 1:
        raise DefinitionError(
            f"schedule id {most_declared!r} is declared {count} times; give the others an id= of their own"
        )
    return await client.declare_schedules([_declaration(client, one) for one in declared])


def _declaration(client: Client, schedule: Schedule) -> DeclareSchedule:
    version, text = "", encode(dict(schedule.input))
    try:
        task = client.catalog.task(schedule.task_id)
        version = task.version
        text = task.encode_json(dict(schedule.input))
    except (TaskNotFound, InvalidInput):
        pass  # stored as written
    return DeclareSchedule(
        id=schedule.id,
        task=schedule.task_id,
        version=version,
        rule=schedule.rule,
        timezone=schedule.timezone,
        input=text,
        first_fire_at=next_fire(trigger_for(schedule.rule, schedule.timezone), client.now()),
    )
