"""`patched`: a place that was changed on purpose while runs of its task are open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agentflow.errors import DefinitionError
from agentflow.requests import NewEntry
from agentflow.runtime.callers import InRun
from agentflow.states import EntryKind
from agentflow.tasks.calling import current_caller, durable
from agentflow.tasks.step import operation_name

if TYPE_CHECKING:
    from agentflow.runtime.scope import Scope

LONGEST: Final = 200


@durable
async def patched(name: str) -> bool:
    """Whether a run takes the new way at a place that was changed on purpose.

    True where the run comes to the place for the first time, which its journal then says for good; False where it had
    passed it before the change was there, and so has the old way recorded. Each branch of a run answers for itself.
    True outside a run. Raises `DefinitionError` for a name that is empty or too long.
    """
    found = operation_name(name)
    if len(found) > LONGEST:
        raise DefinitionError(f"patched({found[:20]!r}…) has {len(found)} characters; give it at most {LONGEST}")
    caller = current_caller.get()
    if not isinstance(caller, InRun):
        return True
    scope = caller.scope
    scope.admit("patched")
    scope.busy += 1
    try:
        return await _takes_new_way(scope, found)
    finally:
        scope.busy -= 1


async def _takes_new_way(scope: Scope, name: str) -> bool:
    """What the journal says of this branch; else what was said before in this turn; else whether all ground is new."""
    turn = scope.turn
    mark, *outer = dict.fromkeys(_mark(one.path, name) for one in scope.outward())
    if mark in turn.index.patches:
        return True
    for known in (mark, *outer):
        if known in turn.patches:
            return turn.patches[known]
    if scope.is_replaying:
        turn.patches[mark] = False
        return False
    await turn.append(NewEntry(EntryKind.PATCHED, detail=mark))
    turn.patches[mark] = True
    return True


def _mark(path: str, name: str) -> str:
    """What the journal calls the place: its name, under the branch whose code it is in."""
    branch = path[: path.rfind("]") + 1]
    return f"{branch}/{name}" if branch else name
