"""W5: very many runs that wait for people: what they cost, and what a decision takes among them."""

from __future__ import annotations

import asyncio
import json
import time
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.machine import idle_percent, resident_bytes
from benchmarks.ours.decisions import waiting
from benchmarks.ours.ground import percentile
from benchmarks.ours.steps import PROPOSED, approval

if TYPE_CHECKING:
    from agentflow import AgentFlow
    from benchmarks.ours.ground import Figures, Ground

BATCH = 1000
DECISIONS = 40
SETTLE = 5
IDLE_SECONDS = 10


async def w5(ground: Ground, size: int) -> Figures:
    """`size` runs that wait. Memory is that of a new worker with all of them, beside a new one with none."""
    async with ground.two_processes() as app:
        with_one = [await among_none(ground, app, number) for number in range(DECISIONS)]
        ready_with_none = await restarted(ground)
        memory, bytes_before, began = resident_bytes(ground.worker_pid), ground.database_bytes(), time.monotonic()
        await park(app, size)
        all_waiting = time.monotonic() - began
        await asyncio.sleep(SETTLE)
        bytes_after, while_parking = ground.database_bytes(), resident_bytes(ground.worker_pid)
        with_all = await among_all(ground, app)
        ready = await restarted(ground)
        memory_after, idle = resident_bytes(ground.worker_pid), await idle_percent(ground.worker_pid, IDLE_SECONDS)
        after_restart = await among_all(ground, app)
    took = with_all + after_restart
    return {
        "all_waiting_s": all_waiting,
        "database_bytes_per_run": (bytes_after - bytes_before) / size,
        "payload_bytes_per_run": payload_bytes(size),
        "worker_rss_bytes_per_run": (memory_after - memory) / size,
        "worker_rss_mb_with_none": memory / 2**20,
        "worker_rss_mb_with_all": memory_after / 2**20,
        "worker_that_parked_them_rss_mb": while_parking / 2**20,
        "idle_cpu_percent": idle,
        "restart_to_ready_s_with_none": ready_with_none,
        "restart_to_ready_s": ready,
        "decision_to_continued_ms_median_with_one": median(with_one),
        "decision_to_continued_ms_median": median(took),
        "decision_to_continued_ms_p99": percentile(took, 0.99),
        "decision_to_continued_ms_median_after_restart": median(after_restart),
    }


async def restarted(ground: Ground) -> float:
    """The worker is killed; how many seconds the next one took to come up. It has settled then."""
    ground.kill_workers()
    ready = await ground.start_worker()
    await asyncio.sleep(SETTLE)
    return ready


async def park(app: AgentFlow, size: int) -> None:
    """Start the runs, until all of them wait."""
    for first in range(0, size, BATCH):
        await approval.batch_trigger([(f"run{number}",) for number in range(first, min(size, first + BATCH))])
    while (await app.client.counts()).pending_approvals < size:  # noqa: ASYNC110  another process parks them
        await asyncio.sleep(0.2)


async def among_none(ground: Ground, app: AgentFlow, number: int) -> float:
    """Milliseconds from the decision on the only run that waits to its continuation."""
    [(name, approval_id)] = (await waiting(ground, app, [f"only{number}"])).items()
    return await continued(ground, app, name, approval_id)


async def among_all(ground: Ground, app: AgentFlow) -> list[float]:
    """The same for some of the many."""
    items = (await app.client.approvals(limit=DECISIONS)).items
    return [await continued(ground, app, one.title, one.id) for one in items]


async def continued(ground: Ground, app: AgentFlow, name: str, approval_id: str) -> float:
    """Milliseconds from a decision to the continuation of its run."""
    began = time.monotonic()
    await app.client.decide(approval_id, "approve", by="benchmark")
    return (await ground.log.until("go", [name]) - began) * 1e3


def payload_bytes(size: int) -> float:
    """What one run holds of the user's own: its input, the title and what is proposed."""
    name = f"run{size // 2}"
    return len(json.dumps({"run": name})) + len(name) + len(json.dumps(PROPOSED))
