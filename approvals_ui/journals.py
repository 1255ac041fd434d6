"""Reading journals of any length: a stretch at a time, and no further than needed."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from agentflow.states import EntryKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import timedelta

    from agentflow.client import Client
    from agentflow.records import Approval, Entry

STRETCH: Final = 1000
KEPT: Final = 200


async def every_entry(client: Client, run_id: str) -> AsyncIterator[Entry]:
    """The run's journal from its beginning."""
    after = 0
    while entries := await client.journal(run_id, after=after, limit=STRETCH):
        for entry in entries:
            yield entry
        after = entries[-1].seq


async def entries_before(client: Client, approval: Approval) -> Sequence[Entry]:
    """The last entries before the request was made, and those that belong to it left out."""
    kept: deque[Entry] = deque(maxlen=KEPT)
    async for entry in every_entry(client, approval.run_id):
        if entry.at > approval.created_at:
            break
        if entry.key is not None and entry.key != approval.key:
            kept.append(entry)
    return kept


async def resumed_after(client: Client, approval: Approval) -> timedelta | None:
    """How long after its decision the run did something again; None while it has not."""
    if approval.decided_at is None:
        return None
    is_resolved = False
    async for entry in every_entry(client, approval.run_id):
        if is_resolved:
            return entry.at - approval.decided_at
        is_answer = entry.kind is EntryKind.WAIT_RESOLVED and entry.key == approval.key
        is_resolved = is_answer and entry.at >= approval.decided_at
    return None
