"""The effect ledger: a file outside the database to which step bodies write, the only witness of what really ran.

Each line is one synchronous `O_APPEND` write, so that a killed process leaves whole lines and loses none it has
written; no call of `fsync` is made, so that a test may count, or fail, those of the database.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from dataclasses import astuple, dataclass
from pathlib import Path

from agentflow import operation
from agentflow.tasks.calling import current_caller

VARIABLE = "AGENTFLOW_TEST_LEDGER"


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened: a phase of an operation of a run or, in capitals, what a caller was told about `run`."""

    run: str
    key: str
    attempt: int
    epoch: int
    pid: int
    at: int
    phase: str


def witness(phase: str = "start") -> None:
    """Write down, from inside a step's body, that it has come this far."""
    known = operation()
    assert known is not None, "only a step that runs in a run has anything to witness"
    epoch = current_caller.get().turn.lease.epoch  # type: ignore[union-attr]  it is InStep, which has the turn
    _write(Line(known.run_id, known.key, known.attempt, epoch, os.getpid(), _now(), phase))


def note(fact: str, subject: str) -> None:
    """Write down what a caller was told: the fact in capitals, and the id it is about."""
    _write(Line(subject, "", 0, 0, os.getpid(), _now(), fact))


def read(path: Path) -> list[Line]:
    """Every line, oldest first."""
    if not path.exists():
        return []
    return [Line(*json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def starts(path: Path) -> Counter[str]:
    """How often the body of each key was entered."""
    return Counter(line.key for line in read(path) if line.phase == "start")


def _write(line: Line) -> None:
    descriptor = os.open(os.environ[VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_DSYNC, 0o600)
    try:
        os.write(descriptor, json.dumps(astuple(line)).encode() + b"\n")
    finally:
        os.close(descriptor)


def _now() -> int:
    return time.time_ns() // 1000
