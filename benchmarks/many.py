"""Very many runs that wait, and runs with a very long journal."""

from __future__ import annotations

import time
from asyncio import sleep as pause
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.machine import idle_percent, resident_bytes
from benchmarks.steps import application, approval, hear, long

if TYPE_CHECKING:
    from agentflow import AgentFlow
    from benchmarks.ground import Figures, Ground


async def w7(ground: Ground, size: int) -> Figures:
    """As W5 with so many runs that listing them all would be a measurement of its own; decisions among them."""
    async with ground.two_processes() as app:
        assert ground.worker is not None
        await pause(1)
        memory, bytes_before, began = resident_bytes(ground.worker.pid), ground.database_bytes(), time.monotonic()
        for first in range(0, size, 1000):
            await approval.batch_trigger([(f"run{number}",) for number in range(first, min(size, first + 1000))])
        while (await app.client.counts()).pending_approvals < size:  # noqa: ASYNC110  another process parks them
            await pause(0.2)
        all_waiting = time.monotonic() - began
        await pause(10)
        bytes_after, while_parking = ground.database_bytes(), resident_bytes(ground.worker.pid)
        before_restart = await decided_one_by_one(ground, app, count=20)
        ground.kill_worker()
        ready = await ground.start_worker()
        await pause(5)
        memory_after, idle = resident_bytes(ground.worker.pid), await idle_percent(ground.worker.pid, seconds=10)
        after_restart = await decided_one_by_one(ground, app, count=20)
    return {
        "all_waiting_s": all_waiting,
        "idle_worker_rss_mb": memory_after / 2**20,
        "same_worker_before_the_runs_rss_mb": memory / 2**20,
        "worker_that_parked_them_rss_mb": while_parking / 2**20,
        "database_bytes_per_run": (bytes_after - bytes_before) / size,
        "idle_cpu_percent": idle,
        "restart_to_ready_s": ready,
        "decision_to_continued_ms_median": median(before_restart),
        "decision_to_continued_ms_median_after_restart": median(after_restart),
        "decision_to_continued_ms_worst": max(before_restart + after_restart),
    }


async def decided_one_by_one(ground: Ground, app: AgentFlow, *, count: int) -> list[float]:
    """Milliseconds from a decision to the continuation of its run, for the first runs of the inbox."""
    took = []
    for one in (await app.client.approvals(limit=count)).items:
        began = time.monotonic()
        await app.client.decide(one.id, "approve", by="benchmark")
        took.append((await ground.log.until("go", [one.title]) - began) * 1e3)
    return took


async def w8(ground: Ground, size: int) -> Figures:
    """A decision continues a run with `size` recorded steps: the journal is read and the task replayed up to there."""
    names = [f"run{number}" for number in range(12)]
    async with application(ground.database) as app:
        await long.batch_trigger([(name, size) for name in names])
        while (await app.client.counts()).pending_approvals < len(names):  # noqa: ASYNC110  another process parks them
            await pause(0.05)
        found = {one.title: one.id for one in (await app.client.approvals()).items}
        await pause(2)
        took = []
        for name in names:
            mark = hear("go", name)
            began = time.monotonic()
            await app.client.decide(found[name], "approve", by="benchmark")
            took.append((await mark - began) * 1e3)
    return {"decision_to_continued_ms_median": median(took), "decision_to_continued_ms_worst": max(took)}
