"""W1 and W2: steps one after the other, and many runs."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any

from agentflow.store.postgres.server import connect as connect_to_server
from benchmarks.durable import require_durable_server, require_flushes, wal_flushes
from benchmarks.machine import flushes
from benchmarks.ours.ground import Figures, percentile
from benchmarks.ours.steps import application, sequence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow import AgentFlow
    from benchmarks.ours.ground import Ground

STEPS_OF_A_RUN = 5
HEAD_START = "4s"
"""How long a backlog lines up before all of it comes due."""


async def w1(ground: Ground, size: int) -> Figures:
    """`size` steps in one run, one after the other. Raises `NotDurable` if they were not flushed one by one."""
    async with application(ground.url, worker=False):
        pass  # the schema is made
    log_flushes = server_flushes(ground)
    async with application(ground.url) as app:
        await (await sequence.trigger("warm", 50))
        flushed, committed, began = flushes(ground.folder), commits(app), time.monotonic()
        await (await sequence.trigger("run", size))
        after, of_the_run, of_all = flushes(ground.folder), commits(app) - committed, commits(app)
    of_the_disk = None if flushed is None or after is None else (after - flushed) / size
    require_flushes(of_the_disk, per="step")
    found: Figures = {**step_times(ground, size, began), "commits_per_step": of_the_run / size}
    found["disk_flushes_per_step"] = of_the_disk
    if log_flushes is not None:
        of_the_log = ((server_flushes(ground) or 0) - log_flushes) / of_all
        require_flushes(of_the_log, per="commit")
        found["log_flushes_per_commit"] = of_the_log
    return found


def commits(app: AgentFlow) -> int:
    """How many transactions this process has committed."""
    counting: Any = app.store  # each store counts, the protocol does not ask for it
    return int(counting.commits)


def step_times(ground: Ground, size: int, began: float) -> Figures:
    """What the step log says of the run."""
    ground.log.look()
    [end] = ground.log.times("end", "run")
    times = ground.log.times("step", "run")
    gaps = [(later - earlier) * 1e3 for earlier, later in pairwise(times)]
    return {
        "steps_per_s": size / (end - times[0]),
        "step_ms_median": median(gaps),
        "step_ms_p99": percentile(gaps, 0.99),
        "step_ms_median_first_100": median(gaps[:100]),
        "step_ms_median_last_100": median(gaps[-100:]),
        "start_ms": (times[0] - began) * 1e3,
    }


def server_flushes(ground: Ground) -> int | None:
    """How often the server flushed its log so far; None of a file. Raises `NotDurable` if it need not."""
    if not ground.is_on_server:
        return None
    with connect_to_server(ground.url) as connection:
        require_durable_server(connection)
        return wal_flushes(connection)


async def w2(ground: Ground, size: int) -> Figures:
    """`size` runs of 5 steps: triggered one by one, side by side, and executed meanwhile."""
    names = [f"run{number}" for number in range(size)]
    async with application(ground.url) as app:
        await (await sequence.trigger("warm", 50))
        flushed, began = flushes(ground.folder), time.monotonic()
        await asyncio.gather(*[app.client.trigger(sequence, name, STEPS_OF_A_RUN) for name in names])
        triggered = time.monotonic()
        end = await ground.log.until("end", names, every=0.01)
        after = flushes(ground.folder)
    return {
        "runs_per_s": size / (end - began),
        "steps_per_s": STEPS_OF_A_RUN * size / (end - began),
        "trigger_all_s": triggered - began,
        "total_s": end - began,
        "disk_flushes_per_step": None
        if flushed is None or after is None
        else (after - flushed) / size / STEPS_OF_A_RUN,
    }


async def w2_two(ground: Ground, size: int) -> Figures:
    """A backlog of `size` runs of 5 steps, all due at once: taken by one worker process, and the next by two."""
    async with ground.two_processes():
        await backlog(ground, "warm", 100)
        alone = await backlog(ground, "one", size)
        await ground.start_worker()
        await backlog(ground, "warmer", 100)
        both = await backlog(ground, "two", size)
    return {"runs_per_s_one_worker": alone, "runs_per_s_two_workers": both, "two_to_one": both / alone}


async def backlog(ground: Ground, name: str, size: int) -> float:
    """Runs a second, from the first step to the end of the last run, of a backlog that was complete before."""
    names = [f"{name}{number}" for number in range(size)]
    waiting = sequence.options(delay=HEAD_START)
    for first in range(0, size, 500):
        await waiting.batch_trigger([(run, STEPS_OF_A_RUN) for run in names[first : first + 500]])
    complete = time.monotonic()
    end = await ground.log.until("end", names, every=0.01)
    began = first_step(ground, names)
    if began < complete:
        raise RuntimeError(f"the backlog of {size} runs was not complete when its first run came due")
    return size / (end - began)


def first_step(ground: Ground, names: Sequence[str]) -> float:
    """When the first of these runs took its first step."""
    wanted = set(names)
    return min(one.at for one in ground.log.marks if one.kind == "step" and one.run in wanted)
