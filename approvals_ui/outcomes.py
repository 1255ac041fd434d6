"""What a resolved approval shows: the outcome in words, the changes, and how soon the run went on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from agentflow.approvals import changes
from agentflow.states import ApprovalStatus
from approvals_ui.journals import resumed_after

if TYPE_CHECKING:
    from agentflow.client import Client
    from agentflow.records import Approval

HEADLINES: Final = {
    ApprovalStatus.APPROVED: ("Approved", "good"),
    ApprovalStatus.CORRECTED: ("Approved with changes", "good"),
    ApprovalStatus.REJECTED: ("Rejected", "bad"),
    ApprovalStatus.TIMED_OUT: ("Expired", "warn"),
    ApprovalStatus.CANCELLED: ("Withdrawn", "neutral"),
    ApprovalStatus.SUPERSEDED: ("Replaced", "neutral"),
}


async def outcome_context(client: Client, approval: Approval) -> dict[str, Any]:
    """Everything the outcome panel prints."""
    original = json.loads(approval.data)
    final = original if approval.final is None else json.loads(approval.final)
    headline, tone = HEADLINES[approval.status]
    made = tuple(changes(original, final, schema=json.loads(approval.schema)))
    if approval.status is ApprovalStatus.CORRECTED:
        headline = f"Approved with {len(made)} change{'' if len(made) == 1 else 's'}"
    return {
        "headline": headline,
        "tone": tone,
        "made": made,
        "final": final,
        "run": await client.run(approval.run_id),
        "resumed": await resumed_after(client, approval),
        "replacement": await _replacement(client, approval),
    }


async def _replacement(client: Client, approval: Approval) -> Approval | None:
    """The request that took this one's place, if it was replaced."""
    if approval.status is not ApprovalStatus.SUPERSEDED:
        return None
    asked = await client.approvals(run_id=approval.run_id, pending=None, limit=200)
    later = [one for one in asked.items if one.created_at > approval.created_at]
    same = [one for one in later if one.key == approval.key]
    return min(same or later, key=lambda one: one.created_at, default=None)
