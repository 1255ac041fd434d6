"""Rates that calls of all workers share: waiting durably until one may be made, and holding all of them off."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from agentflow.requests import TakeRate
from agentflow.retry import asked_delay
from agentflow.runtime.callers import InRun
from agentflow.runtime.operations.leaf import InStep
from agentflow.runtime.operations.performing import Work, perform
from agentflow.runtime.operations.values import sleep_until
from agentflow.tasks.calling import current_caller, durable
from agentflow.tasks.step import operation_name

if TYPE_CHECKING:
    from agentflow.limits import Rate
    from agentflow.runtime.turn import Turn

BRIEF: Final = timedelta(minutes=1)
"""How long a key is held off for a refusal that does not say how long."""
TOO_MANY: Final = 429


@durable
async def await_rate(key: str, rate: Rate) -> None:
    """Return when a call may be made that counts against the rate of this key; it counts from then on.

    Inside a run, waiting holds no memory, and a replay neither waits nor counts again. Outside of one, and in a step,
    there is no waiting and nothing counts.
    """
    caller: Any = current_caller.get()
    if not isinstance(caller, InRun):
        return
    name = operation_name(f"rate.{key}")
    while True:
        taking = partial(_take, caller.turn, key, rate)
        due_at: datetime | None = await perform(caller.scope, Work(name, "rate", taking, result=datetime | None))
        if due_at is None:
            return
        await sleep_until(due_at)


async def _take(turn: Turn, key: str, rate: Rate, _operation: str, _attempt: int) -> datetime | None:
    request = TakeRate(key=key, amount=rate.amount, per=rate.per, run_id=turn.run.id)
    until: datetime | None = await turn.sure(turn.store.take_rate, request)
    return until


async def hold_off_after(key: str, error: Exception) -> None:
    """Hold the rate key off, for all workers, where the error of a call in a step asks to be left alone.

    It does by `retry_after`, by a response's `Retry-After`, or by the status 429 alone, which is taken for a minute.
    """
    caller: Any = current_caller.get()
    if not isinstance(caller, InStep):
        return
    delay = asked_delay(error, caller.turn.clock.now())
    if delay is None and _status(error) == TOO_MANY:
        delay = BRIEF
    if delay:
        await caller.turn.sure(caller.turn.store.hold_off, key, delay)


def _status(error: Exception) -> Any:
    """The HTTP status an error carries, itself or by its response."""
    response = getattr(error, "response", None)
    return getattr(error, "status", None) or getattr(response, "status_code", None)
