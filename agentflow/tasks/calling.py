"""The seam between definitions and a run: who is calling, and what the awaits of a task become.

Definitions know only this protocol; the runtime implements it and says, through a context variable, which run (or
which step of a run) the present code belongs to. Outside a run there is no caller, and everything just runs.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from agentflow.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from agentflow.records import Run
    from agentflow.tasks.fallback import Fallback
    from agentflow.tasks.step import Step
    from agentflow.tasks.task import Task

F = TypeVar("F", bound="Callable[..., Any]")
DURABLE: Final = "__agentflow_durable__"
"""Set on what records itself when it is called inside a run, and so must not be recorded a second time."""


class Caller(Protocol):
    """The run, or the step of a run, that is calling."""

    def checkpoint(
        self, name: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Awaitable[Any]:
        """Record the awaited call of a plain function under its source name."""
        ...

    def awaited(self, name: str, value: Awaitable[Any]) -> Awaitable[Any]:
        """Record an awaited value that is not a call."""
        ...

    def entered(self, name: str, manager: Callable[..., Any]) -> Callable[..., Any]:
        """The context manager to enter in place of `manager`."""
        ...

    def step(self, step: Step[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Awaitable[Any]:
        """Record the call of a step."""
        ...

    def task(self, task: Task[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Awaitable[Any]:
        """Record the call of another task, as a scope of this run."""
        ...

    def fallback(self, chain: Fallback, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Awaitable[Any]:
        """Record the hops of a fallback chain."""
        ...

    def trigger(self, task: Task[..., Any], inputs: Sequence[str]) -> Awaitable[Sequence[str]]:
        """Start child runs, recorded together; their ids."""
        ...

    def result(self, task: Task[..., Any], run_id: str) -> Awaitable[Any]:
        """Wait durably for a child run."""
        ...


class Starter(Protocol):
    """What starts runs outside of any run: an `AgentFlow` that is open around the code."""

    async def start(self, task: Task[..., Any], inputs: Sequence[str]) -> Sequence[str]:
        """The ids of new runs, one for each input."""
        ...

    async def ended(self, run_id: str) -> Run:
        """The run, once it has ended."""
        ...


current_caller: ContextVar[Caller | None] = ContextVar("agentflow_caller", default=None)
current_starter: ContextVar[Starter | None] = ContextVar("agentflow_starter", default=None)


_DURABLE_CODES: set[Any] = set()


def durable(function: F) -> F:
    """Mark a function that records itself when it is awaited inside a run."""
    setattr(function, DURABLE, True)
    _DURABLE_CODES.add(function.__code__)
    return function


def is_durable(value: Any) -> bool:
    """Whether awaiting this value, or calling it, records itself."""
    return bool(getattr(value, DURABLE, False)) or getattr(value, "cr_code", None) in _DURABLE_CODES


def starter(what: str) -> Starter:
    """The open `AgentFlow` around this code. Raises `DefinitionError` if there is none; no run was made."""
    found = current_starter.get()
    if found is None:
        raise DefinitionError(
            f"{what} outside of a run needs an open AgentFlow around it: `async with AgentFlow(...)`; no run was made"
        )
    return found


# -- what rewritten awaits call; the first two parameters are positional-only, the rest are the user's


def checkpoint(name: str, function: Any, /, *args: Any, **kwargs: Any) -> Any:
    """What `await function(*args)` in a task awaits."""
    caller = current_caller.get()
    if caller is None or getattr(function, DURABLE, False):
        return function(*args, **kwargs)
    return caller.checkpoint(name, function, args, kwargs)


def awaited(name: str, value: Any, /) -> Any:
    """What `await value` in a task awaits."""
    caller = current_caller.get()
    if caller is None or is_durable(value):
        return value
    return caller.awaited(name, value)


def entered(name: str, manager: Any, /) -> Any:
    """What `async with manager(...)` in a task enters."""
    caller = current_caller.get()
    return manager if caller is None else caller.entered(name, manager)
