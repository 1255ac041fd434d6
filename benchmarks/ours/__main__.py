"""One workload, measured once in a process of its own: `python -m benchmarks.ours W1 FOLDER SIZE URL`.

Prints one JSON object of figures. raw, W1, W2, W3, replay and grown run client and worker in this process, as
`agentflow serve` does; the others have workers in processes of their own.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from benchmarks.ours.crashes import w4
from benchmarks.ours.decisions import replay, w3, w3_across
from benchmarks.ours.ground import Ground
from benchmarks.ours.grown import grown
from benchmarks.ours.idle import w6
from benchmarks.ours.limits import raw
from benchmarks.ours.steps import loop_factory
from benchmarks.ours.throughput import w1, w2, w2_two
from benchmarks.ours.waiting import w5

WORKLOADS = {
    "raw": raw,
    "W1": w1,
    "W2": w2,
    "W2-two": w2_two,
    "W3": w3,
    "W3-across": w3_across,
    "W4": w4,
    "W5": w5,
    "W6": w6,
    "replay": replay,
    "grown": grown,
}


def main(name: str, folder: str, size: str, url: str) -> None:
    """Measure one workload once."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        print(json.dumps(runner.run(WORKLOADS[name](Ground(Path(folder), url), int(size)))))


if __name__ == "__main__":
    main(*sys.argv[1:])
