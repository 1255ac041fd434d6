"""What stands around a decision: its run so far, earlier decisions of that run, and its neighbours in the inbox."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from approvals_ui.calls import call_of
from approvals_ui.journals import entries_before
from approvals_ui.terms import always_of
from approvals_ui.timeline import rows_of

if TYPE_CHECKING:
    from agentflow.client import Client
    from agentflow.records import Approval

SHOWN_ROWS: Final = 12
NEIGHBOURHOOD: Final = 100


async def surroundings(client: Client, approval: Approval) -> dict[str, Any]:
    """The right rail of a decision page, and the way to the requests before and after it."""
    asked = await client.approvals(run_id=approval.run_id, pending=None, limit=NEIGHBOURHOOD)
    rows = rows_of(await entries_before(client, approval), {})
    before, after = await _neighbours(client, approval)
    return {
        "call": call_of(approval, asked.items),
        "always": always_of(approval),
        "evidence": json.loads(approval.evidence),
        "field_confidence": json.loads(approval.field_confidence),
        "tags": json.loads(approval.tags),
        "earlier": sorted((one for one in asked.items if one.id != approval.id), key=lambda one: one.created_at),
        "rows": rows[-SHOWN_ROWS:],
        "has_earlier_rows": len(rows) > SHOWN_ROWS,
        "before": before,
        "after": after,
    }


async def _neighbours(client: Client, approval: Approval) -> tuple[Approval | None, Approval | None]:
    """The pending requests before and after this one; for one that is not among the first, the most urgent."""
    pending = (await client.approvals(limit=NEIGHBOURHOOD)).items
    place = next((index for index, one in enumerate(pending) if one.id == approval.id), None)
    if place is None:
        return None, next(iter(pending), None)
    return (pending[place - 1] if place else None), (pending[place + 1] if place + 1 < len(pending) else None)
