"""W3: people decide, one by one and many at once; and what a long journal costs then."""

from __future__ import annotations

import asyncio
import time
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.ours.ground import Figures, latencies
from benchmarks.ours.log import hear
from benchmarks.ours.steps import application, approval, long

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentflow import AgentFlow
    from benchmarks.ours.ground import Ground

SETTLE = 1.0
LONG_RUNS = 12


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


async def decide_all(app: AgentFlow, approvals: dict[str, str]) -> None:
    """Approve them side by side."""
    await asyncio.gather(*[app.client.decide(one, "approve", by="benchmark") for one in approvals.values()])


async def decisions(ground: Ground, app: AgentFlow, size: int, heard: Callable[[str, str], Any]) -> Figures:
    """Decide one by one, then as many at once; `heard` waits for a run's mark."""
    await decide_all(app, await waiting(ground, app, [f"warm{number}" for number in range(5)]))
    one_by_one = await waiting(ground, app, [f"one{number}" for number in range(size)])
    await asyncio.sleep(SETTLE)
    went, ended, answered = [], [], []
    for name, approval_id in one_by_one.items():
        marks = heard("go", name), heard("end", name)
        began = time.monotonic()
        await app.client.decide(approval_id, "approve", by="benchmark")
        answered.append((time.monotonic() - began) * 1e3)
        went.append((await marks[0] - began) * 1e3)
        ended.append((await marks[1] - began) * 1e3)
    at_once = await waiting(ground, app, [f"all{number}" for number in range(size)])
    await asyncio.sleep(SETTLE)
    began = time.monotonic()
    await decide_all(app, at_once)
    last = await ground.log.until("end", list(at_once))
    return {
        **latencies("decision_to_continued", went),
        **latencies("decision_to_done", ended),
        "decide_call_ms_median": median(answered),
        "all_at_once_s": last - began,
    }


async def w3(ground: Ground, size: int) -> Figures:
    """Decisions taken in the process that executes the runs."""
    async with application(ground.url) as app:
        return await decisions(ground, app, size, hear)


async def w3_across(ground: Ground, size: int) -> Figures:
    """Decisions taken in a process beside the worker's."""

    def heard(kind: str, run: str) -> asyncio.Task[float]:
        return asyncio.create_task(ground.log.until(kind, [run]))

    async with ground.two_processes() as app:
        return await decisions(ground, app, size, heard)


async def replay(ground: Ground, size: int) -> Figures:
    """A decision continues a run with `size` recorded steps: the journal is read and the task replayed up to there."""
    names = [f"run{number}" for number in range(LONG_RUNS)]
    async with application(ground.url) as app:
        await long.batch_trigger([(name, size) for name in names])
        while len(found := await inbox(app)) < LONG_RUNS:  # noqa: ASYNC110  the store is asked, as people do
            await asyncio.sleep(0.05)
        await asyncio.sleep(SETTLE)
        took = []
        for name in names:
            mark = hear("go", name)
            began = time.monotonic()
            await app.client.decide(found[name], "approve", by="benchmark")
            took.append((await mark - began) * 1e3)
    return {"decision_to_continued_ms_median": median(took), "decision_to_continued_ms_worst": max(took)}
