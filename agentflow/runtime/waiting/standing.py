"""Standing approvals where a call is about to be asked about: one that covers it may spare a person the question."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from agentflow import approvals
from agentflow.runtime.waiting.waits import require_own_time
from agentflow.states import Verdict

if TYPE_CHECKING:
    from agentflow.records import Entry
    from agentflow.requests import NewApproval, OpenWait
    from agentflow.runtime.scope import Scope
    from agentflow.runtime.waiting.asking import Asked

NEVER = "critical"
"""The risk at which a person is asked each time."""


def may_stand(new: NewApproval) -> bool:
    """Whether a decision made ahead may answer this: a tool's call that may be approved, below critical risk."""
    return bool(new.tool) and new.risk != NEVER and Verdict.APPROVE in new.allow


async def answered_ahead(scope: Scope, asked: Asked, opening: OpenWait) -> Entry | None:
    """What a standing approval that covers the call has decided; None, with nothing opened, if there is none.

    Where one is found, the wait is opened here and answered in the same transaction if it still holds then; if it does
    not, the wait stays open for a person, `opening` having been used up all the same.
    """
    turn = scope.turn
    standing_id = await _covering(scope, asked)
    if standing_id is None or opening.approval is None:
        return None
    require_own_time(opening.key)
    opened = replace(opening, approval=replace(opening.approval, standing=standing_id))
    await turn.write(turn.store.open_waits, [opened])
    await turn.catch_up()
    return turn.index.by_key[opening.key].resolved


async def _covering(scope: Scope, asked: Asked) -> str | None:
    """The oldest standing approval whose terms the arguments meet."""
    turn = scope.turn
    for one in await turn.sure(turn.store.standings_for, turn.task.id, asked.tool):
        if not approvals.validate(json.loads(one.terms), asked.value):
            return str(one.id)
    return None
