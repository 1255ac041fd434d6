"""Tool calls that wait in an inbox under test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow.requests import OpenWait
from agentflow.states import WaitKind
from tests.ui.seeding import new_approval

if TYPE_CHECKING:
    from agentflow.records import Approval
    from tests.ui.seeding import Seeds

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "order": {"type": "string", "title": "Order", "maxLength": 20_000},
        "amount": {"type": "number", "minimum": 0},
        "reason": {"type": "string", "maxLength": 20_000},
    },
    "required": ["order", "amount", "reason"],
    "additionalProperties": False,
}
ARGUMENTS: dict[str, Any] = {"order": "A-1", "amount": 120, "reason": "It arrived broken."}
SAID = "The customer sent two photographs of the broken lamp, so I would pay the whole amount back."


async def a_call(seeds: Seeds, arguments: dict[str, Any] | None = None, **given: Any) -> Approval:
    """A call of `refund` that waits, as an agent's loop asks for it."""
    tags = {"agent": "refunds", "turn": "1", "call": "1", "of": "1", "effect": "irreversible"} | given.pop("tags", {})
    options = {"key": "refund.approval#1", "title": "Call refund", "risk": "high", "schema": SCHEMA, "said": SAID}
    data = ARGUMENTS if arguments is None else arguments
    return await seeds.asks(data, tool="refund", tags=tags, **({"task": "refunds"} | options | given))


async def three_calls(seeds: Seeds) -> list[Approval]:
    """The three calls of one turn, all of which wait."""
    claimed = await seeds.claimed("refunds")
    waits = []
    for place, order in enumerate(("A-1", "A-2", "A-3")):
        key = f"gather#1[{place}]/refund.approval#1"
        tags = {"agent": "refunds", "turn": "1", "call": str(place + 1), "of": "3", "effect": "irreversible"}
        options = {"tool": "refund", "title": "Call refund", "risk": "high", "schema": SCHEMA, "said": SAID}
        new = new_approval(seeds.store, ARGUMENTS | {"order": order}, key=key, task="refunds", tags=tags, **options)
        waits.append(OpenWait(key=key, kind=WaitKind.APPROVAL, subject=new.id, approval=new))
    await seeds.store.park(claimed.lease, waits, [one.key for one in waits])
    return [await seeds.store.approval(str(one.subject)) for one in waits]
