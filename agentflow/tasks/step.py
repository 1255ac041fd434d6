"""Steps: calls whose result is kept, with a retry policy and a timeout of their own."""

from __future__ import annotations

import asyncio
import copy
import inspect
from datetime import timedelta
from enum import StrEnum
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast, overload

from agentflow.durations import duration
from agentflow.errors import DefinitionError
from agentflow.retry import ONCE, Retry
from agentflow.tasks.annotations import result_annotation
from agentflow.tasks.calling import current_caller
from agentflow.tasks.undo import undo_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from agentflow.tasks.breaker import Breaker
    from agentflow.tasks.undo import Undo

P = ParamSpec("P")
R = TypeVar("R")
Span = str | float | timedelta | None
ATTENTION, ASK = "attention", "ask"


class Effect(StrEnum):
    """What a step may do when the process dies while it runs."""

    AT_LEAST_ONCE = "at_least_once"
    AT_MOST_ONCE = "at_most_once"


class Step(Generic[P, R]):
    """A function whose result is recorded when it is called inside a run; outside of one it just runs.

    Calling it always gives something to await, also for a sync function, which runs in a thread.
    """

    __agentflow_durable__ = True
    operation = "step"
    """What the journal calls a call of it: a model's and a tool's are told apart from other steps."""

    def __init__(
        self,
        function: Callable[P, Any],
        *,
        name: str | None = None,
        retry: Retry = ONCE,
        timeout: Span = None,
        schedule_to_close: Span = None,
        heartbeat_timeout: Span = None,
        effect: Effect | str = Effect.AT_LEAST_ONCE,
        lookup: Callable[..., Any] | None = None,
        on_unknown: str = ATTENTION,
        breaker: Breaker | None = None,
        undo: Callable[..., Any] | Undo | None = None,
    ) -> None:
        if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
            raise DefinitionError(f"step {function.__qualname__} is a generator; a step returns one result")
        if not callable(function):
            raise DefinitionError(f"@step is on {function!r}, which cannot be called")
        self.function = function
        self.name = operation_name(name or str(getattr(function, "__name__", type(function).__name__)))
        self.retry = retry
        self.timeout = positive("timeout", timeout)
        self.schedule_to_close = positive("schedule_to_close", schedule_to_close)
        self.heartbeat_timeout = positive("heartbeat_timeout", heartbeat_timeout)
        self.effect = effect_of(effect)
        self.lookup = _lookup(lookup, self.effect)
        self.on_unknown = _on_unknown(on_unknown, self.effect)
        self.breaker = breaker
        self.undo = undo_of(undo, function)
        self.is_async = inspect.iscoroutinefunction(function)
        self._result: Any = _UNKNOWN
        _require_order(self)
        update_wrapper(cast("Any", self), function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[None, None, R]:
        caller = current_caller.get()
        if caller is None:
            return self.run(*args, **kwargs)
        return cast("Coroutine[None, None, R]", caller.step(self, args, kwargs))

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """A step that is a method is called with its object, as any method."""
        if instance is None:
            return self
        bound = copy.copy(self)
        bound.function = self.function.__get__(instance, owner)
        bound.lookup = None if self.lookup is None else self.lookup.__get__(instance, owner)
        bound.undo = None if self.undo is None else self.undo.of(instance)
        return bound

    async def run(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function once, recording nothing."""
        if self.is_async:
            return cast("R", await self.function(*args, **kwargs))
        return cast("R", await asyncio.to_thread(self.function, *args, **kwargs))

    @property
    def result(self) -> Any:
        """The annotation of what the function returns; `Any` where there is none."""
        if self._result is _UNKNOWN:
            self._result = result_annotation(self.function)
        return self._result

    def __repr__(self) -> str:
        return f"<step {self.name}>"


_UNKNOWN: Any = object()


@overload
def step(function: Callable[P, Coroutine[Any, Any, R]], /) -> Step[P, R]: ...
@overload
def step(function: Callable[P, R], /) -> Step[P, R]: ...
@overload
def step(
    *,
    name: str | None = None,
    retry: Retry = ONCE,
    timeout: Span = None,
    schedule_to_close: Span = None,
    heartbeat_timeout: Span = None,
    effect: Effect | str = Effect.AT_LEAST_ONCE,
    lookup: Callable[..., Any] | None = None,
    on_unknown: str = ATTENTION,
    breaker: Breaker | None = None,
    undo: Callable[..., Any] | Undo | None = None,
) -> StepDecorator: ...
def step(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a function a step: its result is recorded, and after a crash it is not called again for it.

    `retry` says how often a failed call is tried again (by default it is not). `timeout` bounds one attempt,
    `schedule_to_close` all attempts and the waits between them; an attempt that gives no `heartbeat()` for
    `heartbeat_timeout` fails. With `effect="at_most_once"` the start is recorded first, and a call cut off by a crash
    needs a person's attention instead of being made again, unless `lookup`, called with the same arguments, says what
    became of it: `Done(result)`, `NOT_DONE`, or None where it cannot tell. With `on_unknown="ask"` a person is then
    asked in the inbox whether it happened, and the run goes on with the answer. While `breaker` is open the function is
    not called. `undo` takes back what the step did if the run fails or is cancelled later. `name` is what the journal
    calls it. Raises `DefinitionError` or `InvalidDuration`.
    """
    if function is not None:
        return Step(function, **options)
    return lambda inner: Step(inner, **options)


if TYPE_CHECKING:
    from typing import Protocol

    class StepDecorator(Protocol):
        """What `step(...)` with options returns."""

        @overload
        def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> Step[P, R]: ...
        @overload
        def __call__(self, function: Callable[P, R], /) -> Step[P, R]: ...


def operation_name(name: str) -> str:
    """A name usable in keys, which are made of names, `/` and `#`."""
    cleaned = name.strip().replace("/", "_").replace("#", "_").replace("[", "(").replace("]", ")")
    if not cleaned:
        raise DefinitionError("an operation's name is empty; give one with name=")
    return cleaned


def positive(what: str, span: Span) -> timedelta | None:
    """The span, which must be longer than nothing. Raises `DefinitionError`."""
    if span is None:
        return None
    found = duration(span)
    if found <= timedelta(0):
        raise DefinitionError(f"{what}={span!r}: wanted a span longer than nothing, or None for no limit")
    return found


def effect_of(effect: Effect | str) -> Effect:
    """The effect of this name. Raises `DefinitionError`."""
    try:
        return Effect(effect)
    except ValueError:
        known = ", ".join(repr(one.value) for one in Effect)
        raise DefinitionError(f"effect={effect!r}: wanted one of {known}") from None


def _lookup(function: Callable[..., Any] | None, effect: Effect) -> Step[..., Any] | None:
    """A lookup as a step: one that is none has the policy of `Retry()`, since looking a second time does no harm."""
    if function is None:
        return None
    if effect is not Effect.AT_MOST_ONCE:
        raise DefinitionError(
            "lookup= says what became of a call that is not made again: it needs effect='at_most_once'"
        )
    return function if isinstance(function, Step) else Step(function, retry=Retry())


def _on_unknown(what: str, effect: Effect) -> str:
    """What is done about a call whose end is not known. Raises `DefinitionError`."""
    if what not in (ATTENTION, ASK):
        raise DefinitionError(f"on_unknown={what!r}: wanted {ATTENTION!r} or {ASK!r}")
    if what == ASK and effect is not Effect.AT_MOST_ONCE:
        raise DefinitionError(
            "on_unknown='ask' asks what became of a call that is not made again: it needs effect='at_most_once'"
        )
    return what


def _require_order(one: Step[..., Any]) -> None:
    """Raise `DefinitionError` for a sign of life that is due only after the time is over."""
    for name in ("timeout", "schedule_to_close"):
        whole = getattr(one, name)
        if one.heartbeat_timeout is not None and whole is not None and one.heartbeat_timeout > whole:
            raise DefinitionError(
                f"step {one.name}: heartbeat_timeout={one.heartbeat_timeout} exceeds {name}={whole}, over before it"
            )
