"""A worker and a run it holds, by the store's verbs alone."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from agentflow.requests import ClaimRuns, TriggerRun

if TYPE_CHECKING:
    from agentflow.store import Claimed, Store

LEASE = timedelta(seconds=30)


async def claimed(store: Store, name: str = "worker", *, trigger: bool = True) -> Claimed:
    """The run, made unless there is one to be taken, in the hands of a worker of this name."""
    if trigger:
        await store.trigger(TriggerRun(task="adding", version="1", input="{}"))
    worker = await store.register_worker(host=name, pid=1, started="", lease_for=LEASE)
    [taken] = await store.claim(ClaimRuns(worker_id=worker.id, tasks=["adding"], limit=1))
    return taken
