"""Recording calls: what an await, a step or a nested task in a run becomes.

Each is a coroutine that looks up its scope when it is awaited, not when it is made: `gather(f(x))` makes it in one
scope and awaits it in another.
"""

from __future__ import annotations

import inspect
from functools import partial
from typing import TYPE_CHECKING, Any

from agentflow.runtime.operations.leaf import InStep
from agentflow.runtime.operations.lookups import look_up
from agentflow.runtime.operations.performing import Work, perform
from agentflow.runtime.scoping import alone, annotation_of, current_scope, within
from agentflow.tasks.calling import durable
from agentflow.tasks.step import ASK

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from agentflow.tasks.step import Step
    from agentflow.tasks.task import Task


@durable
async def record_call(name: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    scope = current_scope()
    work = Work(name, "await", lambda key, _: within(scope, key, function, args, kwargs), args, kwargs)
    work.result = annotation_of(function)
    return await perform(scope, work)


@durable
async def record_value(name: str, value: Awaitable[Any]) -> Any:
    async def awaiting() -> Any:
        return await value

    scope = current_scope()
    try:
        return await perform(scope, Work(name, "await", lambda key, _: within(scope, key, awaiting, (), {})))
    finally:
        if inspect.iscoroutine(value):
            value.close()  # recorded before: it is not to run, nor to be warned about


@durable
async def record_step(step: Step[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    scope = current_scope()
    work = Work.of_step(step, lambda key, attempt: alone(InStep(scope, key, attempt), step, args, kwargs), args, kwargs)
    if step.lookup is not None or step.on_unknown == ASK:
        work.look_up = partial(look_up, work, step)
    return await perform(scope, work)


@durable
async def record_task(task: Task[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    scope = current_scope()
    work = Work(task.id, "task", lambda key, _: within(scope, key, task.body, args, kwargs), args, kwargs)
    work.result, work.retry, work.timeout, work.is_scope = task.signature.result, task.retry, task.timeout, True
    return await perform(scope, work)
