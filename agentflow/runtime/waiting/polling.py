"""`wait_until`: check again and again, with pauses that hold no memory, until it is done."""

from __future__ import annotations

import inspect
import types
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, Union, get_args, get_origin, overload

from agentflow.durations import describe, duration
from agentflow.errors import DefinitionError, PollingEnded
from agentflow.runtime.operations.performing import Work, perform
from agentflow.runtime.operations.values import now, sleep
from agentflow.runtime.scoping import annotation_of, current_scope, within
from agentflow.runtime.waiting.awaiting import checked_on_timeout, scope_for, span_or_none
from agentflow.tasks.calling import durable, is_durable
from agentflow.tasks.lookup import Done
from agentflow.tasks.step import Step, operation_name
from agentflow.tasks.task import Task

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

S = TypeVar("S")
T = TypeVar("T")
Span = str | float | timedelta


@dataclass(frozen=True, slots=True, init=False)
class Backoff:
    """Pauses that grow: the first is `least`, each is `factor` times the one before, none is longer than `most`."""

    least: timedelta
    factor: float
    most: timedelta

    def __init__(self, least: Span, *, factor: float = 2.0, most: Span = "5m") -> None:
        """Spans are texts such as `"1s"` and `"5m"`, seconds, or `timedelta`. Raises `DefinitionError`."""
        if isinstance(factor, bool) or not isinstance(factor, int | float) or not 1.0 <= factor <= 1000.0:  # noqa: PLR2004  more is a mistyped number
            raise DefinitionError(f"Backoff(factor={factor!r}): wanted a growth from 1 to 1000")
        first, longest = duration(least), duration(most)
        if first <= timedelta(0):
            raise DefinitionError(f"Backoff({least!r}): wanted a first pause longer than nothing")
        if longest < first:
            raise DefinitionError(f"Backoff({least!r}, most={most!r}): the least exceeds the most")
        for name, value in (("least", first), ("factor", float(factor)), ("most", longest)):
            object.__setattr__(self, name, value)

    def after(self, checks: int) -> timedelta:
        """The pause after this many checks."""
        growth = self.factor ** min(checks - 1, 62)  # past this `most` always wins; without it floats overflow
        return timedelta(seconds=min(self.least.total_seconds() * growth, self.most.total_seconds()))


GROWING: Final = Backoff("1s")
_NOTHING: Final[Any] = object()


@overload
async def wait_until(
    check: Callable[[], Awaitable[T]],
    *,
    every: Backoff | Span = GROWING,
    max_attempts: int | None = None,
    timeout: Span | None = None,
    on_timeout: Literal["raise"] = "raise",
) -> T: ...
@overload
async def wait_until(
    check: Callable[[], Awaitable[T]],
    *,
    every: Backoff | Span = GROWING,
    max_attempts: int | None = None,
    timeout: Span | None = None,
    on_timeout: Literal["none"],
) -> T | None: ...
@overload
async def wait_until(
    check: Callable[[S], Awaitable[Done[T] | S]],
    *,
    initial: S,
    every: Backoff | Span = GROWING,
    max_attempts: int | None = None,
    timeout: Span | None = None,
    on_timeout: Literal["raise"] = "raise",
) -> T: ...
@overload
async def wait_until(
    check: Callable[..., Any],
    *,
    initial: Any = ...,
    every: Backoff | Span = GROWING,
    max_attempts: int | None = None,
    timeout: Span | None = None,
    on_timeout: str = "raise",
) -> Any: ...
@durable
async def wait_until(
    check: Callable[..., Any],
    *,
    initial: Any = _NOTHING,
    every: Backoff | Span = GROWING,
    max_attempts: int | None = None,
    timeout: Span | None = None,
    on_timeout: str = "raise",
) -> Any:
    """What `check` gives when it is done, asked again and again with a pause of `every` in between.

    Without `initial`, `check()` is done when it gives anything true. With it, `check(state)` answers `Done(value)`, or
    the state to be asked with the next time. Each check is recorded, and the pauses hold no memory. An error of a check
    is raised; make it a `@step` with a retry policy to have it tried again. After `max_attempts` checks, or `timeout`
    by the store's clock, raises `PollingEnded`, or gives None with `on_timeout="none"`. Raises `DefinitionError` or
    `InvalidDuration`; nothing was checked then.
    """
    scope = scope_for("wait_until", outside="there is nothing that could wait; trigger the task")
    if max_attempts is not None and (type(max_attempts) is not int or max_attempts < 1):
        raise DefinitionError(f"wait_until(max_attempts={max_attempts!r}): wanted a whole number of checks, 1 or more")
    if not callable(check):
        raise DefinitionError(f"wait_until was given {check!r}, which cannot be called; give it the function itself")
    polling = _Polling(
        check,
        state=() if initial is _NOTHING else (initial,),
        backoff=_backoff(every),
        most=max_attempts,
        timeout=span_or_none(timeout),
        on_timeout=checked_on_timeout(on_timeout, of="wait_until"),
    )
    work = Work("wait_until", "await", lambda key, _: within(scope, key, polling.run, (), {}), (polling.name,))
    work.result, work.is_scope = polling.result, True
    return await perform(scope, work)


def _backoff(every: Backoff | Span) -> Backoff:
    return every if isinstance(every, Backoff) else Backoff(every, factor=1.0, most=every)


class _Polling:
    """The checks of one `wait_until`; `state` is what the next one is asked with."""

    def __init__(
        self,
        check: Callable[..., Any],
        *,
        state: tuple[Any, ...],
        backoff: Backoff,
        most: int | None,
        timeout: timedelta | None,
        on_timeout: str,
    ) -> None:
        self._check = check
        self._state = state
        self._backoff = backoff
        self._most = most
        self._timeout = timeout
        self._on_timeout = on_timeout
        self._annotation = annotation_of(check)
        self.name = _name_of(check)
        self.result = _value_of(self._annotation)

    async def run(self) -> Any:
        deadline = None if self._timeout is None else await now() + self._timeout
        checks = 0
        while True:
            answer = await self._ask()
            checks += 1
            if isinstance(answer, Done):
                return answer.value
            if self._state:
                self._state = (answer,)
            elif answer:
                return answer
            pause = await self._pause(checks, deadline)
            if pause is None:
                return self._ended(checks)
            await sleep(pause)

    async def _ask(self) -> Any:
        """What the check answers, recorded: by itself if it is a step or a task, else as an awaited call."""
        if is_durable(self._check):
            return await self._check(*self._state)

        async def call(*state: Any) -> Any:
            answer = self._check(*state)
            return await answer if inspect.isawaitable(answer) else answer

        scope = current_scope()
        work = Work(self.name, "await", lambda key, _: within(scope, key, call, self._state, {}), self._state)
        work.result = Done[Any] | Any if self._annotation is Any else self._annotation
        return await perform(scope, work)

    async def _pause(self, checks: int, deadline: datetime | None) -> timedelta | None:
        """How long until the next check; None if there is to be none."""
        if self._most is not None and checks >= self._most:
            return None
        pause = self._backoff.after(checks)
        if deadline is None:
            return pause
        left = deadline - await now()
        return min(pause, left) if left > timedelta(0) else None

    def _ended(self, checks: int) -> None:
        if self._on_timeout == "none":
            return
        within_time = "" if self._timeout is None else f" within {describe(self._timeout)}"
        error = PollingEnded(f"{self.name} was not done after {checks} check{'s' * (checks > 1)}{within_time}")
        scope = current_scope()
        first = self.name if self._timeout is None else "now"
        scope.turn.raised(error, f"{scope.path}/{first}#1")  # a retry begins anew, instead of hearing the same again
        raise error


def _name_of(check: Any) -> str:
    """What the journal calls the check."""
    if isinstance(check, Step):
        return check.name
    if isinstance(check, Task):
        return check.id
    return operation_name(str(getattr(check, "__name__", type(check).__name__)))


def _value_of(annotation: Any) -> Any:
    """The annotation of the value it ends with: `T` for a check that answers `Done[T] | S`."""
    if get_origin(annotation) is Done:
        return get_args(annotation)[0]
    if get_origin(annotation) in {Union, types.UnionType}:
        values = [get_args(one)[0] for one in get_args(annotation) if get_origin(one) is Done]
        return reduce(or_, values) if values else annotation
    return Any if annotation is Done else annotation
