"""Run one workload of the peers' harness once: `run.py PEERS ADAPTER SCRATCH WORKLOAD BACKEND [KEYWORD=NUMBER…]`.

Called with the Python of the system that is measured. The adapter's folder is one of the peers', or the one this file
is in. Keywords go to the workload (`reps=1`, `n=100`), and the adapter's own opinion of sizes is put aside.
`$BENCHMARK_SERVER` is the PostgreSQL server everybody is measured on: `host port pid folder`,
the last two `-` if unknown.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

SERVER_VARIABLE = "BENCHMARK_SERVER"


def main(peers: str, adapter: str, scratch: str, workload: str, backend: str, *keywords: str) -> None:
    """Measure; the harness prints a JSON line a metric and appends it to `$BENCH_RESULTS`."""
    sys.path[:0] = [os.path.abspath(adapter), os.path.abspath(peers)]  # noqa: PTH100  the harness compares texts
    harness = import_module("harness")
    use_server(harness)
    client = import_module("client")
    client.Client.reps = {}
    client.Client.__init__ = in_folder(client.Client.__init__, harness, Path(scratch))
    sys.argv = [sys.argv[0], backend]
    given = {name: int(number) for name, _, number in (word.partition("=") for word in keywords)}
    harness.run(client.Client, workload, **given)


def use_server(harness: Any) -> None:
    """Have the harness use the server everybody is measured on, in place of one of its own."""
    given = os.environ.get(SERVER_VARIABLE)
    if given is None:
        return
    host, port, pid, folder = given.split(" ", 3)
    harness.PG_HOST, harness.PG_PORT, harness.PG_DATA = host, int(port), folder
    if pid == "-":
        harness.pg_pids = list


def in_folder(init: Any, harness: Any, scratch: Path) -> Any:
    """The adapter's `__init__`, with its files on the disk that is measured; programs are where they were set up."""

    def measured_there(self: Any, backend: str) -> None:
        home = harness.HOME
        harness.HOME = str(scratch)
        try:
            init(self, backend)
        finally:
            harness.HOME = home

    return measured_there


if __name__ == "__main__":
    main(*sys.argv[1:])
