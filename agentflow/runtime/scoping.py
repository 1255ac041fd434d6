"""Calling code in a scope of its own, or as the one piece that a step is."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
from typing import TYPE_CHECKING, Any, cast

from agentflow.errors import OperationError
from agentflow.runtime.scope import Scope
from agentflow.tasks.annotations import result_annotation
from agentflow.tasks.calling import current_caller

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agentflow.runtime.operations.leaf import InStep
    from agentflow.tasks.calling import Caller
    from agentflow.tasks.step import Step


def current_scope() -> Scope:
    """The scope the present code runs in; only for code that is known to be in a run."""
    return cast("Scope", cast("Any", current_caller.get()).scope)


async def within(
    scope: Scope, path: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Any:
    """Call a function as a scope of its own."""
    inner = Scope(scope.turn, path, scope.branch)
    inner.enter()
    token = current_caller.set(scope.turn.caller_for(inner))
    try:
        result = await function(*args, **kwargs)
    except SystemExit as error:
        raise exited(path, error) from error
    finally:
        current_caller.reset(token)
    inner.leave()
    return result


def exited(key: str, error: SystemExit) -> OperationError:
    """A call of `sys.exit` in a run as the failure of its operation: it is not to end the worker of other runs too."""
    return OperationError(f"{key} called sys.exit({'' if error.code is None else error.code})")


async def alone(caller: InStep, step: Step[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Call a step's function, with nothing in it recorded; a sync one in a thread of the worker's."""
    token = current_caller.set(cast("Caller", caller))
    try:
        if step.is_async:
            return await step.function(*args, **kwargs)
        call = functools.partial(contextvars.copy_context().run, step.function, *args, **kwargs)
        result = await asyncio.get_running_loop().run_in_executor(caller.turn.threads, call)
        return await result if inspect.isawaitable(result) else result
    except SystemExit as error:
        raise exited(caller.key, error) from error
    finally:
        current_caller.reset(token)


@functools.lru_cache(4096)
def _annotation(function: Any) -> Any:
    return result_annotation(function)


def annotation_of(function: Any) -> Any:
    """What awaiting a call of this function gives, looked up once for each function and not for each bound method."""
    try:
        return _annotation(getattr(function, "__func__", function))
    except TypeError:  # not hashable
        return result_annotation(function)
