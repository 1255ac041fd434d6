"""The workloads, each measured once in a process of its own: `python -m benchmarks.workloads W1 FOLDER SIZE`.

Prints one JSON object of figures. W1, W2, W3 and W8 run client and worker in this process, as `agentflow serve` does;
"W3-across" and W4 to W7 have the worker in a second one.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from agentflow.store.sqlite.file import connect
from benchmarks.ground import Figures, Ground
from benchmarks.machine import flushes, idle_percent, resident_bytes
from benchmarks.many import w7, w8
from benchmarks.steps import PAYLOAD, application, approval, hear, loop_factory, sequence

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentflow import AgentFlow


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share of them lies."""
    return sorted(values)[min(len(values) - 1, round(share * (len(values) - 1)))]


# -- the limit: rows committed one by one


async def raw(ground: Ground, size: int) -> Figures:
    """One row a commit for `size` seconds, with the library, the pragmas and the disk that we use, and nothing else."""
    connection = connect(ground.database)
    connection.execute("CREATE TABLE s(run TEXT, step INTEGER, out TEXT, PRIMARY KEY(run, step)) WITHOUT ROWID")
    text = json.dumps(PAYLOAD)
    took: list[float] = []
    end = time.monotonic() + size
    while (began := time.monotonic()) < end:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO s VALUES (?, ?, ?)", (secrets.token_hex(16), len(took), text))
        connection.execute("COMMIT")
        took.append(time.monotonic() - began)
    connection.close()
    return {
        "commits_per_s": len(took) / size,
        "commit_ms_median": median(took) * 1e3,
        "commit_ms_p99": percentile(took, 0.99) * 1e3,
    }


# -- W1, W2: steps and runs


async def w1(ground: Ground, size: int) -> Figures:
    """`size` steps in one run, one after the other."""
    async with application(ground.database) as app:
        await (await sequence.trigger("warm", 50))
        flushed, committed, began = flushes(ground.folder), app.store.commits, time.monotonic()  # type: ignore[attr-defined]
        await (await sequence.trigger("run", size))
        after, commits = flushes(ground.folder), app.store.commits - committed  # type: ignore[attr-defined]
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
        "commits_per_step": commits / size,
        "disk_flushes_per_step": None if flushed is None or after is None else (after - flushed) / size,
    }


async def w2(ground: Ground, size: int) -> Figures:
    """`size` runs of 5 steps: triggered one by one, side by side, and executed meanwhile."""
    names = [f"run{number}" for number in range(size)]
    async with application(ground.database) as app:
        await (await sequence.trigger("warm", 50))
        began = time.monotonic()
        await asyncio.gather(*[app.client.trigger(sequence, name, 5) for name in names])
        triggered = time.monotonic()
        end = await ground.log.until("end", names, every=0.01)
    return {
        "runs_per_s": size / (end - began),
        "steps_per_s": 5 * size / (end - began),
        "trigger_all_s": triggered - began,
        "total_s": end - began,
    }


# -- W3: decisions


async def waiting(ground: Ground, app: AgentFlow, names: Sequence[str]) -> dict[str, str]:
    """Runs that wait for a person: the approval's id of each, once the inbox shows them all."""
    for first in range(0, len(names), 500):
        await approval.batch_trigger([(name,) for name in names[first : first + 500]])
    await ground.log.until("wait", names, every=0.02)
    async for _ in app.client.changes():
        found = await inbox(app)
        if found.keys() >= set(names):
            return {name: found[name] for name in names}
    raise AssertionError("unreachable")


async def inbox(app: AgentFlow) -> dict[str, str]:
    """Every pending approval's id, by the run's name."""
    found: dict[str, str] = {}
    cursor: str | None = None
    while True:
        page = await app.client.approvals(cursor=cursor, limit=500)
        found |= {one.title: one.id for one in page.items}
        cursor = page.next_cursor
        if cursor is None:
            return found


async def decisions(ground: Ground, app: AgentFlow, size: int, heard: Callable[[str, str], Any]) -> Figures:
    """Decide one by one, then as many at once; `heard` waits for a run's mark."""
    await decide_all(app, await waiting(ground, app, [f"warm{number}" for number in range(5)]))
    one_by_one = await waiting(ground, app, [f"one{number}" for number in range(size)])
    await asyncio.sleep(1)
    went, ended, answered = [], [], []
    for name, approval_id in one_by_one.items():
        marks = heard("go", name), heard("end", name)
        began = time.monotonic()
        await app.client.decide(approval_id, "approve", by="benchmark")
        answered.append((time.monotonic() - began) * 1e3)
        went.append((await marks[0] - began) * 1e3)
        ended.append((await marks[1] - began) * 1e3)
    at_once = await waiting(ground, app, [f"all{number}" for number in range(size)])
    await asyncio.sleep(1)
    began = time.monotonic()
    await decide_all(app, at_once)
    last = await ground.log.until("end", list(at_once))
    return {
        "decision_to_continued_ms_median": median(went),
        "decision_to_continued_ms_p99": percentile(went, 0.99),
        "decision_to_done_ms_median": median(ended),
        "decision_to_done_ms_p99": percentile(ended, 0.99),
        "decide_call_ms_median": median(answered),
        "all_at_once_s": last - began,
    }


async def decide_all(app: AgentFlow, approvals: dict[str, str]) -> None:
    """Approve them side by side."""
    await asyncio.gather(*[app.client.decide(one, "approve", by="benchmark") for one in approvals.values()])


async def w3(ground: Ground, size: int) -> Figures:
    """Decisions taken in the process that executes the runs."""
    async with application(ground.database) as app:
        return await decisions(ground, app, size, hear)


async def w3_across(ground: Ground, size: int) -> Figures:
    """Decisions taken in a process beside the worker's."""

    def heard(kind: str, run: str) -> asyncio.Task[float]:
        return asyncio.create_task(ground.log.until(kind, [run]))

    async with ground.two_processes() as app:
        return await decisions(ground, app, size, heard)


# -- W4 to W6: crashes, waiting, idling


async def w4(ground: Ground, size: int) -> Figures:
    """Kill the worker half-way through a run of `size` steps and start another."""
    async with ground.two_processes():
        await sequence.trigger("run", size)
        while len(done := ground.log.times("step", "run")) < size // 2:
            ground.log.look()
            await asyncio.sleep(0.001)
        ground.kill_worker()
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


async def w5(ground: Ground, size: int) -> Figures:
    """`size` runs that wait for people: what they cost, and what one decision takes among them."""
    async with ground.two_processes() as app:
        assert ground.worker is not None
        await decide_all(app, await waiting(ground, app, [f"warm{number}" for number in range(20)]))
        await asyncio.sleep(1)
        memory, bytes_before, began = resident_bytes(ground.worker.pid), ground.database_bytes(), time.monotonic()
        approvals = await waiting(ground, app, [f"run{number}" for number in range(size)])
        all_waiting = time.monotonic() - began
        await asyncio.sleep(5)
        memory_after, bytes_after = resident_bytes(ground.worker.pid), ground.database_bytes()
        idle = await idle_percent(ground.worker.pid, seconds=10)
        name = f"run{size // 2}"
        began = time.monotonic()
        await app.client.decide(approvals[name], "approve", by="benchmark")
        decided = await ground.log.until("end", [name]) - began
        ground.kill_worker()
        ready = await ground.start_worker()
    return {
        "all_waiting_s": all_waiting,
        "worker_rss_kb_per_run": (memory_after - memory) / 1024 / size,
        "worker_rss_mb": memory_after / 2**20,
        "database_bytes_per_run": (bytes_after - bytes_before) / size,
        "idle_cpu_percent": idle,
        "decision_to_done_ms": decided * 1e3,
        "restart_to_ready_s": ready,
    }


async def w6(ground: Ground, size: int) -> Figures:
    """A worker with nothing to do, for `size` seconds, and how long importing takes."""
    await ground.start_worker()
    assert ground.worker is not None
    await asyncio.sleep(2)
    idle, memory = await idle_percent(ground.worker.pid, seconds=size), resident_bytes(ground.worker.pid)
    ground.kill_worker()
    bare = median(started("pass") for _ in range(7))
    return {
        "idle_cpu_percent": idle,
        "idle_rss_mb": memory / 2**20,
        "import_ms": (
            median(started("from agentflow import AgentFlow, step, task, wait_for_approval") for _ in range(7)) - bare
        )
        * 1e3,
    }


def started(code: str) -> float:
    """Seconds that a Python takes to run this and end."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.monotonic() - began


WORKLOADS = {
    "raw": raw,
    "W1": w1,
    "W2": w2,
    "W3": w3,
    "W3-across": w3_across,
    "W4": w4,
    "W5": w5,
    "W6": w6,
    "W7": w7,
    "W8": w8,
}


def main(name: str, folder: str, size: str) -> None:
    """Measure one workload once."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        print(json.dumps(runner.run(WORKLOADS[name](Ground(Path(folder)), int(size)))))


if __name__ == "__main__":
    main(*sys.argv[1:])
