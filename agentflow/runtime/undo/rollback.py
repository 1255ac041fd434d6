"""`on_rollback`: what is to be called should the run fail, be rejected or be cancelled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow.runtime.callers import InRun
from agentflow.runtime.operations.leaf import InStep, refuse_in_step
from agentflow.runtime.operations.performing import Work, perform
from agentflow.tasks.calling import current_caller, durable
from agentflow.tasks.undo import Undo

if TYPE_CHECKING:
    from collections.abc import Callable

OPERATION = "on_rollback"


@durable
async def on_rollback(function: Callable[..., Any] | Undo, /, *args: Any, **kwargs: Any) -> None:
    """Have `function` called with these arguments if the run fails for good, is rejected, cancelled or overruns.

    What is registered last is called first, together with the undos of steps, each as an operation of its own with
    retries. `Undo(function, retry=…)` gives it another retry policy. Outside a run it does nothing.
    """
    undo = function if isinstance(function, Undo) else Undo(function)
    caller = current_caller.get()
    if isinstance(caller, InStep):
        refuse_in_step(caller, "on_rollback was called")
    if not isinstance(caller, InRun):
        return
    work = Work(OPERATION, OPERATION, _registered, args, kwargs)
    work.take_back_by(undo)
    await perform(caller.scope, work)


async def _registered(_key: str, _attempt: int) -> None:
    """All there is to it is the entry that says so."""
