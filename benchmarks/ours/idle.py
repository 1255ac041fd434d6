"""W6: nothing happens; and how long it takes to begin."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from statistics import median
from typing import TYPE_CHECKING

from agentflow.store.postgres.server import connect as connect_to_server
from benchmarks.machine import idle_percent, postmaster_of, resident_bytes, tree_cpu_seconds
from benchmarks.ours.steps import application

if TYPE_CHECKING:
    from benchmarks.ours.ground import Figures, Ground

TASKS = "benchmarks/ours/steps.py"
SETTLE = 6
STARTS = 9


async def w6(ground: Ground, size: int) -> Figures:
    """A worker with the inbox and nothing to do, for `size` seconds; importing; `agentflow --help`."""
    async with application(ground.url, worker=False):
        pass  # the schema is made
    command = [sys.executable, "-m", "agentflow", "serve", TASKS, "--port", "0", "--database", ground.url]
    served = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: ASYNC220  it is left alone
    try:
        await asyncio.sleep(SETTLE)
        server = server_pid(ground)
        before = tree_cpu_seconds(server) if server else 0.0
        idle, memory = await idle_percent(served.pid, seconds=size), resident_bytes(served.pid)
        of_server = (tree_cpu_seconds(server) - before) / size * 100 if server else None
        if served.poll() is not None:
            raise RuntimeError(f"`agentflow serve` ended with exit code {served.returncode}")
    finally:
        served.terminate()
        served.wait()
    bare = median(started("-c", "pass") for _ in range(STARTS))
    imported = median(started("-c", "import agentflow") for _ in range(STARTS))
    names = "from agentflow import AgentFlow, step, task, wait_for_approval"
    return {
        "idle_cpu_percent": idle,
        "idle_cpu_percent_of_the_server": of_server,
        "idle_rss_mb": memory / 2**20,
        "import_ms": (imported - bare) * 1e3,
        "import_with_names_ms": (median(started("-c", names) for _ in range(STARTS)) - bare) * 1e3,
        "help_ms": median(started("-m", "agentflow", "--help") for _ in range(STARTS)) * 1e3,
    }


def started(*arguments: str) -> float:
    """Seconds that a Python takes to run this and end."""
    began = time.monotonic()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def server_pid(ground: Ground) -> int | None:
    """The PostgreSQL server's first process, where there is one on this host."""
    if not ground.is_on_server:
        return None
    with connect_to_server(ground.url) as connection:
        [pid] = connection.execute("SELECT pg_backend_pid()").fetchone() or (None,)
        return postmaster_of(pid) if pid else None
