"""Where one measurement happens: a database, a folder with a step log, and perhaps worker processes."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from contextlib import asynccontextmanager, closing
from statistics import median
from typing import TYPE_CHECKING

from agentflow.store.postgres.server import connect as connect_to_server
from agentflow.store.postgres.server import is_postgres
from agentflow.store.sqlite.file import connect as connect_to_file
from agentflow.store.sqlite.file import path_of
from benchmarks.ours.log import LOG_VARIABLE, StepLog
from benchmarks.ours.steps import application

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from agentflow import AgentFlow


Figures = dict[str, float | None]


class Ground:
    """The place of one measurement: its database, its step log, its worker processes."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.log = StepLog(folder / "steps.log")
        self.workers: list[subprocess.Popen[bytes]] = []
        os.environ[LOG_VARIABLE] = str(self.log.path)

    @property
    def is_on_server(self) -> bool:
        """Whether the database is a PostgreSQL server's."""
        return is_postgres(self.url)

    async def start_worker(self) -> float:
        """One more worker process; how many seconds it took to come up."""
        self.log.look()
        before = len(self.log.marks)
        began = time.monotonic()
        worker = subprocess.Popen([sys.executable, "-m", "benchmarks.ours.worker", self.url])  # noqa: ASYNC220  timed
        self.workers.append(worker)
        while True:
            self.log.look()
            ready = [one for one in self.log.marks[before:] if one.kind == "ready"]
            if ready:
                return ready[0].at - began
            if worker.poll() is not None:
                raise RuntimeError(f"the worker ended with exit code {worker.returncode}")
            await asyncio.sleep(0.002)

    @property
    def worker_pid(self) -> int:
        """The newest worker's process."""
        return self.workers[-1].pid

    def kill_workers(self) -> None:
        """As `kill -9` does."""
        for worker in self.workers:
            worker.kill()
            worker.wait()
        self.workers.clear()

    def database_bytes(self) -> int:
        """The database, with a file's log folded into it."""
        if self.is_on_server:
            with connect_to_server(self.url) as connection:
                connection.execute("CHECKPOINT")
                [size] = connection.execute("SELECT pg_database_size(current_database())").fetchone() or (0,)
                return int(size)
        file = path_of(self.url)
        with closing(connect_to_file(file)) as opened:
            opened.execute("PRAGMA wal_checkpoint(PASSIVE)")
        return file.stat().st_size

    @asynccontextmanager
    async def two_processes(self) -> AsyncIterator[AgentFlow]:
        """A client here and a worker in a process of its own."""
        try:
            await self.start_worker()
            async with application(self.url, worker=False) as app:
                yield app
        finally:
            self.kill_workers()


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share of them lies."""
    return sorted(values)[min(len(values) - 1, round(share * (len(values) - 1)))]


def latencies(name: str, milliseconds: Sequence[float]) -> Figures:
    """Median and 99th percentile."""
    return {f"{name}_ms_median": median(milliseconds), f"{name}_ms_p99": percentile(milliseconds, 0.99)}
