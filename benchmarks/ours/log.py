"""The step log: every time that is measured is a line of it, written where the work happens.

A line is `kind run number nanoseconds`, by CLOCK_MONOTONIC, which is one clock for the whole machine.
"""

from __future__ import annotations

import os
import time
from asyncio import get_running_loop
from asyncio import sleep as pause
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Collection
    from pathlib import Path

LOG_VARIABLE = "BENCHMARK_LOG"

_log: int | None = None
heard: dict[tuple[str, str], Future[float]] = {}
"""Marks that code in this same process waits for."""


def mark(kind: str, run: str, number: int = 0) -> None:
    """Append a line to the step log."""
    global _log  # noqa: PLW0603  one log a process
    if _log is None:
        _log = os.open(os.environ[LOG_VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    now = time.monotonic_ns()
    os.write(_log, f"{kind} {run} {number} {now}\n".encode())
    waiting = heard.pop((kind, run), None)
    if waiting is not None:
        waiting.set_result(now / 1e9)


def hear(kind: str, run: str) -> Future[float]:
    """When this mark is made in this process, in seconds."""
    future: Future[float] = get_running_loop().create_future()
    heard[kind, run] = future
    return future


class Mark(NamedTuple):
    """One line of the step log; `at` in seconds."""

    kind: str
    run: str
    number: int
    at: float


class StepLog:
    """Reads the step log as it grows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.marks: list[Mark] = []
        self._position = 0

    def look(self) -> None:
        """Take in the lines that have come."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._position)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._position += len(whole)
        for line in whole.decode().splitlines():
            kind, run, number, at = line.split()
            self.marks.append(Mark(kind, run, int(number), int(at) / 1e9))

    async def until(self, kind: str, runs: Collection[str], *, timeout: float = 300, every: float = 0.002) -> float:
        """When the last of these runs made such a mark. Raises `TimeoutError`."""
        deadline = time.monotonic() + timeout
        left, seen, last = set(runs), 0, 0.0
        while True:
            self.look()
            for found in self.marks[seen:]:
                if found.kind == kind and found.run in left:
                    left.discard(found.run)
                    last = max(last, found.at)
            seen = len(self.marks)
            if not left:
                return last
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(left)} of {len(runs)} runs did not come to {kind!r} in {timeout} s")
            await pause(every)

    def times(self, kind: str, run: str) -> list[float]:
        """When the run made marks of this kind, in order."""
        return sorted(one.at for one in self.marks if one.kind == kind and one.run == run)
