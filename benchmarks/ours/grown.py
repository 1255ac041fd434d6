"""The same work on a new database and on one with very many finished runs."""

from __future__ import annotations

import asyncio
import time
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.ours.decisions import waiting
from benchmarks.ours.log import hear
from benchmarks.ours.rows import copy_finished_run
from benchmarks.ours.steps import application, sequence

if TYPE_CHECKING:
    from benchmarks.ours.ground import Figures, Ground

STEPS = 1000
RUNS = 500
DECISIONS = 100


async def grown(ground: Ground, size: int) -> Figures:
    """Steps, runs and decisions before and after `size` finished runs were added."""
    async with application(ground.url) as app:
        finished = await sequence.trigger("finished", 3)
        await finished
        run_id = finished.id
        del app
    before = await rates(ground, "new")
    began = time.monotonic()
    await asyncio.to_thread(copy_finished_run, ground, run_id, size)
    copied = time.monotonic() - began
    after = await rates(ground, "grown")
    found: Figures = {}
    for name, value in after.items():
        found |= {f"{name}_new": before[name], f"{name}_grown": value, f"{name}_grown_to_new": value / before[name]}
    return {**found, "database_bytes_per_run": ground.database_bytes() / size, "copied_s": copied}


async def rates(ground: Ground, name: str) -> dict[str, float]:
    """How fast it is now, by a program that opens the database as it stands."""
    opened = time.monotonic()
    async with application(ground.url) as app:
        opened = time.monotonic() - opened
        await (await sequence.trigger(f"{name}-warm", 50))
        await (await sequence.trigger(f"{name}-steps", STEPS))
        runs = [f"{name}{number}" for number in range(RUNS)]
        began = time.monotonic()
        await asyncio.gather(*[app.client.trigger(sequence, run, 5) for run in runs])
        end = await ground.log.until("end", runs, every=0.01)
        took = []
        for run, approval_id in (await waiting(ground, app, [f"{name}-ask{n}" for n in range(DECISIONS)])).items():
            mark, decided = hear("go", run), time.monotonic()
            await app.client.decide(approval_id, "approve", by="benchmark")
            took.append((await mark - decided) * 1e3)
    times = ground.log.times("step", f"{name}-steps")
    return {
        "open_s": opened,
        "steps_per_s": (STEPS - 1) / (times[-1] - times[0]),
        "runs_per_s": RUNS / (end - began),
        "decision_to_continued_ms_median": median(took),
    }
