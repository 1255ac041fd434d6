"""W4: a worker is killed, and another takes its place."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from benchmarks.ours.steps import sequence

if TYPE_CHECKING:
    from benchmarks.ours.ground import Figures, Ground


async def w4(ground: Ground, size: int) -> Figures:
    """`kill -9` of the worker half-way through a run of `size` steps, and a new worker on the same host."""
    async with ground.two_processes():
        await sequence.trigger("run", size)
        while len(done := ground.log.times("step", "run")) < size // 2:
            ground.log.look()
            await asyncio.sleep(0.001)
        ground.kill_workers()
        ground.log.look()
        before = {one.number for one in ground.log.marks if one.kind == "step"}
        began = time.monotonic()
        ready = await ground.start_worker()
        end = await ground.log.until("end", ["run"])
    steps = [one for one in ground.log.marks if one.kind == "step"]
    first_new = min(one.at for one in steps if one.number not in before)
    return {
        "restart_to_first_new_step_s": first_new - began,
        "worker_ready_s": ready,
        "restart_to_done_s": end - began,
        "steps_executed_twice": float(len(steps) - len({one.number for one in steps})),
        "killed_after_step": float(max(len(done), len(before))),
    }
