"""Events in a task: sent once however often it is replayed, and waited for without memory."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast, overload

from agentflow.clock import to_micros
from agentflow.errors import DefinitionError, EventTimedOut, IdempotencyMismatch
from agentflow.requests import NewEntry, OpenWait, ReceiveEvents, SendEvent, event_subject
from agentflow.requests.sending import event_id as checked_id
from agentflow.requests.sending import event_key, event_name, payload_text
from agentflow.runtime.dry.rehearsal import rehearsed
from agentflow.runtime.operations.performing import Work, perform
from agentflow.runtime.signals import Divergence
from agentflow.runtime.waiting.awaiting import answer_to, checked_on_timeout, scope_for, span_or_none, typed
from agentflow.states import EntryKind, WaitKind
from agentflow.tasks.calling import durable
from agentflow.tasks.step import operation_name

if TYPE_CHECKING:
    from datetime import datetime

    from agentflow.runtime.index import Recorded
    from agentflow.runtime.scope import Scope

T = TypeVar("T")
Span = str | float | timedelta
TIMED_OUT = "timed_out"
MOST_AT_ONCE = 1000


# -- sending


@durable
async def send_event(name: str, payload: Any = None, *, key: str = "", event_id: str | None = None) -> str:
    """Send an event to whoever waits for it, now or later; its id. The run sends it once, also through a crash.

    `payload` is JSON, or what writes itself as JSON: a model, a dataclass. An `event_id` of your own makes it one event
    with whatever else is sent under that id. Raises `InvalidName`, `NotRecordable` or `PayloadTooLarge`, and for an id
    that was sent with other content `IdempotencyMismatch`; nothing was sent then.
    """
    scope = scope_for("send_event", outside="a program sends with `client.send_event(...)`")
    event_name(name, of="send_event")
    event_key(key, of="send_event")
    if event_id is not None:
        checked_id(event_id, of="send_event")

    async def call(operation: str, _attempt: int) -> str:
        text = payload_text(payload, of=f"send_event({name!r})")
        own_id = f"{scope.turn.run.id}:{operation}"
        sent_by = f"run {scope.turn.run.id}"
        request = SendEvent(id=event_id or own_id, name=name, key=key, payload=text, sent_by=sent_by)
        try:
            await scope.turn.write(lambda _lease, event: scope.turn.store.send_event(event), request)
        except IdempotencyMismatch:
            if event_id is not None:
                raise
            # Sent by a turn that did not get to recording it: it is out, and what was sent first stands.
        return request.id

    given: dict[str, Any] = {"key": key} if key else {}
    work = Work(f"send_event.{operation_name(name)}", "send", call, (name, payload), given, result=str)
    return cast("str", await perform(scope, work))


# -- waiting


@overload
async def wait_for_event(
    name: str,
    *,
    type: type[T],
    key: str = "",
    timeout: Span | None = None,
    on_timeout: Literal["raise"] = "raise",
    look_back: Span | None = None,
    queue: bool = False,
) -> T: ...
@overload
async def wait_for_event(
    name: str,
    *,
    type: type[T],
    key: str = "",
    timeout: Span | None = None,
    on_timeout: Literal["none"],
    look_back: Span | None = None,
    queue: bool = False,
) -> T | None: ...
@overload
async def wait_for_event(
    name: str,
    *,
    type: Any = Any,
    key: str = "",
    timeout: Span | None = None,
    on_timeout: str = "raise",
    look_back: Span | None = None,
    queue: bool = False,
) -> Any: ...
@durable
async def wait_for_event(
    name: str,
    *,
    type: Any = Any,
    key: str = "",
    timeout: Span | None = None,
    on_timeout: str = "raise",
    look_back: Span | None = None,
    queue: bool = False,
) -> Any:
    """The payload of the first event of this name and key that was sent since the run was triggered.

    One that was sent before the run comes to wait is found, and what is sent after the first changes nothing: every
    such wait of the run gets the same. With `look_back` those count that were sent from that long before this wait on.
    With `queue=True` the events are messages, of which the run gets each once, in order, one for each wait.

    `type` says what the payload is: a model, a dataclass, any annotation. Without an event within `timeout`, by the
    store's clock, raises `EventTimedOut`, or gives None with `on_timeout="none"`. Raises `EventMismatch` for a payload
    that is something else, and `InvalidName`, `InvalidDuration` or `DefinitionError`; nothing was waited for then.
    """
    scope = scope_for("wait_for_event", outside="there is nothing that could wait; trigger the task")
    subject = _subject(name, key, of="wait_for_event")
    checked_on_timeout(on_timeout, of="wait_for_event")
    kind = WaitKind.MESSAGE if queue else WaitKind.EVENT
    limits = span_or_none(timeout), span_or_none(look_back)
    return await rehearsed(scope, _wait(scope, kind, subject, limits, _Wanted(type, on_timeout)))


class _Wanted:
    """What the code makes of what comes, or of nothing coming."""

    def __init__(self, annotation: Any, on_timeout: str) -> None:
        self.annotation = annotation
        self.on_timeout = on_timeout


def _subject(name: str, key: str, *, of: str) -> str:
    return event_subject(event_name(name, of=of), event_key(key, of=of))


async def _wait(
    scope: Scope, kind: WaitKind, subject: str, limits: tuple[timedelta | None, timedelta | None], wanted: _Wanted
) -> Any:
    turn = scope.turn
    name, _, of = subject.partition(":")
    key, recorded = scope.ask(f"event.{operation_name(name)}", kind)
    _require_same(scope, key, recorded, subject)
    timeout, look_back = limits

    def opening() -> OpenWait:
        now = turn.clock.now()
        due_at = None if timeout is None else now + timeout
        since = _since(look_back, now)
        told: dict[str, Any] = {"event": subject}
        told |= {name: to_micros(at) for name, at in (("due_at", due_at), ("since", since)) if at is not None}
        detail = json.dumps(told, ensure_ascii=False)
        return OpenWait(key=key, kind=kind, subject=subject, due_at=due_at, since=since, detail=detail)

    resolved, said = await answer_to(scope, key, recorded, opening)
    if said["outcome"] != TIMED_OUT:
        return typed(scope, key, resolved.output, wanted.annotation, of=f"event {said['event']}")
    if wanted.on_timeout == "none":
        return None
    late = EventTimedOut(f"no event {name!r}{f' of {of!r}' if of else ''} came in time ({key})")
    turn.raised(late, key)
    raise late


def _since(look_back: timedelta | None, now: datetime) -> datetime | None:
    """From when on events count; None for since the run began, which the store knows also of a fork."""
    return None if look_back is None else now - look_back


def _require_same(scope: Scope, key: str, recorded: Recorded | None, subject: str) -> None:
    """Stop a run whose code now waits for the events of another key: the old answer is none to its question."""
    opened = recorded.opened if recorded is not None else None
    known = subject if opened is None else json.loads(opened.detail or "{}").get("event", subject)
    if known != subject:
        found = Divergence(key=key, recorded=f"a wait for event {known!r}", asked=f"one for {subject!r}")
        raise scope.turn.stop(found)


# -- messages


@overload
async def receive_events(
    name: str, *, type: type[T], key: str = "", look_back: Span | None = None, limit: int = 100
) -> list[T]: ...
@overload
async def receive_events(
    name: str, *, type: Any = Any, key: str = "", look_back: Span | None = None, limit: int = 100
) -> list[Any]: ...
@durable
async def receive_events(
    name: str, *, type: Any = Any, key: str = "", look_back: Span | None = None, limit: int = 100
) -> list[Any]:
    """The messages of this name and key that the run has not had yet, oldest first; none if there are none now.

    It does not wait. It reads on where `wait_for_event(queue=True)` of the same name and key has read to, and the other
    way round. At most `limit` come at once, fewer if they are large. Raises as `wait_for_event` does.
    """
    scope = scope_for("receive_events", outside="there is no run to keep what it has read")
    _subject(name, key, of="receive_events")
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MOST_AT_ONCE:
        raise DefinitionError(f"receive_events(limit={limit!r}): wanted a whole number from 1 to {MOST_AT_ONCE}")
    back = span_or_none(look_back)
    request = ReceiveEvents(name=name, key=key, since=_since(back, scope.turn.clock.now()), limit=limit)
    return await rehearsed(scope, _receive(scope, request, type))


async def _receive(scope: Scope, request: ReceiveEvents, annotation: Any) -> list[Any]:
    turn = scope.turn
    key, recorded = scope.ask(f"receive_events.{operation_name(request.name)}", "receive")
    final = recorded.final if recorded is not None else None
    if final is not None:
        ids = json.loads(final.detail or "{}")["events"]
        texts = [json.dumps(one) for one in json.loads(final.output or "[]")]
    else:
        asked = json.dumps([request.name, request.key], ensure_ascii=False)
        scope.busy += 1
        try:
            entry = NewEntry(EntryKind.SUCCEEDED, key, "receive", input=asked)
            found = await turn.write(turn.store.receive_events, request, entry)
        finally:
            scope.busy -= 1
        ids, texts = [one.id for one in found], [one.payload for one in found]
    return [typed(scope, key, text, annotation, of=f"event {one}") for one, text in zip(ids, texts, strict=True)]
