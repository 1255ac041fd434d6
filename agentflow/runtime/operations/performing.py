"""Performing one operation: return what is recorded, or run it under its policy and record what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agentflow.errors import UndecodablePayload
from agentflow.failures import Failure
from agentflow.payloads import decode
from agentflow.requests import NewEntry
from agentflow.requests.forks import UNDOABLE
from agentflow.retry import ONCE
from agentflow.runtime.dry.rehearsal import rehearsed
from agentflow.runtime.operations.attempts import Attempts
from agentflow.runtime.operations.inputs import input_text
from agentflow.runtime.signals import Ambiguous, Divergence
from agentflow.states import EntryKind
from agentflow.tasks.lookup import Done
from agentflow.tasks.step import Effect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping
    from datetime import timedelta

    from agentflow.records import Entry
    from agentflow.retry import Retry
    from agentflow.runtime.index import Recorded
    from agentflow.runtime.scope import Scope
    from agentflow.tasks.breaker import Breaker
    from agentflow.tasks.lookup import Found
    from agentflow.tasks.step import Step
    from agentflow.tasks.undo import Undo

    Call = Callable[[str, int], Awaitable[Any]]


@dataclass(slots=True)
class Work:
    """An operation to be performed: what it is called, how to call it, and under which policy."""

    name: str
    operation: str
    call: Call
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    result: Any = Any
    retry: Retry = ONCE
    timeout: timedelta | None = None
    effect: Effect = Effect.AT_LEAST_ONCE
    is_scope: bool = False
    is_leaf: bool = False
    schedule_to_close: timedelta | None = None
    heartbeat_timeout: timedelta | None = None
    breaker: Breaker | None = None
    undo: Undo | None = None
    mark: str | None = None
    look_up: Callable[[Scope, Entry, str], Awaitable[Found]] | None = None
    """What became of a call that was cut off, given the entry of its start, and why it was."""

    @classmethod
    def of_step(cls, step: Step[..., Any], call: Call, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Work:
        """The call of a step under its own policy: one piece, with nothing inside it recorded."""
        work = cls(step.name, step.operation, call, args, kwargs, step.result, step.retry, step.timeout, step.effect)
        work.is_leaf = True
        work.schedule_to_close, work.heartbeat_timeout = step.schedule_to_close, step.heartbeat_timeout
        work.breaker = step.breaker
        work.take_back_by(step.undo)
        return work

    async def became(self, scope: Scope, started: Entry, because: str = "") -> Found:
        """What a call that is made at most once, and was cut off, gave; None if it had not happened.

        `NOT_DONE` where a person says so, who wants it done now whatever its policy.

        Raises `Suspend` where nobody but a person can tell, until one has; `OutcomeUnknown` if they say to stop.
        """
        if self.look_up is None:
            raise scope.turn.stop(Ambiguous(key=started.key or "", because=because))
        return await self.look_up(scope, started, because)

    def take_back_by(self, undo: Undo | None) -> None:
        """Let the journal say what undoes it."""
        if undo is not None:
            self.undo, self.mark = undo, f"{UNDOABLE}{undo.name}"


def perform(scope: Scope, work: Work) -> Coroutine[Any, Any, Any]:
    """The operation's result, recorded before it is returned. Raises what the operation raised, recorded too."""
    return rehearsed(scope, _perform(scope, work))


async def _perform(scope: Scope, work: Work) -> Any:
    key, recorded = scope.ask(work.name, work.operation)
    scope.busy += 1
    try:
        if recorded is not None:
            await _hold_against(scope, work, recorded)
            if recorded.final is not None:
                if scope.turn.rehearsal is not None:
                    await scope.turn.rehearsal.pass_by(work, recorded)
                return _replayed(scope, work, recorded)
        if scope.turn.rehearsal is not None:
            return await scope.turn.rehearsal.go_into(scope, key, work)
        if recorded is not None and recorded.started is not None and work.effect is Effect.AT_MOST_ONCE:
            attempts = Attempts(scope, work, key, recorded)
            done = await attempts.settled(recorded.started)
            if isinstance(done, Done):
                return await attempts.succeeded(done.value, recorded.started.attempt)
        return await Attempts(scope, work, key, recorded).run()
    finally:
        scope.busy -= 1


def _replayed(scope: Scope, work: Work, recorded: Recorded) -> Any:
    final = recorded.final
    assert final is not None
    if final.kind is EntryKind.FAILED:
        error = Failure.from_json(final.error or "").to_exception()
        scope.turn.raised(error, recorded.failed_in)
        raise error
    try:
        return decode(final.output or "null", work.result)
    except UndecodablePayload as error:
        asked = f"{work.operation} {recorded.key} with a result of another type ({error})"
        found = Divergence(key=recorded.key, recorded=f"{recorded.operation} {recorded.key}", asked=asked)
        raise scope.turn.stop(found) from error


async def _hold_against(scope: Scope, work: Work, recorded: Recorded) -> None:
    """Note, or stop at, an operation that is asked for with other arguments than are recorded."""
    entry = recorded.final or (recorded.failures[-1] if recorded.failures else None)
    if entry is None or recorded.input_noted:
        return
    now = input_text(work.args, work.kwargs)
    if now == entry.input:
        return
    if scope.turn.task.changed_input == "stop":
        found = Divergence(
            key=recorded.key,
            recorded=f"{recorded.operation} {recorded.key} with {entry.input}",
            asked=f"the same with {now}",
        )
        raise scope.turn.stop(found)
    recorded.input_noted = True
    noted = NewEntry(kind=EntryKind.INPUT_CHANGED, key=recorded.key, operation=work.operation, input=now)
    await scope.turn.append(noted)
