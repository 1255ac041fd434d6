"""Schedules as declared in code: a rule in a time zone, and the task and input it starts."""

from __future__ import annotations

import difflib
import inspect
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, TypedDict, TypeVar, Unpack
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from agentflow.durations import describe, duration
from agentflow.errors import DefinitionError, InvalidDuration
from agentflow.states import Overlap
from agentflow.tasks.rules import Dates, parse_rule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agentflow.tasks.queue import Span
    from agentflow.tasks.rules import Rule
    from agentflow.tasks.task import Task

    Overlapping = Overlap | Literal["allow", "skip", "queue", "cancel"]

AnyTask = TypeVar("AnyTask", bound="Task[..., Any]")

LONGEST_ID: Final = 200
LONGEST_SPREAD: Final = timedelta(days=1)
SKIPPED: Final = timedelta(hours=1)
CAUGHT_UP: Final = 100
MOST_CAUGHT_UP: Final = 10_000
ALL: Final = re.compile(r"all(?:\((\d{1,9})\))?", re.ASCII)


class ScheduleOptions(TypedDict, total=False):
    """The options of a schedule; each may be left out (see `Schedule`)."""

    timezone: str
    input: Mapping[str, Any]
    spread: Span | None
    overlap: Overlapping
    catch_up: str
    start: datetime | str | None
    end: datetime | str | None
    occurrence_as: str | None


@dataclass(frozen=True, slots=True, init=False)
class Schedule:
    """Starts `task` with `input`, a JSON object of its parameters by name, whenever `rule` comes round in `timezone`.

    `rule` is a cron text of five fields (`"0 9 * * mon-fri"`; `1` is Monday, `0` and `7` are Sunday) or of six with the
    second first, an interval (`"every 30s"`, `"every 2 weeks at 09:00 from 2026-01-05"`) or dates (`"at 2026-12-24
    09:00, 2026-12-31 09:00"`), joined by "or", cron texts also by "and", less what stands after "except".

    Its runs start within `spread` of their time, always as long after it. While a run of it is open, `overlap` says
    whether the next one starts too ("allow"), is left out ("skip"), starts afterwards ("queue") or ends the first
    ("cancel"). Of what came round while no scheduler ran, `catch_up` starts "none", the "latest", or with "all(20)" the
    latest twenty ("all": a hundred). Nothing comes round before `start` or after `end`, which without an offset are
    times in `timezone`. The parameter `occurrence_as` is given the time that came round, as ISO 8601 text.

    `id` is what the schedule's occurrences are counted under: it stays the same when the text of the rule is changed
    only if it is given. Raises `DefinitionError` for what cannot work.
    """

    task: str
    rule: str
    timezone: str
    input: Mapping[str, Any]
    id: str
    spread: timedelta
    overlap: Overlap
    catch_up: str
    start: datetime | None
    end: datetime | None
    occurrence_as: str | None

    def __init__(
        self,
        task: Task[..., Any] | str,
        rule: str,
        *,
        timezone: str = "UTC",
        input: Mapping[str, Any] | None = None,
        id: str = "",
        spread: Span | None = None,
        overlap: Overlapping = "allow",
        catch_up: str = "latest",
        start: datetime | str | None = None,
        end: datetime | str | None = None,
        occurrence_as: str | None = None,
    ) -> None:
        task_id = _task_id(task)
        check_timezone(timezone)
        parsed = parse_rule(rule, timezone)
        said = f"schedule {id or rule!r} of task {task_id!r}"
        _require_use_of_zone(said, parsed, timezone)
        values = {
            "task": task_id,
            "rule": " ".join(rule.split()),
            "timezone": timezone,
            "input": _own_copy(task_id, {} if input is None else input),
            "spread": _spread(said, spread),
            "overlap": _overlap(said, overlap),
            "catch_up": _catch_up(said, catch_up),
            "start": _instant(said, "start", start, timezone),
            "end": _instant(said, "end", end, timezone),
            "occurrence_as": occurrence_as,
        }
        values["id"] = _id(id, values)
        for name, value in values.items():
            object.__setattr__(self, name, value)
        _require_time_between(said, parsed, self)
        _require_parameter(said, task, self)


def schedule(rule: str, *, id: str | None = None, **options: Unpack[ScheduleOptions]) -> Callable[[AnyTask], AnyTask]:
    """The task it is put above, with a schedule added: write `@task.schedule("0 9 * * mon-fri")` over `@task`."""

    def add(task: AnyTask) -> AnyTask:
        if not hasattr(task, "add_schedule"):
            name = getattr(task, "__qualname__", repr(task))
            raise DefinitionError(f"@task.schedule({rule!r}) is on {name}, which is no task; put it above @task")
        task.add_schedule(Schedule(task, rule, id=id or "", **options))
        return task

    return add


def most_caught_up(catch_up: str) -> int:
    """How many of the occurrences that were missed are started. Raises `DefinitionError` for another text."""
    if catch_up in ("none", "latest"):
        return int(catch_up == "latest")
    match = ALL.fullmatch(catch_up)
    count = int(match[1] or CAUGHT_UP) if match else 0
    if not 1 <= count <= MOST_CAUGHT_UP:
        near = f"all({min(max(count, 1), MOST_CAUGHT_UP)})" if match else f"all({CAUGHT_UP})"
        raise DefinitionError(f'catch_up={catch_up!r}: wanted "none", "latest", "all" or "{near}"')
    return count


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


# -- single values


def _task_id(given: Task[..., Any] | str) -> str:
    found = given if isinstance(given, str) else getattr(given, "id", None)
    if not isinstance(found, str) or not found:
        raise DefinitionError(f"Schedule({given!r}, …): that is no task; give a @task or the id of one")
    return found


def _require_use_of_zone(said: str, rule: Rule, timezone: str) -> None:
    if rule.is_elapsed and timezone != "UTC":
        raise DefinitionError(
            f"{said}: an interval counts elapsed time, which no time zone changes; leave out "
            f'timezone={timezone!r}, or write a calendar interval such as "every day at 09:00"'
        )


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


def _spread(said: str, given: Span | None) -> timedelta:
    try:
        spread = timedelta() if given is None else duration(given)
    except InvalidDuration as error:
        raise DefinitionError(f"{said}, spread: {error}") from error
    if spread > LONGEST_SPREAD:
        raise DefinitionError(f"{said}: spread={given!r} is longer than {describe(LONGEST_SPREAD)}; write at most that")
    return spread


def _overlap(said: str, given: str) -> Overlap:
    try:
        return Overlap(given)
    except ValueError:
        near = difflib.get_close_matches(str(given), [one.value for one in Overlap], n=1)
        meant = f"did you mean {near[0]!r}?" if near else f"wanted {', '.join(repr(str(one)) for one in Overlap)}"
        raise DefinitionError(f"{said}: overlap={given!r}; {meant}") from None


def _catch_up(said: str, given: str) -> str:
    text = re.sub(r"\s", "", given).lower() if isinstance(given, str) else str(given)
    try:
        count = most_caught_up(text)
    except DefinitionError as error:
        raise DefinitionError(f"{said}: {error}") from None
    return f"all({count})" if text.startswith("all") else text


def _instant(said: str, name: str, given: datetime | str | None, timezone: str) -> datetime | None:
    """The instant in UTC; one without an offset is a time in the schedule's zone."""
    if given is None:
        return None
    try:
        found = datetime.fromisoformat(given) if isinstance(given, str) else given
        found = found if found.utcoffset() is not None else found.replace(tzinfo=ZoneInfo(timezone))
        return found.astimezone(UTC)
    except (ValueError, OverflowError, AttributeError, TypeError):
        raise DefinitionError(
            f'{said}: {name}={given!r}; wanted a datetime, or its text such as "2026-01-05" or "2026-01-05T09:00+01:00"'
        ) from None


def _id(given: str, values: Mapping[str, Any]) -> str:
    if not isinstance(given, str):
        raise DefinitionError(f"schedule id {given!r} is no text")
    found = given.strip() or f"{values['task']}:{values['rule']}@{values['timezone']}"
    if len(found) > LONGEST_ID:
        raise DefinitionError(
            f"schedule id {found[:LONGEST_ID]!r}… is longer than {LONGEST_ID} characters; give a shorter id="
        )
    if not found.isprintable():
        raise DefinitionError(f"schedule id {found!r} has characters that cannot be shown; give another id=")
    return found


def _require_time_between(said: str, rule: Rule, made: Schedule) -> None:
    """Raise `DefinitionError` if `start` and `end` leave no time, as far as that can be told without a calendar."""
    if made.start is not None and made.end is not None and made.end < made.start:
        raise DefinitionError(f"{said} can never fire: end={made.end} is before start={made.start}; swap them")
    zone = ZoneInfo(made.timezone)
    if made.start is not None and made.end is not None:
        # A time that the clocks skip comes up to an hour later than the wall has it.
        first, last = ((at.astimezone(zone).replace(tzinfo=None)) for at in (made.start, made.end))
        if not rule.comes_between(first - SKIPPED, last + SKIPPED):
            raise DefinitionError(
                f"{said} can never fire: its rule does not come round between start={made.start} and end={made.end}"
            )
    if not all(isinstance(one, Dates) for one in rule.either):
        return
    walls = [wall for one in rule.either if isinstance(one, Dates) for wall in one.times]
    dates = sorted(wall.replace(tzinfo=zone) for wall in walls if not rule.left_out_until(wall))
    if made.start is not None and dates[-1] + SKIPPED < made.start:
        raise DefinitionError(f"{said} can never fire: its last date is {dates[-1]}, before start={made.start}")
    if made.end is not None and made.end < dates[0] - SKIPPED:
        raise DefinitionError(f"{said} can never fire: its first date is {dates[0]}, after end={made.end}")


def _require_parameter(said: str, task: Task[..., Any] | str, made: Schedule) -> None:
    name = made.occurrence_as
    if name is None:
        return
    if name in made.input:
        raise DefinitionError(f"{said}: the input has {name!r}, which occurrence_as= gives; leave one of them out")
    if isinstance(task, str):
        return  # whoever holds the task checks it with the rest of the input
    known = list(inspect.signature(inspect.unwrap(task.function)).parameters)
    if name not in known:
        near = difflib.get_close_matches(str(name), known, n=1)
        meant = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(known) or 'none'}"
        raise DefinitionError(f"{said}: occurrence_as={name!r} is no parameter of the task; {meant}")
