"""Whether all is well: workers that are alive, runs by status, and runs that nothing would move on."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from agentflow.cli.command import command
from agentflow.cli.exits import ExitCode
from agentflow.cli.terminal import Terminal, write
from agentflow.cli.workers import ALIVE, DRAINING, state_of

if TYPE_CHECKING:
    import typer

MOST_SHOWN = 20


def register(application: typer.Typer) -> None:
    """Add this command."""
    command(application, "health", panel="Runs")(health)


def health(terminal: Terminal) -> int:
    """Say how many workers are alive and where the runs are; exit 1 if a run is stuck."""
    return asyncio.run(_health(terminal))


async def _health(terminal: Terminal) -> int:
    from agentflow.cli.session import opened

    async with opened(terminal) as client:
        now = client.now()
        states = Counter(state_of(worker, now) for worker in await client.workers())
        counts = await client.counts()
        stuck = await client.stuck(limit=MOST_SHOWN)
    runs = {str(status): count for status, count in sorted(counts.runs.items())}
    document = {
        "workers": states[ALIVE],
        "draining": states[DRAINING],
        "runs": runs,
        "pending_approvals": counts.pending_approvals,
        "stuck": [one.id for one in stuck],
    }

    def write_all() -> None:
        write(f"workers alive      {states[ALIVE]}", "" if states[ALIVE] else "yellow")
        if states[DRAINING]:
            write(f"workers ending     {states[DRAINING]}")
        for status, count in runs.items():
            write(f"runs {status:<14}{count}")
        write(f"approvals pending  {counts.pending_approvals}")
        for one in stuck:
            write(f"run {one.id} of {one.task} is {one.status} and nothing would ever move it on", "red")

    terminal.answer(document, write_all)
    return ExitCode.FAILED if stuck else ExitCode.OK
