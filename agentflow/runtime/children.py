"""Child runs: started and recorded in one transaction, and waited for durably."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, cast

from agentflow.errors import InvalidSetting, QueueFull, SingletonTaken
from agentflow.failures import Failure
from agentflow.requests import NewEntry, OpenWait
from agentflow.runtime.parallel.branches import Waiting
from agentflow.states import EntryKind, WaitKind
from agentflow.tasks.handle import outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.runtime.scope import Scope
    from agentflow.tasks.task import Task


async def trigger_children(scope: Scope, task: Task[..., Any], inputs: Sequence[str]) -> Sequence[str]:
    """Start child runs and record them, or what refused them, in one transaction; a replay gives what it gave."""
    turn = scope.turn
    key, recorded = scope.ask(f"{task.id}.trigger", "trigger")
    if recorded is not None and recorded.final is not None:
        if recorded.final.kind is EntryKind.FAILED:
            raise _refused(scope, key, Failure.from_json(recorded.final.error or ""))
        return cast("Sequence[str]", json.loads(recorded.final.output or "[]"))
    requests = [task.request(text, origin=f"run {turn.run.id}") for text in inputs]
    scope.busy += 1
    try:
        children = await turn.write(turn.store.trigger_child, requests, NewEntry(EntryKind.SUCCEEDED, key, "trigger"))
    except (SingletonTaken, QueueFull, InvalidSetting) as error:
        failure = Failure.of(error)
        await turn.append(NewEntry(EntryKind.FAILED, key, "trigger", error=failure.to_json()))
        raise _refused(scope, key, failure) from error
    finally:
        scope.busy -= 1
    return [child.id for child in children]


def _refused(scope: Scope, key: str, failure: Failure) -> Exception:
    """What the code is told of a refused trigger, live and in replay."""
    error = failure.to_exception()
    scope.turn.raised(error, key)
    return error


async def child_result(scope: Scope, task: Task[..., Any], run_id: str) -> Any:
    """Wait durably for a child run and give, or raise, how it ended."""
    turn = scope.turn
    key, recorded = scope.ask(f"{task.id}.result", "child")
    resolved = recorded.resolved if recorded is not None else None
    if resolved is None:
        opening = None
        if recorded is None or recorded.opened is None:
            opening = OpenWait(key=key, kind=WaitKind.CHILD, subject=run_id, detail=run_id)
        waiting = Waiting(key, asyncio.get_running_loop().create_future(), to_open=opening)
        scope.busy += 1
        try:
            resolved = await turn.waits.wait(scope.branch, waiting)
        finally:
            scope.busy -= 1
    try:
        return outcome(task, run_id, resolved.detail or "", resolved.output, resolved.error)
    except Exception as error:
        turn.raised(error, key)
        raise
