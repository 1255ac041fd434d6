"""`python -m benchmarks`: measure agentflow, and other systems beside it; see docs/performance.md."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from collections import Counter
from compileall import compile_dir
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.beside import Peers
from benchmarks.database import NoServer, server
from benchmarks.machine import description
from benchmarks.plan import TRACED, WORK, Piece, pieces
from benchmarks.rounds import Failed, Measurement, Place, ours, quiet_measurement, sync_calls
from benchmarks.shown import pages, tables
from benchmarks.shown.figures import number

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PACKAGES = ("agentflow", "approvals_ui", "schedulers", "benchmarks")
"""What is compiled beforehand, as whatever is installed has been, the other systems too."""
ENOUGH = 2
"""A system that failed so often with a workload is not tried again; once, it may have been a port somebody had."""


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--only", nargs="+", default=[], metavar="WORD", help="workloads and systems: W1 agentflow dbos:postgres raw")
    add("--rounds", type=int, default=3, help="how often each is measured (3)")
    add("--size", action="append", default=[], metavar="WORKLOAD=N", help=f"of our own: {', '.join(WORK)}")
    add("--small", action="store_true", help="small sizes: does it work, not how fast it is")
    add("--tries", type=int, default=2, help="measure again, when others disturb, up to this often (2)")
    add("--patience", type=float, default=0, help="seconds to wait for a quiet machine before each (0)")
    add("--folder", type=Path, default=None, help="a folder on the disk to measure (temporary files)")
    add("--database-url", metavar="URL", help="a PostgreSQL server to measure on (one is started)")
    add("--peers", metavar="FOLDER", help="the folder of the peers' harness (AGENTFLOW_PEERS)")
    add("--json", type=Path, metavar="FILE", help="append every measurement to this file")
    add("--from", type=Path, nargs="+", dest="sources", metavar="FILE", help="measure nothing: show these files")
    add("--replace", action="store_true", help="put the figures into docs/performance.md, docs/plots.md and README.md")
    return parser.parse_args()


def main() -> None:
    """Measure as asked, or read what was measured; print the tables."""
    asked = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # what was started is ended too
    found, machine = read(asked.sources) if asked.sources else measured(asked)
    print(f"\n{tables.everything(found, machine)}")
    if asked.replace:
        pages.replace(ROOT, found, machine)


def measured(asked: argparse.Namespace) -> tuple[list[Measurement], dict[str, str]]:
    """Every measurement, round by round, each workload with every system in its turn; and the machine."""
    chosen = pieces(asked.only, small=asked.small, sizes=sizes(asked.size))
    machine = description(asked.folder or Path(tempfile.gettempdir()))
    for package in PACKAGES:
        compile_dir(ROOT / package, quiet=1)
    found: list[Measurement] = []
    with ExitStack() as stack:
        place = Place(asked.folder, None)
        try:
            place = Place(asked.folder, stack.enter_context(server(asked.database_url, asked.folder)))
            machine |= place.server.description() if place.server else {}
        except NoServer as missing:
            print(missing, file=sys.stderr)
        for one in in_rounds(asked, place, chosen):
            found.append(one)
            tell(one)
            keep(asked.json, {"machine": machine, **one.as_json()})
    return found, machine


def sizes(words: list[str]) -> dict[str, int]:
    """The sizes that were given. Raises `SystemExit` for one that is none."""
    found = {name: size for name, _, size in (word.partition("=") for word in words)}
    if wrong := [name for name, size in found.items() if name not in WORK or not size.isdecimal()]:
        raise SystemExit(f"--size wants WORKLOAD=N, with a workload of {', '.join(WORK)}; not {', '.join(wrong)}")
    return {name: int(size) for name, size in found.items()}


def attempt(asked: argparse.Namespace, place: Place, peers: Peers, piece: Piece) -> Iterator[Measurement]:
    """Measurements of one piece, or the row that says why there are none."""
    try:
        yield from quiet_measurement(partial(measure, place, peers, piece), tries=asked.tries, patience=asked.patience)
    except Failed as failed:
        print(failed, file=sys.stderr)
        why = failed.reason
        yield Measurement(piece.system, piece.workload, piece.size, {}, beside=piece.beside, why=why)


def in_rounds(asked: argparse.Namespace, place: Place, chosen: list[Piece]) -> Iterator[Measurement]:
    """Every piece in every round it takes part in; one that failed twice is left out of the others."""
    peers, failed = Peers.found(asked.peers), Counter[Piece]()
    for turn in range(asked.rounds):
        for piece in chosen:
            if turn < piece.rounds + failed[piece] and failed[piece] < ENOUGH:
                for one in attempt(asked, place, peers, piece):
                    yield one
                    failed[piece] += bool(one.why)


def measure(place: Place, peers: Peers, piece: Piece) -> Measurement:
    """One measurement. Raises `Failed`."""
    if piece.workload == TRACED:
        return sync_calls(place, piece.size)
    if piece.beside:
        return peers.measure(place, piece)
    return ours(place, piece.system, piece.workload, piece.size, seconds=WORK[piece.workload].seconds)


def tell(one: Measurement) -> None:
    """One line of progress."""
    shown = ", ".join(f"{name} {number(value)}" for name, value in list(one.figures.items())[:3] if value)
    disturbed = "" if one.is_quiet else "  DISTURBED"
    where = "beside" if one.beside else "alone"
    print(
        f"{one.system:24} {one.workload:10} {where:7} {shown or one.why}  [{one.foreign_cores}]{disturbed}",
        file=sys.stderr,
        flush=True,
    )


def keep(file: Path | None, row: dict[str, object]) -> None:
    """Append a row to the results file, if there is one."""
    if file is not None:
        with file.open("a", encoding="utf-8") as results:
            results.write(json.dumps(row) + "\n")


def read(files: list[Path]) -> tuple[list[Measurement], dict[str, str]]:
    """The measurements of results files, and the machine of the last."""
    rows = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    machines = [row.pop("machine") for row in rows]
    return [Measurement(**row) for row in rows], machines[-1]


if __name__ == "__main__":
    main()
