"""Where one measurement happens: a folder with a database, a step log, and perhaps a worker process."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from benchmarks.steps import LOG_VARIABLE, StepLog, application

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from agentflow import AgentFlow


Figures = dict[str, float | None]


class Ground:
    """A folder for one measurement: its database, its step log, its worker processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / "agentflow.db"
        self.log = StepLog(folder / "steps.log")
        self.worker: subprocess.Popen[bytes] | None = None
        os.environ[LOG_VARIABLE] = str(self.log.path)

    async def start_worker(self) -> float:
        """A worker process that takes work; how many seconds it took to come up."""
        self.log.look()
        before = len(self.log.marks)
        began = time.monotonic()
        command = [sys.executable, "-m", "benchmarks.worker", str(self.database)]
        self.worker = subprocess.Popen(command)  # noqa: ASYNC220  it is timed from here on
        while True:
            self.log.look()
            ready = [one for one in self.log.marks[before:] if one.kind == "ready"]
            if ready:
                return ready[0].at - began
            if self.worker.poll() is not None:
                raise RuntimeError(f"the worker ended with exit code {self.worker.returncode}")
            await asyncio.sleep(0.002)

    def kill_worker(self) -> None:
        """As `kill -9` does."""
        if self.worker is not None:
            self.worker.kill()
            self.worker.wait()

    def database_bytes(self) -> int:
        """The database and its log."""
        files = [self.database, self.database.with_name(self.database.name + "-wal")]
        return sum(file.stat().st_size for file in files if file.exists())

    @asynccontextmanager
    async def two_processes(self) -> AsyncIterator[AgentFlow]:
        """A client here and a worker in a process of its own."""
        await self.start_worker()
        try:
            async with application(self.database, worker=False) as app:
                yield app
        finally:
            self.kill_worker()
