"""The caller of code inside a step: nothing in it is recorded, and it cannot wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, cast

from agentflow.errors import UnsupportedAwait

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from agentflow.runtime.scope import Scope
    from agentflow.runtime.turn import Turn
    from agentflow.tasks.fallback import Fallback
    from agentflow.tasks.step import Step
    from agentflow.tasks.task import Task


class InStep:
    """Calls just run; what would have to be recorded is refused."""

    __slots__ = ("attempt", "key", "scope", "turn")
    is_replaying = False

    def __init__(self, scope: Scope, key: str, attempt: int) -> None:
        self.scope = scope
        self.turn: Turn = scope.turn
        self.key = key
        self.attempt = attempt

    def checkpoint(
        self, name: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Awaitable[Any]:
        del name
        return cast("Awaitable[Any]", function(*args, **kwargs))

    def awaited(self, name: str, value: Awaitable[Any]) -> Awaitable[Any]:
        del name
        return value

    def entered(self, name: str, manager: Callable[..., Any]) -> Callable[..., Any]:
        del name
        return manager

    def step(self, step: Step[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Awaitable[Any]:
        return step.run(*args, **kwargs)

    def task(self, task: Task[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Awaitable[Any]:
        return cast("Awaitable[Any]", task.function(*args, **kwargs))

    def fallback(self, chain: Fallback, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Awaitable[Any]:
        return chain.run(*args, **kwargs)

    async def trigger(self, task: Task[..., Any], inputs: Sequence[str]) -> Sequence[str]:
        del inputs
        refuse_in_step(self, f"task {task.id!r} was triggered")

    async def result(self, task: Task[..., Any], run_id: str) -> Any:
        refuse_in_step(self, f"run {run_id} of {task.id} was awaited")


def refuse_in_step(caller: InStep, what: str) -> NoReturn:
    """Raise `UnsupportedAwait`: a step runs as one piece and cannot wait or start other runs durably."""
    raise UnsupportedAwait(
        f"{what} inside step {caller.key}, which runs as one piece and records nothing within; do it in the task, "
        "or in an undecorated async function that the task awaits"
    )
