"""Undoing a run: what its steps did is taken back, the last first, each as an operation of its own.

Which functions do that, and with which arguments, only the task's code knows. So it is replayed against the journal
with no effects, as far as it had come, and tells. What is undone is recorded like any other operation: after a crash,
or a long pause between two attempts, another turn goes on from there.
"""

from __future__ import annotations

import json
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from agentflow.failures import Failure
from agentflow.payloads import decode
from agentflow.requests import NeedsAttention, Undone
from agentflow.requests.forks import UNDOABLE, UNDOES
from agentflow.runtime.dry.rehearsal import Rehearsal
from agentflow.runtime.dry.replaying import Fits, dry_replay
from agentflow.runtime.index import UNDO, scope_of
from agentflow.runtime.operations.leaf import InStep
from agentflow.runtime.operations.performing import Work, perform
from agentflow.runtime.scope import SCOPES, Scope
from agentflow.runtime.scoping import alone
from agentflow.runtime.turn import Turn
from agentflow.runtime.undo.rollback import OPERATION
from agentflow.states import EntryKind
from agentflow.tasks.calling import current_caller
from agentflow.tasks.step import Step, operation_name
from agentflow.tasks.undo import RESULT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence

    from agentflow.records import Entry
    from agentflow.requests import Outcome
    from agentflow.runtime.dry.rehearsal import Asked
    from agentflow.runtime.index import Index, Recorded
    from agentflow.runtime.parallel.racing import Begin
    from agentflow.store.base import Claimed
    from agentflow.tasks.undo import Undo


PATIENCE = timedelta(minutes=1)
"""How long code may take to be replayed that waits for something which is no operation."""


class _Rest(BaseException):
    """There is nothing more to be seen in an operation that is over."""


_looking_inside: ContextVar[bool] = ContextVar("agentflow_looking_inside", default=False)


@dataclass(frozen=True, slots=True)
class _Done:
    """An operation that succeeded and can be undone: how, and with which arguments."""

    key: str
    undo: Undo
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    def work(self, scope: Scope) -> Work:
        """Undoing it, as an operation."""
        step: Step[..., Any] = _as_step(self.undo)
        work = Work(operation_name(self.undo.name), "undo", self._call(scope, step), self.args, self.kwargs)
        work.retry, work.timeout, work.is_leaf = self.undo.retry, step.timeout, True
        work.mark = f"{UNDOES}{self.key}"
        return work

    def _call(self, scope: Scope, step: Step[..., Any]) -> Callable[[str, int], Awaitable[None]]:
        async def call(key: str, attempt: int) -> None:
            await alone(InStep(scope, key, attempt), step, self.args, self.kwargs)

        return call


def _as_step(undo: Undo) -> Step[..., Any]:
    return undo.function if isinstance(undo.function, Step) else Step(undo.function)


class _Collector(Rehearsal):
    """Notes what can be undone as the code comes by it, also inside what is over and would not be gone into again."""

    def __init__(self, turn: Turn, watch: Callable[[Asked], None] | None) -> None:
        super().__init__(turn, watch)
        self.done: dict[str, _Done] = {}
        self._around = {path for key in _undoable(turn.index) for path in _paths_around(key)}

    async def pass_by(self, work: Work, recorded: Recorded) -> None:
        final = recorded.final
        assert final is not None
        if work.undo is not None and _is_undoable(final):
            kwargs = dict(work.kwargs)
            if work.operation != OPERATION and work.undo.takes_result:
                kwargs.setdefault(RESULT, decode(final.output or "null", work.result))
            self.done[recorded.key] = _Done(recorded.key, work.undo, work.args, kwargs)
        elif work.operation in SCOPES and recorded.key in self._around:
            with _inside():
                await work.call(recorded.key, 1 + len(recorded.failures))

    async def pass_branches(self, scope: Scope, key: str, numbers: Iterable[int], begin: Begin) -> None:
        for number in numbers:
            path = f"{key}[{number}]"
            if path not in self._around:
                continue
            inner = Scope(self._turn, path, scope.branch)
            inner.enter()
            token = current_caller.set(self._turn.caller_for(inner))
            try:
                with _inside():
                    await begin(number)
            finally:
                current_caller.reset(token)

    async def rest(self, scope: Scope, key: str) -> None:
        if _looking_inside.get():
            raise _Rest
        await super().rest(scope, key)


class _inside(suppress):  # noqa: N801  reads as the preposition it is: `with _inside():`
    """Code that is run only to see what is in it; how it ends is recorded, and does not matter."""

    def __init__(self) -> None:
        super().__init__(_Rest, Exception)

    def __enter__(self) -> None:
        self._token = _looking_inside.set(True)

    def __exit__(self, *error: object) -> bool:
        _looking_inside.reset(self._token)
        return bool(super().__exit__(*cast("Any", error)))


def _undoable(index: Index) -> list[str]:
    """The operations that can be undone, the last first."""
    finals = [one.final for one in index.by_key.values() if one.final is not None and _is_undoable(one.final)]
    return [one.key or "" for one in sorted(finals, key=lambda one: one.seq, reverse=True)]


def _paths_around(key: str) -> Iterator[str]:
    """The operations and branches a key is inside of: `gather#1[0]` and `gather#1` for `gather#1[0]/book#1`."""
    path = scope_of(key)
    while path:
        yield path
        path = path[: path.rindex("[")] if path.endswith("]") else scope_of(path)


def _is_undoable(final: Entry) -> bool:
    return final.kind is EntryKind.SUCCEEDED and (final.detail or "").startswith(UNDOABLE)


class UndoTurn(Turn):
    """A turn of a run that is to end: it undoes what the run's steps did, and does nothing new."""

    def __init__(self, claimed: Claimed, *args: Any, **options: Any) -> None:
        super().__init__(claimed, *args, **options)
        self._entries = claimed.entries
        self._undone: list[str] = []
        self._left: list[str] = []

    async def _attempt(self, scope: Scope) -> Outcome:
        self._left = _undoable(self.index)
        done, said = await self._collected()
        missing = [key for key in self._left if key not in done]
        if missing:
            raise LookupError(f"the code does not come by {', '.join(missing)} any more{said}")
        inner = Scope(self, UNDO, scope.branch)
        inner.enter()
        for key in list(self._left):
            await perform(inner, done[key].work(inner))
            self._undone.append(key)
            self._left.remove(key)
        return Undone(self._said())

    async def _collected(self) -> tuple[dict[str, _Done], str]:
        """What the task's code says can be undone; and what kept it from being replayed to its end, if anything did."""
        made: list[_Collector] = []

        def collecting(turn: Turn, watch: Callable[[Asked], None] | None) -> _Collector:
            made.append(_Collector(turn, watch))
            return made[0]

        found = await dry_replay(self.run, self._entries, self.task, limit=PATIENCE, rehearse=collecting)
        return made[0].done if made else {}, "" if isinstance(found, Fits) else f" ({found})"

    def _failed(self, error: Exception) -> Outcome:
        """A person has to see to it: what a run did and does not undo is not left behind in silence."""
        key = self.key_of(error)
        at = next(iter(self._left), "")
        wrong = "its steps cannot be undone" if key is None else f"undoing {at} failed"
        said = (
            f"{wrong}: {type(error).__name__}: {error}. {self._said()}; not undone: {', '.join(self._left)}. "
            "Resume tries it again, with an output it counts as undone by hand; cancel leaves it as it is"
        )
        detail = {"recorded": f"{at}, which is to be undone", "asked": str(error), "key": key, "undoes": at}
        failure = RuntimeError(said)
        failure.__cause__ = error
        return NeedsAttention(EntryKind.DIVERGED, Failure.of(failure).to_json(), json.dumps(detail, ensure_ascii=False))

    def _said(self) -> str:
        undone = f"undone: {', '.join(self._undone) or 'nothing'}"
        unknown = list(_unknown(self._entries))
        return f"{undone}; it is not known whether this was done: {', '.join(unknown)}" if unknown else undone


def _unknown(entries: Sequence[Entry]) -> Iterable[str]:
    """Operations that could be undone, were started, and whose end is not recorded."""
    ended = {one.key for one in entries if one.kind in {EntryKind.SUCCEEDED, EntryKind.FAILED}}
    for one in entries:
        if one.kind is EntryKind.STARTED and (one.detail or "").startswith(UNDOABLE) and one.key not in ended:
            yield one.key or ""
