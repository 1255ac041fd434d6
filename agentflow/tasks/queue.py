"""Queues as declared in code, and triggers that become one run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from agentflow.durations import duration
from agentflow.errors import DefinitionError, InvalidDuration, InvalidSetting
from agentflow.limits import UNLIMITED, Budget, Limits, Rate, described, require_count, require_name
from agentflow.requests import DeclareQueue

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentflow.tasks.reading import Key

DEFAULT = "default"
Span = str | float | timedelta
Conflict = Literal["skip", "replace", "join"]


@dataclass(frozen=True, slots=True, init=False)
class Queue:
    """Where runs line up, and what holds there, for all workers together and exactly.

    At most `concurrency` of its runs are executed at a time, `per_key` of those with one queue key, `per_worker` by one
    worker; a run that waits for a person or a timer counts for none. At most `rate` ("100/min") start; the costs of
    those that start stay within `budget`, which queues share by its name. More than `backlog` runs that never started
    are refused. With `fair` the keys take turns. A queue without limits is just a name, and may be given as a text.
    Raises `DefinitionError`.
    """

    name: str
    limits: Limits

    def __init__(
        self,
        name: str,
        *,
        concurrency: int | None = None,
        per_key: int | None = None,
        per_worker: int | None = None,
        rate: Rate | str | None = None,
        budget: Budget | None = None,
        backlog: int | None = None,
        fair: bool = False,
    ) -> None:
        try:
            object.__setattr__(self, "name", require_name("queue", name))
            limits = Limits(
                concurrency=concurrency,
                per_key=per_key,
                per_worker=per_worker,
                rate=None if rate is None else Rate.of(rate),
                budget=budget,
                backlog=backlog,
                fair=fair,
            )
        except InvalidSetting as error:
            raise DefinitionError(f"queue {name!r}: {error}") from error
        if name == DEFAULT and limits != UNLIMITED:
            raise DefinitionError(f"queue {DEFAULT!r} has no limits; give this one another name")
        object.__setattr__(self, "limits", limits)

    @classmethod
    def of(cls, queue: Queue | str) -> Queue:
        """The queue, or the one that is just this name. Raises `DefinitionError`."""
        return queue if isinstance(queue, Queue) else cls(queue)


@dataclass(frozen=True, slots=True, init=False)
class Debounce:
    """Triggers that follow one another closely become one run, of the last of them.

    It starts `span` after the last trigger, and at the latest `most` after the first. `key` (a parameter's name, or a
    function of the task's arguments) keeps those of different things apart. Raises `DefinitionError`.
    """

    span: timedelta
    most: timedelta | None
    key: Key | None

    def __init__(self, span: Span, *, most: Span | None = None, key: Key | None = None) -> None:
        object.__setattr__(self, "span", _span("Debounce: span", span))
        object.__setattr__(self, "most", None if most is None else _span("Debounce: most", most))
        object.__setattr__(self, "key", key)
        if self.most is not None and self.most < self.span:
            raise DefinitionError(f"Debounce: most={most!r} is shorter than its span {span!r}")


@dataclass(frozen=True, slots=True, init=False)
class Batch:
    """Triggers become one run of the list of their inputs, once there are `size`, or `span` after the first.

    The task takes one list; each trigger gives a list, mostly of one. `key` keeps those of different things apart.
    Raises `DefinitionError`.
    """

    size: int
    span: timedelta
    key: Key | None

    def __init__(self, size: int, span: Span, *, key: Key | None = None) -> None:
        try:
            object.__setattr__(self, "size", require_count("size", size))
        except InvalidSetting as error:
            raise DefinitionError(f"Batch: {error}") from error
        object.__setattr__(self, "span", _span("Batch: span", span))
        object.__setattr__(self, "key", key)


def declared(queues: Iterable[Queue | str]) -> list[DeclareQueue]:
    """The queues, each once. Raises `DefinitionError` where two disagree about a queue or a budget."""
    found: dict[str, Queue] = {}
    names: dict[str, None] = {}
    budgets: dict[str, tuple[Budget, str]] = {}
    for one in queues:
        if isinstance(one, str):
            names[one] = None
            continue
        if found.setdefault(one.name, one) != one:
            raise DefinitionError(
                f"queue {one.name!r} is declared twice, with different limits ({_said(one)}; "
                f"{_said(found[one.name])}); declare it once and give that to each task"
            )
        _agree(one, budgets)
    named = [DeclareQueue(name=name, limits=None) for name in names if name not in found]
    every = [*(DeclareQueue(name=one.name, limits=one.limits) for one in found.values()), *named]
    return [one for one in every if one.name != DEFAULT]


def _said(queue: Queue) -> str:
    return ", ".join(described(queue.limits)) or "none"


def _agree(queue: Queue, budgets: dict[str, tuple[Budget, str]]) -> None:
    budget = queue.limits.budget
    if budget is None or budgets.setdefault(budget.name, (budget, queue.name))[0] == budget:
        return
    known, other = budgets[budget.name]
    raise DefinitionError(
        f"budget {budget.name!r} is {budget.rate} in queue {queue.name!r} and {known.rate} in queue {other!r}; "
        "declare it once and give that to each queue"
    )


def _span(what: str, span: Any) -> timedelta:
    try:
        found = duration(span)
    except InvalidDuration as error:
        raise DefinitionError(f"{what}: {error}") from error
    if not found:
        raise DefinitionError(f"{what}={span!r}: wanted a span longer than nothing")
    return found
