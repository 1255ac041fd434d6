"""Starting runs inside the caller's own SQLAlchemy transaction: with the caller's rows, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from agentflow.clock import SystemClock
from agentflow.errors import InvalidSetting
from agentflow.ids import EVENT, new_id
from agentflow.later import later
from agentflow.requests import SendEvent
from agentflow.requests.sending import event_id, event_key, event_name, payload_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
    from sqlalchemy.orm import Session

    from agentflow.records import Event, Run
    from agentflow.requests import TriggerRun
    from agentflow.store import enlisted, triggering
    from agentflow.store.waiting import events
    from agentflow.tasks.task import Task
else:
    enlisted, triggering = later("agentflow.store.enlisted"), later("agentflow.store.triggering")
    events = later("agentflow.store.waiting.events")


@overload
def enlist(session: Session | Connection) -> Enlisted: ...
@overload
def enlist(session: AsyncSession | AsyncConnection) -> AsyncEnlisted: ...
def enlist(session: Any) -> Enlisted | AsyncEnlisted:
    """Start runs and send events with what this session writes: `enlist(session).trigger(ship, order_id)`.

    They are there once the caller commits, and never were if it rolls back; agentflow and the session have to keep to
    one database. From then on the transaction holds what a trigger holds (on SQLite the file's lock for writing), so
    commit soon. Of an asynchronous session the calls are awaited. Raises `InvalidSetting` for what is no session.
    """
    if callable(getattr(session, "run_sync", None)):
        return AsyncEnlisted(session)
    if not callable(getattr(session, "execute", None)):
        raise InvalidSetting(f"{type(session).__name__} is no session and no connection of SQLAlchemy's")
    return Enlisted(session)


class Enlisted:
    """What an ordinary session lets be started. Nothing here waits for a commit, so nothing is awaited."""

    def __init__(self, session: Session | Connection) -> None:
        self._session = session

    def trigger(self, task: Task[..., Any], /, *args: Any, **kwargs: Any) -> Run:
        """The run that will be there after the commit. Raises as `Client.trigger`; roll back then, or to a savepoint.

        Raises `StoreUnusable` for a database without agentflow's tables, `InvalidSetting` for a driver that cannot be
        used; nothing was written then.
        """
        run: Run = _write(self._session, triggering.trigger, _request(task, args, kwargs))
        return run

    def send_event(
        self, name: str, payload: Any = None, *, key: str = "", id: str | None = None, by: str = "program"
    ) -> Event:
        """The event that will have been sent after the commit. Raises as `Client.send_event` and `trigger`."""
        event: Event = _write(self._session, events.send_event, _event(name, payload, key, id, by))
        return event


class AsyncEnlisted:
    """What an asynchronous session lets be started; as `Enlisted`, awaited."""

    def __init__(self, session: AsyncSession | AsyncConnection) -> None:
        self._session: Any = session

    async def trigger(self, task: Task[..., Any], /, *args: Any, **kwargs: Any) -> Run:
        """The run that will be there after the commit; see `Enlisted.trigger`."""
        request = _request(task, args, kwargs)
        run: Run = await self._session.run_sync(_write, triggering.trigger, request)
        return run

    async def send_event(
        self, name: str, payload: Any = None, *, key: str = "", id: str | None = None, by: str = "program"
    ) -> Event:
        """The event that will have been sent after the commit; see `Enlisted.send_event`."""
        request = _event(name, payload, key, id, by)
        event: Event = await self._session.run_sync(_write, events.send_event, request)
        return event


def _write(session: Any, verb: Callable[..., Any], request: Any) -> Any:
    connection = session.connection() if callable(getattr(session, "connection", None)) else session
    return enlisted.write_within(connection, verb, request)


def _request(task: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> TriggerRun:
    return task.request(task.encode_call(args, kwargs), origin="program")


def _event(name: str, payload: Any, key: str, id: str | None, by: str) -> SendEvent:
    return SendEvent(
        id=new_id(EVENT, SystemClock().now()) if id is None else event_id(id, of="send_event"),
        name=event_name(name, of="send_event"),
        key=event_key(key, of="send_event"),
        payload=payload_text(payload, of=f"send_event({name!r})"),
        sent_by=by,
    )
