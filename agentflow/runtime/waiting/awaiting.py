"""What every wait of a task has in common: it needs a run around it, and its answer is the journal's."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, cast

from agentflow.durations import duration
from agentflow.errors import DefinitionError, EventMismatch, UndecodablePayload, UnsupportedAwait
from agentflow.payloads import from_json
from agentflow.runtime.callers import InRun
from agentflow.runtime.operations.leaf import InStep, refuse_in_step
from agentflow.runtime.parallel.branches import Waiting
from agentflow.runtime.waiting.waits import require_own_time
from agentflow.tasks.calling import current_caller

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from agentflow.records import Entry
    from agentflow.requests import OpenWait
    from agentflow.runtime.index import Recorded
    from agentflow.runtime.scope import Scope

ON_TIMEOUT = ("raise", "none")


def scope_for(what: str, *, outside: str) -> Scope:
    """The scope of the run the present code belongs to. Raises `UnsupportedAwait` in a step, and outside a run."""
    caller = current_caller.get()
    if isinstance(caller, InStep):
        refuse_in_step(caller, f"{what} was called")
    if not isinstance(caller, InRun):
        raise UnsupportedAwait(f"{what} outside a run: {outside}")
    return caller.scope


def span_or_none(span: str | float | timedelta | None) -> timedelta | None:
    """The span, None for no limit. Raises `InvalidDuration`."""
    return None if span is None else duration(span)


def checked_on_timeout(on_timeout: str, *, of: str) -> str:
    """What is to happen when nothing comes in time. Raises `DefinitionError`, which names `of`."""
    if on_timeout not in ON_TIMEOUT:
        raise DefinitionError(f"{of}(on_timeout={on_timeout!r}): wanted one of {', '.join(ON_TIMEOUT)}")
    return on_timeout


async def answer_to(
    scope: Scope, key: str, recorded: Recorded | None, opening: Callable[[], OpenWait]
) -> tuple[Entry, dict[str, Any]]:
    """The entry that answers a wait, and what its detail says; the wait is opened unless it is open already."""
    resolved = recorded.resolved if recorded is not None else None
    if resolved is None:
        is_open = recorded is not None and recorded.opened is not None
        scope.busy += 1
        try:
            resolved = await _waited(scope, key, None if is_open else opening())
        finally:
            scope.busy -= 1
    return resolved, json.loads(resolved.detail or "{}")


async def _waited(scope: Scope, key: str, to_open: OpenWait | None) -> Entry:
    turn = scope.turn
    require_own_time(key)
    if to_open is not None and await turn.store.is_answered(turn.run.id, to_open):
        await turn.write(turn.store.open_waits, [to_open])
        await turn.catch_up()
        resolved = turn.index.by_key[key].resolved
        if resolved is not None:  # it need not be parked for what is there
            return resolved
        to_open = None  # another branch was faster
    waiting = Waiting(key, asyncio.get_running_loop().create_future(), to_open=to_open)
    return cast("Entry", await turn.waits.wait(scope.branch, waiting))


def typed(scope: Scope, key: str, text: str | None, annotation: Any, *, of: str) -> Any:
    """Plain JSON that came from outside, as what the code asks for. Raises `EventMismatch`, which names `of`."""
    try:
        return from_json(json.loads(text or "null"), annotation)
    except UndecodablePayload as error:
        mismatch = EventMismatch(f"{of} ({key}): {error}")
        scope.turn.raised(mismatch, key)
        raise mismatch from error
