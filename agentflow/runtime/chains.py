"""Fallback chains in a run: each hop an operation, and a note of who answered and why the others did not."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from agentflow.errors import AllFailed
from agentflow.requests import NewEntry
from agentflow.runtime.operations.leaf import InStep
from agentflow.runtime.operations.lookups import look_up
from agentflow.runtime.operations.performing import Work, perform
from agentflow.runtime.scope import Scope
from agentflow.runtime.scoping import alone, current_scope, within
from agentflow.states import EntryKind
from agentflow.tasks.calling import durable
from agentflow.tasks.step import ASK, Step

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from agentflow.tasks.fallback import Fallback, Hop


@durable
async def record_fallback(chain: Fallback, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    outer = current_scope()
    key, _ = outer.ask(chain.name, "fallback")
    scope = Scope(outer.turn, key, outer.branch)
    scope.enter()
    outer.busy += 1
    failures: list[str] = []
    last: Exception | None = None
    try:
        for hop in chain.hops:
            try:
                answer = await perform(scope, hop_work(scope, hop, args, kwargs))
            except Exception as error:
                if not chain.goes_on_after(error):
                    raise
                failures.append(f"{hop.name}: {type(error).__name__}: {error}")
                last = error
                continue
            if chain.accepts(answer):
                await _note_answer(scope, key, hop, failures)
                scope.leave()
                return answer
            failures.append(f"{hop.name}: its answer was not accepted")
        raise AllFailed(failures) from last
    finally:
        outer.busy -= 1


def hop_work(scope: Scope, hop: Hop, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Work:
    """The call of a hop as an operation of this scope."""

    def call(key: str, attempt: int) -> Awaitable[Any]:
        if isinstance(hop.function, Step):
            return alone(InStep(scope, key, attempt), hop.function, args, kwargs)
        return within(scope, key, hop.run, args, kwargs)

    work = Work(hop.name, "hop", call, args, kwargs, hop.result, hop.retry, hop.timeout)
    work.schedule_to_close, work.breaker = hop.schedule_to_close, hop.breaker
    if not isinstance(hop.function, Step):
        work.is_scope = True
        return work
    work.is_leaf, work.effect, work.heartbeat_timeout = True, hop.function.effect, hop.function.heartbeat_timeout
    if hop.function.operation != Step.operation:
        work.operation = hop.function.operation
    work.take_back_by(hop.function.undo)
    if hop.function.lookup is not None or hop.function.on_unknown == ASK:
        work.look_up = partial(look_up, work, hop.function)
    return work


async def _note_answer(scope: Scope, key: str, hop: Hop, failures: list[str]) -> None:
    """Say in the journal who answered and why the others did not, where anything is to be said."""
    known = scope.turn.index.by_key.get(key)
    if failures and (known is None or not known.noted):
        detail = json.dumps({"answered_by": hop.name, "failures": failures}, ensure_ascii=False)
        await scope.turn.append(NewEntry(kind=EntryKind.NOTED, key=key, operation="fallback", detail=detail))
