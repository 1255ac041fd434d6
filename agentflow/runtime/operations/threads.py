"""Sync code called from an async step, in a thread of the worker's."""

from __future__ import annotations

import asyncio
import contextvars
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from agentflow.tasks.calling import current_caller

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")


async def in_thread(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """What a sync function gives, called where sync steps are; outside of a run in a thread of the event loop's."""
    caller: Any = current_caller.get()
    threads = None if caller is None else caller.turn.threads
    call = partial(contextvars.copy_context().run, partial(function, *args, **kwargs))
    return await asyncio.get_running_loop().run_in_executor(threads, call)
