"""Many requests at once, written through the store's own tables by the transaction that opens one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from agentflow.payloads import encode
from agentflow.requests import ClaimRuns, OpenWait, TriggerRun
from agentflow.states import WaitKind
from tests.ui.seeding import Seeds, new_approval

if TYPE_CHECKING:
    from agentflow.store.base import Claimed, Store

BATCH = 500


async def many_requests(store: Store, count: int) -> None:
    """`count` runs that wait for a decision each; concurrent verbs share their commits."""
    seeds = Seeds(store)
    await (await _parked(store, await seeds.claimed("review"), 0))
    for start in range(1, count, BATCH):
        size = min(BATCH, count - start)
        await store.trigger_many([TriggerRun(task="review", version="1", input=encode({})) for _ in range(size)])
        held = await store.claim(ClaimRuns(worker_id=seeds.worker_id, tasks=["review"], limit=size))
        await asyncio.gather(*[await _parked(store, one, start + place) for place, one in enumerate(held)])


async def _parked(store: Store, claimed: Claimed, number: int):
    new = new_approval(store, {"number": number}, title=f"Request {number}", key="review#1", task="review")
    wait = OpenWait(key="review#1", kind=WaitKind.APPROVAL, subject=new.id, approval=new)
    return store.park(claimed.lease, [wait], ["review#1"])
