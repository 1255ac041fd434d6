"""Three ways to resolve an approval, and what each is told by which winner."""

from __future__ import annotations

import asyncio
import random
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from agentflow.approvals import approval_digest, describe
from agentflow.errors import AgentflowError
from agentflow.requests import ClaimRuns, Decide, NewApproval, OpenWait, TriggerRun
from agentflow.states import Verdict, WaitKind
from agentflow.store import open_store
from agentflow.testing import FakeClock
from tests.crash.programs import asks

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.synchronize import Barrier

    from agentflow.store import Store

Asked = list[tuple[str, str]]
SPREAD = 0.001
"""Seconds within which they set off, so that each of them comes first now and then."""
HEAD_START = 50
"""In one race of so many one of them, each in turn, is done before the others set off: nobody never wins."""

# What each hears, by who wins. A run may be cancelled after its approval was answered, but not before.
ANSWER_TIMEOUT_CANCEL = {
    "approve": {"approve": "Decision", "expire": "0", "cancel": "Run"},
    "expire": {"approve": "ApprovalExpired", "expire": "1", "cancel": "Run"},
    "cancel": {"approve": "ApprovalWithdrawn", "expire": "0", "cancel": "Run"},
}
TWO_PEOPLE = {
    "approve": {"approve": "Decision", "reject": "AlreadyDecided"},
    "reject": {"approve": "AlreadyDecided", "reject": "Decision"},
}
OUTCOMES = {"approve": "approved", "reject": "rejected", "expire": "timed_out", "cancel": "cancelled"}


def ask(url: str, times: int) -> Asked:
    """So many parked runs, each with an approval whose deadline is a second after the one before; both ids of each."""
    return asyncio.run(_ask(url, times))


async def _ask(url: str, times: int) -> Asked:
    store = await open_store(url, clock=FakeClock())
    request = TriggerRun(task="asks", version="1", input=asks.encode_json({"n": 1}))
    await store.trigger_many([request] * times)
    worker = await store.register_worker(host="elsewhere", pid=1, started="1", lease_for=timedelta(days=1))
    claimed = await store.claim(ClaimRuns(worker_id=worker.id, tasks=["asks"], limit=times))
    asked = [(f"apr-{place:04}", one.run.id) for place, one in enumerate(claimed)]
    parking = [
        store.park(one.lease, [_opening(approval, place)], ["approval#1"])
        for place, (one, (approval, _)) in enumerate(zip(claimed, asked, strict=True))
    ]
    await asyncio.gather(*parking)
    await store.retire_worker(worker.id)
    await store.close()
    return asked


def _opening(approval_id: str, place: int) -> OpenWait:
    described = describe({"total": place})
    approval = NewApproval(
        id=approval_id,
        data=f'{{"total":{place}}}',
        schema='{"type":"object"}',
        digest=approval_digest(task="asks", key="approval#1", value=described.value, schema=described.schema),
        timeout=timedelta(seconds=place + 1),
        on_timeout="reject",
        allow=(Verdict.APPROVE, Verdict.REJECT),
        **dict.fromkeys(("title", "summary", "body", "reason", "risk"), ""),
        **dict.fromkeys(("field_confidence", "evidence", "tags"), "{}"),
        **dict.fromkeys(("confidence", "default")),
        priority=0,
    )
    return OpenWait(key="approval#1", kind=WaitKind.APPROVAL, subject=approval_id, approval=approval)


def race(channel: Connection, url: str, way: str, among: tuple[Barrier, list[str]], asked: Asked) -> None:
    """Resolve one approval after the other, each at the moment the others do; say what came of each."""
    channel.send(asyncio.run(_race(url, way, among, asked)))


async def _race(url: str, way: str, among: tuple[Barrier, list[str]], asked: Asked) -> list[str]:
    start, ways = among
    clock = FakeClock()
    store = await open_store(url, clock=clock)
    told = []
    for place, (approval, run) in enumerate(asked):
        turn, is_even = divmod(place, HEAD_START)
        first = way if is_even else ways[turn % len(ways)]
        if way == "expire":
            clock.advance("1s")  # by this clock, and by no other, exactly this one has become overdue
        start.wait()
        if way != first:
            start.wait()
        set_off = time.perf_counter() + random.random() * SPREAD
        while time.perf_counter() < set_off:
            pass
        told.append(await _resolve(store, way, approval, run))
        if not is_even and way == first:
            start.wait()
    await store.close()
    return told


async def _resolve(store: Store, way: str, approval: str, run: str) -> str:
    made: Any
    try:
        match way:
            case "approve" | "reject":
                request = Decide(
                    id=f"{way}-{approval}", approval_id=approval, verdict=Verdict(way), decided_by=way, channel="test"
                )
                made = await store.decide(request)
            case "expire":
                return str(await store.expire(limit=10))
            case _:
                made = await store.cancel(run, by=way, reason="")
    except AgentflowError as error:
        return type(error).__name__
    return type(made).__name__
