"""The caller of code that belongs to a run: every await in it is recorded."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from agentflow.errors import UnsupportedAwait
from agentflow.runtime.asyncio_calls import refusal_of, replacement_of
from agentflow.runtime.chains import record_fallback
from agentflow.runtime.children import child_result, trigger_children
from agentflow.runtime.dry.rehearsal import rehearsed
from agentflow.runtime.operations.recording import record_call, record_step, record_task, record_value
from agentflow.tasks.step import operation_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from agentflow.runtime.scope import Scope
    from agentflow.runtime.turn import Turn
    from agentflow.tasks.fallback import Fallback
    from agentflow.tasks.step import Step
    from agentflow.tasks.task import Task


class InRun:
    """The caller of code that belongs to a scope of a run."""

    __slots__ = ("scope", "turn")

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.turn: Turn = scope.turn

    @property
    def key(self) -> str | None:
        """The operation this code belongs to, None for the task itself."""
        return self.scope.path or None

    @property
    def is_replaying(self) -> bool:
        """Whether the code is on ground it has covered before."""
        return self.scope.is_replaying

    def checkpoint(
        self, name: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Awaitable[Any]:
        replacement = replacement_of(function)
        if replacement is not None:
            return cast("Awaitable[Any]", replacement(*args, **kwargs))
        return record_call(operation_name(name), function, args, kwargs)

    def awaited(self, name: str, value: Awaitable[Any]) -> Awaitable[Any]:
        if isinstance(value, asyncio.Future):
            return value  # a bare suspension; driving the task reports it
        return record_value(operation_name(name), value)

    def entered(self, name: str, manager: Callable[..., Any]) -> Callable[..., Any]:
        refusal = refusal_of(manager)
        if refusal is not None:
            raise UnsupportedAwait(f"`async with {name}(…)` in task {self.turn.task.id}: {refusal}")
        return manager

    def step(self, step: Step[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Awaitable[Any]:
        return record_step(step, args, kwargs)

    def task(self, task: Task[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Awaitable[Any]:
        return record_task(task, args, kwargs)

    def fallback(self, chain: Fallback, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Awaitable[Any]:
        return record_fallback(chain, args, kwargs)

    async def trigger(self, task: Task[..., Any], inputs: Sequence[str]) -> Sequence[str]:
        return await rehearsed(self.scope, trigger_children(self.scope, task, inputs))

    async def result(self, task: Task[..., Any], run_id: str) -> Any:
        return await rehearsed(self.scope, child_result(self.scope, task, run_id))
