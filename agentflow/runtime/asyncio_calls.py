"""asyncio inside a task: what does the durable thing, and what says which durable thing to use instead."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from agentflow.errors import UnsupportedAwait

if TYPE_CHECKING:
    from collections.abc import Callable

_REPLACED: dict[Any, Callable[..., Any]] = {}
_REFUSED: dict[Any, str] = {
    asyncio.timeout: "its time would start anew on every replay; give the step or the awaited call a timeout instead "
    "(`@step(timeout=…)`, `asyncio.wait_for(…)`)",
    asyncio.timeout_at: "its time is not known to a replay; use `@step(timeout=…)` or `asyncio.wait_for(…)`",
    asyncio.TaskGroup: "its tasks would be recorded in an order that no replay can know; use `gather(…)`",
    asyncio.wait: "which of its tasks ends first is not known to a replay; use `gather(…)`",
    asyncio.shield: "a recorded operation needs no shield; await it, or put it into a @step",
}


def replace(call: Callable[..., Any], durable: Callable[..., Any]) -> None:
    """Let awaiting `call` inside a task do `durable`."""
    _REPLACED[call] = durable


def replacement_of(call: Any) -> Callable[..., Any] | None:
    """What to call in place of this function of asyncio, None if it is none that needs replacing."""
    try:
        if call in _REFUSED:
            return lambda *_args, **_kwargs: _refuse(call)
        return _REPLACED.get(call)
    except TypeError:  # not hashable, so none of asyncio's
        return None


def refusal_of(call: Any) -> str | None:
    """Why this cannot be used inside a task, None if it can."""
    try:
        return _REFUSED.get(call)
    except TypeError:
        return None


async def _refuse(call: Any) -> None:
    raise UnsupportedAwait(f"asyncio.{call.__name__} in a task: {_REFUSED[call]}")
