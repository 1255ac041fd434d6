"""Fallback chains: the first hop that answers, each hop a checkpoint."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agentflow.errors import AllFailed, DefinitionError, Fatal
from agentflow.retry import ONCE, Retry
from agentflow.tasks.annotations import result_annotation
from agentflow.tasks.calling import current_caller
from agentflow.tasks.step import Step, operation_name, positive

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import timedelta

    from agentflow.tasks.breaker import Breaker
    from agentflow.tasks.step import Span

Errors = tuple[type[Exception], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Hop:
    """One way to get an answer, with its own retry policy, limits of time and circuit breaker."""

    function: Callable[..., Any]
    name: str
    retry: Retry
    timeout: timedelta | None
    schedule_to_close: timedelta | None = None
    breaker: Breaker | None = None

    @property
    def result(self) -> Any:
        """The annotation of what the hop returns."""
        return self.function.result if isinstance(self.function, Step) else result_annotation(self.function)

    async def run(self, *args: Any, **kwargs: Any) -> Any:
        """Call the hop's function once; a sync one in a thread."""
        if isinstance(self.function, Step):
            return await self.function.run(*args, **kwargs)
        if inspect.iscoroutinefunction(inspect.unwrap(self.function)):
            return await self.function(*args, **kwargs)
        result = await asyncio.to_thread(self.function, *args, **kwargs)
        return await result if inspect.isawaitable(result) else result


def hop(
    function: Callable[..., Any],
    *,
    retry: Retry | None = None,
    timeout: Span = None,
    schedule_to_close: Span = None,
    breaker: Breaker | None = None,
    name: str | None = None,
) -> Hop:
    """A hop of a fallback chain with a retry policy, limits of time or a circuit breaker of its own.

    While the breaker is open the function is not called, and the chain goes on to the next hop at once.
    """
    if isinstance(function, Hop):
        function = function.function
    if not callable(function):
        raise DefinitionError(f"fallback: {function!r} cannot be called")
    own = function if isinstance(function, Step) else None
    named = name or getattr(own, "name", None) or getattr(function, "__qualname__", type(function).__name__)
    return Hop(
        function,
        operation_name(str(named).rpartition("<locals>.")[2]),
        retry or (own.retry if own else ONCE),
        positive("timeout", timeout) or (own.timeout if own else None),
        positive("schedule_to_close", schedule_to_close) or (own.schedule_to_close if own else None),
        breaker or (own.breaker if own else None),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Fallback:
    """A chain of hops, called like the functions in it."""

    hops: tuple[Hop, ...]
    on: Errors
    accept: Callable[[Any], bool] | None
    name: str
    __agentflow_durable__: bool = field(default=True, init=False, repr=False)

    def __call__(self, *args: Any, **kwargs: Any) -> Awaitable[Any]:
        caller = current_caller.get()
        return self.run(*args, **kwargs) if caller is None else caller.fallback(self, args, kwargs)

    async def run(self, *args: Any, **kwargs: Any) -> Any:
        """Try the hops in order, recording nothing and retrying nothing."""
        failures: list[str] = []
        last: Exception | None = None
        for one in self.hops:
            try:
                answer = await one.run(*args, **kwargs)
            except Exception as error:
                if not self.goes_on_after(error):
                    raise
                failures.append(f"{one.name}: {type(error).__name__}: {error}")
                last = error
                continue
            if self.accepts(answer):
                return answer
            failures.append(f"{one.name}: its answer was not accepted")
        raise AllFailed(failures) from last

    def goes_on_after(self, error: Exception) -> bool:
        """Whether the next hop is tried after this error."""
        return isinstance(error, self.on) and not isinstance(error, Fatal)

    def accepts(self, answer: Any) -> bool:
        """Whether this answer ends the chain."""
        return self.accept is None or bool(self.accept(answer))


def fallback(
    primary: Callable[..., Any],
    *others: Callable[..., Any],
    on: type[Exception] | Errors = (Exception,),
    accept: Callable[[Any], bool] | None = None,
    retry: Retry | None = None,
    timeout: str | float | timedelta | None = None,
    name: str | None = None,
) -> Fallback:
    """A callable that tries `primary`, then each other in order, and gives the first answer.

    Inside a run each hop is a checkpoint: a hop that failed is not tried again after a crash. The next hop is tried
    after an error that is one of `on` (`Fatal` never is) and, where `accept` is given, after an answer it refuses.
    `retry` and `timeout` hold for each hop that has none of its own; wrap one in `hop(...)` to give it some. When no
    hop answers, `AllFailed` names each hop's reason. Raises `DefinitionError`.
    """
    made = [one if isinstance(one, Hop) else hop(one, retry=retry, timeout=timeout) for one in (primary, *others)]
    if len({one.name for one in made}) != len(made):
        raise DefinitionError(
            f"fallback: two hops are named alike ({', '.join(one.name for one in made)}); use hop(name=)"
        )
    errors = on if isinstance(on, tuple) else (on,)
    return Fallback(
        tuple(made), errors, accept, operation_name(name or f"fallback({', '.join(one.name for one in made)})")
    )
