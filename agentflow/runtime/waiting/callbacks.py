"""Callbacks in a task: a token for another system, whose answer is awaited at once, later, or never."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, cast, overload

from agentflow.errors import CallbackFailed, CallbackTimedOut
from agentflow.failures import Failure
from agentflow.ids import CALLBACK, new_id, new_token
from agentflow.payloads import digest
from agentflow.requests import NewCallback, NewEntry, OpenWait
from agentflow.runtime.dry.rehearsal import rehearsed
from agentflow.runtime.waiting.awaiting import answer_to, checked_on_timeout, scope_for, span_or_none, typed
from agentflow.states import CallbackStatus, EntryKind, WaitKind
from agentflow.tasks.calling import durable
from agentflow.tasks.step import operation_name

if TYPE_CHECKING:
    from collections.abc import Generator

    from agentflow.runtime.scope import Scope

T = TypeVar("T")
Span = str | float | timedelta


class Callback(Generic[T]):
    """What another system is to answer: give it the `token`, and await this to have what it says.

    It can be awaited whenever, in any branch and more than once, and gives the same each time. Whoever has the token
    can answer.
    """

    __agentflow_durable__ = True
    __slots__ = ("_annotation", "_name", "_on_timeout", "id", "token")

    def __init__(self, id: str, token: str, *, name: str, annotation: Any, on_timeout: str) -> None:
        self.id = id
        self.token = token
        self._name = name
        self._annotation = annotation
        self._on_timeout = on_timeout

    def __await__(self) -> Generator[Any, None, T]:
        return self.result().__await__()

    @durable
    async def result(self) -> T:
        """What the other system said. Raises `CallbackFailed`, `CallbackTimedOut` or `EventMismatch`."""
        scope = scope_for("a callback was awaited", outside="only the run that made it waits for it")
        return cast("T", await rehearsed(scope, self._result(scope)))

    async def _result(self, scope: Scope) -> Any:
        key, recorded = scope.ask(f"{self._name}.result", WaitKind.CALLBACK)

        def opening() -> OpenWait:
            told = json.dumps({"callback": self.id})
            return OpenWait(key=key, kind=WaitKind.CALLBACK, subject=self.id, detail=told)

        resolved, said = await answer_to(scope, key, recorded, opening)
        status = CallbackStatus(said["outcome"])
        if status is CallbackStatus.COMPLETED:
            return typed(scope, key, resolved.output, self._annotation, of=f"the answer to callback {self.id}")
        if status is CallbackStatus.TIMED_OUT and self._on_timeout == "none":
            return None
        error = self._error(status, resolved.error)
        scope.turn.raised(error, key)
        raise error

    def _error(self, status: CallbackStatus, failure: str | None) -> Exception:
        if failure is not None:
            return Failure.from_json(failure).to_exception()
        if status is CallbackStatus.TIMED_OUT:
            return CallbackTimedOut(f"callback {self.id} ({self._name}) had no answer, or no sign of life, in time")
        return CallbackFailed(f"callback {self.id} ({self._name}) was withdrawn: the run that made it has ended")

    def __repr__(self) -> str:
        return f"<callback {self.id}>"


@overload
async def create_callback(
    name: str = "callback",
    *,
    type: type[T],
    timeout: Span | None = None,
    heartbeat_timeout: Span | None = None,
    on_timeout: Literal["raise"] = "raise",
) -> Callback[T]: ...
@overload
async def create_callback(
    name: str = "callback",
    *,
    type: type[T],
    timeout: Span | None = None,
    heartbeat_timeout: Span | None = None,
    on_timeout: Literal["none"],
) -> Callback[T | None]: ...
@overload
async def create_callback(
    name: str = "callback",
    *,
    type: Any = Any,
    timeout: Span | None = None,
    heartbeat_timeout: Span | None = None,
    on_timeout: str = "raise",
) -> Callback[Any]: ...
@durable
async def create_callback(
    name: str = "callback",
    *,
    type: Any = Any,
    timeout: Span | None = None,
    heartbeat_timeout: Span | None = None,
    on_timeout: str = "raise",
) -> Callback[Any]:
    """A callback, whose token another system needs to complete it, to fail it, or to keep it alive.

    By the store's clock `timeout` counts from now on, `heartbeat_timeout` from now on and from each sign of life; who
    awaits it then gets `CallbackTimedOut`, or None with `on_timeout="none"`. `type` says what the answer is. A callback
    that is not awaited is withdrawn when the run ends. Raises `InvalidDuration` or `DefinitionError`; none was made.
    """
    scope = scope_for("create_callback", outside="there is nothing that could wait; trigger the task")
    checked_on_timeout(on_timeout, of="create_callback")
    limits = span_or_none(timeout), span_or_none(heartbeat_timeout)
    plain = operation_name(name)
    made = await rehearsed(scope, _create(scope, plain, limits))
    return Callback(*made, name=plain, annotation=type, on_timeout=on_timeout)


async def _create(scope: Scope, name: str, limits: tuple[timedelta | None, timedelta | None]) -> tuple[str, str]:
    """Id and token: made once, and recorded together with the callback, because a replay needs the token again."""
    turn = scope.turn
    key, recorded = scope.ask(name, "callback")
    if recorded is not None and recorded.final is not None:
        made = json.loads(recorded.final.output or "{}")
        return made["id"], made["token"]
    token = new_token()
    timeout, heartbeat_for = limits
    new = NewCallback(
        id=new_id(CALLBACK, turn.clock.now()),
        key=key,
        token_digest=digest(token),
        timeout=timeout,
        heartbeat_for=heartbeat_for,
    )
    entry = NewEntry(EntryKind.SUCCEEDED, key, "callback", output=json.dumps({"id": new.id, "token": token}))
    scope.busy += 1
    try:
        await turn.write(turn.store.create_callback, new, entry)
    finally:
        scope.busy -= 1
    return new.id, token
