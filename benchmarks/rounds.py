"""Rounds: every measurement in a fresh process and folder, taken in turn, so that a slow minute hits all alike."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.machine import Moment, busy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

QUIET = 0.3
"""Cores that other programs may keep busy before a measurement counts as disturbed."""
SYNC_CALLS = "fsync,fdatasync"


class Failed(Exception):
    """A measurement that came to nothing; the message says which, and what the program said."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one system did with one workload once."""

    system: str
    workload: str
    size: int
    figures: dict[str, float | None]
    foreign_cores: float

    @property
    def is_quiet(self) -> bool:
        """Whether the machine was ours alone, or near enough."""
        return self.foreign_cores <= QUIET

    def as_json(self) -> dict[str, Any]:
        """For the results file."""
        return asdict(self)


def environment() -> dict[str, str]:
    """Ours, but compiled modules are kept: without them every start is measured together with a compiler."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


@contextmanager
def fresh_folder(parent: Path | None) -> Iterator[Path]:
    """A folder of its own on the disk that is measured, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="agentflow-benchmark-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def ours(workload: str, size: int, parent: Path | None) -> Measurement:
    """One measurement of agentflow."""
    with fresh_folder(parent) as folder:
        command = [sys.executable, "-m", "benchmarks.workloads", workload, str(folder), str(size)]
        began = Moment.now()
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment())
        foreign = began.foreign_cores()
    if done.returncode != 0:
        raise Failed(f"{workload} failed:\n{done.stderr}")
    return Measurement("agentflow", workload, size, json.loads(done.stdout.splitlines()[-1]), foreign)


def sync_calls(size: int, parent: Path | None) -> float | None:
    """System calls of W1 that flush a file, per step; None where strace cannot be used. Counted apart: it is slow."""
    if shutil.which("strace") is None:
        return None
    with fresh_folder(parent) as folder:
        trace = folder / "trace"
        command = ["strace", "-f", "-qq", "-e", f"trace={SYNC_CALLS}", "-o", str(trace)]
        for length in (size, 2 * size):
            inside = folder / str(length)
            inside.mkdir()
            work = [sys.executable, "-m", "benchmarks.workloads", "W1", str(inside), str(length)]
            if subprocess.run([*command, *work], check=False, capture_output=True, env=environment()).returncode != 0:
                return None  # tracing is not allowed everywhere
            trace.rename(folder / f"trace-{length}")
        once, twice = (len((folder / f"trace-{n}").read_text().splitlines()) for n in (size, 2 * size))
    return (twice - once) / size


def wait_for_quiet(patience: float) -> None:
    """Return when others leave the machine alone for a second, or when the patience (in seconds) is over."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        before = busy()
        time.sleep(1)
        if busy() - before <= QUIET:
            return


def quiet_measurement(measure: Callable[[], Measurement], *, tries: int, patience: float) -> Iterator[Measurement]:
    """Measure, again while others disturb it, at most `tries` times; every measurement is given, the last one last."""
    for _ in range(tries):
        wait_for_quiet(patience)
        measured = measure()
        yield measured
        if measured.is_quiet:
            return
