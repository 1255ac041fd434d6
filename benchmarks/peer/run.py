"""Run one workload of the peers' harness once: `run.py PEERS_FOLDER ADAPTER_FOLDER WORKLOAD BACKEND [KEYWORD=NUMBER…]`.

Called with the Python of the system that is measured. The adapter folder is one of the peers', or the one this file is
in. Keywords go to the workload (`reps=1`, `n=100`).
"""

from __future__ import annotations

import os
import sys
from importlib import import_module


def main(peers: str, adapter: str, workload: str, backend: str, *keywords: str) -> None:
    """Measure; the harness prints a JSON line a metric and appends it to `$BENCH_RESULTS`."""
    sys.path[:0] = [os.path.abspath(adapter), os.path.abspath(peers)]  # noqa: PTH100  the harness compares texts
    harness, client = import_module("harness"), import_module("client")
    sys.argv = [sys.argv[0], backend]
    given = {name: int(number) for name, _, number in (word.partition("=") for word in keywords)}
    harness.run(client.Client, workload, **given)


if __name__ == "__main__":
    main(*sys.argv[1:])
