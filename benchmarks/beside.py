"""Other systems beside ours, by the peers' own harness: a folder of adapters that is not part of this project.

A system is named `adapter:backend`. `agentflow` is the adapter in `benchmarks/peer`; the others are folders of the
peers' folder, each with a Python of its own in `$PEERS_HOME/<adapter>/.venv`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.rounds import Failed, Measurement, environment

HERE = Path(__file__).parent
PEERS_VARIABLE = "AGENTFLOW_PEERS"
HOME_VARIABLE = "PEERS_HOME"
SIZES = {"W1": 1000, "W2": 500, "W3": 200}
TIME_LIMIT = 300


@dataclass(frozen=True, slots=True)
class Peers:
    """The folder with the harness and the adapters, and where `setup.sh` put what they need."""

    folder: Path
    home: Path

    @staticmethod
    def found(folder: str | None) -> Peers:
        """As given, else as the environment says. Raises `SystemExit` with what is missing."""
        given = folder or os.environ.get(PEERS_VARIABLE)
        if not given or not (Path(given) / "harness.py").is_file():
            raise SystemExit(f"--peers (or {PEERS_VARIABLE}) must name the folder that holds the peers' harness.py")
        home = os.environ.get(HOME_VARIABLE) or str(Path(tempfile.gettempdir()) / "agentflow-peers")
        return Peers(Path(given).resolve(), Path(home))

    def python(self, adapter: str) -> str:
        """The Python the system is measured with. Raises `SystemExit` if it has not been set up."""
        if adapter == "agentflow":
            return sys.executable
        python = self.home / adapter / ".venv" / "bin" / "python"
        if not python.exists():
            raise SystemExit(f"{adapter} is not set up: run setup.sh {adapter} in the peers' folder")
        return str(python)

    def measure(self, system: str, workload: str, size: int | None = None) -> Measurement:
        """One repetition of the workload, in processes of its own. Raises `Failed`."""
        adapter, _, backend = system.partition(":")
        folder = HERE / "peer" if adapter == "agentflow" else self.folder / adapter
        keywords = ["reps=1"] + ([f"n={size}"] if size else [])
        with tempfile.TemporaryDirectory() as scratch:
            rows = Path(scratch) / "rows.jsonl"
            run = [self.python(adapter), str(HERE / "peer" / "run.py"), str(self.folder), str(folder)]
            results = {"BENCH_RESULTS": str(rows), HOME_VARIABLE: str(self.home)}
            said, code = _finish([*run, workload.lower(), backend, *keywords], {**environment(), **results})
            found = [json.loads(line) for line in rows.read_text().splitlines()] if rows.exists() else []
        if code != 0 or not found:
            raise Failed(f"{system} {workload} failed:\n{said[-2000:]}")
        figures = {str(row["metric"]): row["value"] for row in found}
        foreign = max(float(row.get("foreign_cores") or 0) for row in found)
        return Measurement(system, workload, size or SIZES[workload], figures, foreign)


def _finish(command: list[str], variables: dict[str, str]) -> tuple[str, int]:
    """What a program said on standard error, and its exit code; it and all it started end when its time is over."""
    running = subprocess.Popen(
        command, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        _, said = running.communicate(timeout=TIME_LIMIT)
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        return f"it was not done in {TIME_LIMIT} s", 1
    return said, running.returncode
