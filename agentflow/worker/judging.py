"""Judging: what a listener's code says of an event, as what the store is asked for.

It is a user's code and may be slow, fail or hang. What is not `async` runs on a thread of its own, so that it holds up
nothing; what has not ended in time has failed.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from agentflow.errors import AgentflowError
from agentflow.requests import SettleMatch
from agentflow.states import MatchStatus
from agentflow.tasks.listener import ReceivedEvent
from agentflow.tasks.payload_functions import mapped_input, payload_input

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentflow.records import Event
    from agentflow.tasks.listener import Listener
    from agentflow.tasks.payload_functions import PayloadFunction
    from agentflow.tasks.task import Task

LONGEST: Final = 10.0
"""Seconds that `where=` and `input=` together may take for an event."""
LONGEST_REASON: Final = 2000
SAID_NO: Final = "where= said no"


async def judged(listener: Listener, task: Task[..., Any], event: Event, *, within: float = LONGEST) -> SettleMatch:
    """What becomes of this event. Never raises but when it is cancelled: what goes wrong is a reason."""
    try:
        async with asyncio.timeout(within):
            encoded = await _input(listener, task, event)
    except asyncio.CancelledError:
        raise
    except TimeoutError as error:
        told = str(error) or f"where= and input= took longer than {within:g} s"
        return _settled(listener, event, MatchStatus.FAILED, told)
    except BaseException as error:  # noqa: BLE001  users' code, which may raise anything
        return _settled(listener, event, MatchStatus.FAILED, _told(error))
    if encoded is None:
        return _settled(listener, event, MatchStatus.IGNORED, SAID_NO)
    try:
        run = task.request(encoded, origin=f"event {event.name}")
    except Exception as error:  # noqa: BLE001  its options may be users' code too
        return _settled(listener, event, MatchStatus.FAILED, _told(error))
    return SettleMatch(event_id=event.id, listener_id=listener.id, status=MatchStatus.STARTED, run=run)


async def _input(listener: Listener, task: Task[..., Any], event: Event) -> str | None:
    """The run's stored input; None where there is to be no run."""
    if listener.where is not None and not await _asked(listener.where, task.id, event):
        return None
    if listener.input is not None:
        return mapped_input(task, await _asked(listener.input, task.id, event))
    return payload_input(task, json.loads(event.payload))


async def _asked(function: PayloadFunction, task_id: str, event: Event) -> Any:
    """What the function gives; each gets a payload of its own, so that none can change another's."""

    def call() -> Any:
        received = ReceivedEvent(
            id=event.id, name=event.name, key=event.key, sent_by=event.sent_by, sent_at=event.sent_at
        )
        return function.call(json.loads(event.payload), received, task=task_id)

    given = call() if function.is_async else await _on_thread(call)
    return await given if inspect.isawaitable(given) else given


async def _on_thread(call: Callable[[], Any]) -> Any:
    """What the call gives, on a thread of its own; one that hangs is left behind, and keeps no process from ending."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()

    def work() -> None:
        try:
            ended: tuple[Any, BaseException | None] = call(), None
        except BaseException as error:  # noqa: BLE001  raised again where it is awaited
            ended = None, error
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(_tell, done, ended)

    threading.Thread(target=work, name="agentflow-listener", daemon=True).start()
    value, error = await done
    if error is not None:
        raise error
    return value


def _tell(done: asyncio.Future[Any], ended: Any) -> None:
    if not done.done():
        done.set_result(ended)


def _told(error: BaseException) -> str:
    """The error as a reason: what it says, and of a user's code where it was raised."""
    if isinstance(error, AgentflowError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    place = f" (line {frames[-1].lineno}, in {frames[-1].name})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"


def _settled(listener: Listener, event: Event, status: MatchStatus, reason: str) -> SettleMatch:
    told = reason.encode(errors="backslashreplace").decode().replace("\0", "\\x00")[:LONGEST_REASON]
    return SettleMatch(event_id=event.id, listener_id=listener.id, status=status, reason=told)
