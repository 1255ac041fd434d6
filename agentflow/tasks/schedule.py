"""Schedules as declared in code: a rule in a time zone, and the task and input it starts."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from agentflow.errors import DefinitionError
from agentflow.tasks.rules import Every, parse_rule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agentflow.tasks.task import Task

    AnyTask = TypeVar("AnyTask", bound=Task[..., Any])

LONGEST_ID = 200


@dataclass(frozen=True, slots=True)
class Schedule:
    """Starts `task_id` with `input` whenever `rule` comes round in `timezone`.

    `rule` is a cron text of five fields (`"0 9 * * mon-fri"`; `1` is Monday, `0` and `7` are Sunday), of six with the
    second first, or an interval (`"every 30s"`). `input` is a JSON object of the task's parameters by name. `id` is
    what the schedule's occurrences are counted under: it stays the same when the text of the rule is changed only if
    it is given. Raises `DefinitionError` for a rule, time zone or input that cannot work.
    """

    task_id: str
    rule: str
    timezone: str = "UTC"
    input: Mapping[str, Any] = field(default_factory=dict)
    id: str = ""

    def __post_init__(self) -> None:
        parsed = parse_rule(self.rule)
        check_timezone(self.timezone)
        if isinstance(parsed, Every) and self.timezone != "UTC":
            raise DefinitionError(
                f"schedule {self.rule!r} of task {self.task_id!r}: an interval counts elapsed time, which no time zone "
                f'changes; leave out timezone={self.timezone!r}, or write a cron text such as "0 9 * * *"'
            )
        rule = " ".join(self.rule.split())
        object.__setattr__(self, "rule", rule)
        object.__setattr__(self, "input", _own_copy(self.task_id, self.input))
        object.__setattr__(self, "id", self.id or f"{self.task_id}:{rule}@{self.timezone}")
        if len(self.id) > LONGEST_ID:
            raise DefinitionError(f"schedule id {self.id!r} is longer than {LONGEST_ID} characters; give a shorter id=")


def schedule(
    rule: str, *, timezone: str = "UTC", input: Mapping[str, Any] | None = None, id: str | None = None
) -> Callable[[AnyTask], AnyTask]:
    """The task it is put above, with a schedule added: write `@schedule("0 9 * * mon-fri")` over `@task`."""

    def add(task: AnyTask) -> AnyTask:
        if not hasattr(task, "add_schedule"):
            name = getattr(task, "__qualname__", repr(task))
            raise DefinitionError(f"@schedule({rule!r}) is on {name}, which is no task; put it above @task")
        task.add_schedule(Schedule(task.id, rule, timezone, input or {}, id or ""))
        return task

    return add


def check_timezone(name: str) -> None:
    """Raise `DefinitionError`, naming the nearest ones, unless `name` is a time zone of the IANA database."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError) as error:
        raise DefinitionError(f"there is no time zone {name!r}; {_nearest_zones(str(name))}") from error


def _nearest_zones(name: str) -> str:
    known = sorted(available_timezones())
    by_city = {zone.rpartition("/")[2].lower(): zone for zone in known}
    wanted = name.rpartition("/")[2].replace(" ", "_").lower()
    near = [by_city[city] for city in difflib.get_close_matches(wanted, by_city, n=3, cutoff=0.7)]
    near = near or difflib.get_close_matches(name, known, n=3)
    return f"did you mean {', '.join(near)}?" if near else 'write one such as "Europe/Berlin" or "UTC"'


def _own_copy(task_id: str, given: Mapping[str, Any]) -> dict[str, Any]:
    try:
        copy = json.loads(json.dumps(given, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise DefinitionError(f"the input of a schedule of task {task_id!r} is no JSON: {error}") from error
    if not isinstance(copy, dict):
        raise DefinitionError(
            f"the input of a schedule of task {task_id!r} is {type(given).__name__}; "
            "wanted an object of its parameters by name"
        )
    return copy
