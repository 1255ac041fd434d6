"""Other systems beside ours, by the peers' own harness: a folder of adapters that is not part of this project.

A system is named `adapter:backend`. `agentflow` is the adapter in `benchmarks/peer`; the others are folders of the
peers' folder, each with a Python of its own in `$PEERS_HOME/<adapter>/.venv`.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.rounds import Failed, Measurement, environment, finished

if TYPE_CHECKING:
    from benchmarks.plan import Piece
    from benchmarks.rounds import Place

HERE = Path(__file__).parent
PEERS_VARIABLE = "AGENTFLOW_PEERS"
HOME_VARIABLE = "PEERS_HOME"
SERVER_VARIABLE = "BENCHMARK_SERVER"
TIME_LIMIT = 300


@dataclass(frozen=True, slots=True)
class Peers:
    """The folder with the harness and the adapters, and where its `setup.sh` put what they need."""

    folder: Path | None
    home: Path

    @staticmethod
    def found(folder: str | None) -> Peers:
        """As given, else as the environment says."""
        given = folder or os.environ.get(PEERS_VARIABLE)
        home = os.environ.get(HOME_VARIABLE) or str(Path(tempfile.gettempdir()) / "agentflow-peers")
        return Peers(Path(given).resolve() if given else None, Path(home))

    def harness(self) -> Path:
        """The folder with the harness. Raises `Failed` with what is missing."""
        if self.folder is None or not (self.folder / "harness.py").is_file():
            raise Failed(f"--peers (or {PEERS_VARIABLE}) names no folder that holds the peers' harness.py")
        return self.folder

    def python(self, adapter: str) -> str:
        """The Python the system is measured with. Raises `Failed` if it has not been set up."""
        if adapter == "agentflow":
            return sys.executable
        python = self.home / adapter / ".venv" / "bin" / "python"
        if not python.exists():
            raise Failed(f"{adapter} is not set up: run `setup.sh {adapter}` in the peers' folder")
        return str(python)

    def measure(self, place: Place, piece: Piece) -> Measurement:
        """One repetition of the workload, in processes of its own. Raises `Failed`."""
        adapter, _, backend = piece.system.partition(":")
        harness, python = self.harness(), self.python(adapter)
        folder = HERE / "peer" if adapter == "agentflow" else harness / adapter
        with place.fresh_folder() as scratch:
            rows = scratch / "rows.jsonl"
            run = [python, str(HERE / "peer" / "run.py"), str(harness), str(folder), str(scratch)]
            variables = {**environment(), **self._variables(place, backend, rows)}
            if adapter == "agentflow":
                variables["PYTHONPATH"] = str(HERE.parent)
            said, code = finished([*run, piece.workload.lower(), backend, *keywords(piece)], variables, TIME_LIMIT)
            found = [json.loads(line) for line in rows.read_text().splitlines()] if rows.exists() else []
        if code != 0 or not found:
            raise Failed(f"{piece.system} {piece.workload} failed:\n{said[-3000:]}")
        figures = {str(row["metric"]): row["value"] for row in found}
        foreign = max(float(row.get("foreign_cores") or 0) for row in found)
        return Measurement(piece.system, piece.workload, piece.size, figures, foreign, beside=True)

    def _variables(self, place: Place, backend: str, rows: Path) -> dict[str, str]:
        """Where the harness puts its rows, and finds the server. Raises `Failed` if it needs one that there is not."""
        variables = {"BENCH_RESULTS": str(rows), HOME_VARIABLE: str(self.home)}
        if backend.startswith("postgres"):
            if place.server is None:
                raise Failed("there is no PostgreSQL server to measure it on")
            variables[SERVER_VARIABLE] = place.server.address()
            if place.server.programs is not None:
                variables["PATH"] = f"{place.server.programs}{os.pathsep}{os.environ.get('PATH', '')}"
        return variables


def keywords(piece: Piece) -> list[str]:
    """What the harness's workload is called with."""
    if piece.workload == "W6":
        return [f"secs={piece.size}"]
    repetitions = [] if piece.workload == "W5" else ["reps=1"]
    return [*repetitions, f"n={piece.size}"]
