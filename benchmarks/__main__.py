"""`python -m benchmarks`: measure agentflow, and other systems beside it; see docs/performance.md."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import report
from benchmarks.beside import Peers
from benchmarks.machine import Moment, description
from benchmarks.rounds import Failed, Measurement, ours, quiet_measurement, sync_calls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIZES = {"raw": 3, "W1": 1000, "W2": 500, "W3": 200, "W3-across": 200, "W4": 500, "W5": 5000, "W6": 20}
SIZES |= {"W7": 100_000, "W8": 1000}
SMALL = {"raw": 1, "W1": 100, "W2": 50, "W3": 20, "W3-across": 20, "W4": 100, "W5": 100, "W6": 2}
SMALL |= {"W7": 500, "W8": 100}
BESIDE = ("W1", "W2", "W3")
failures: list[Failed] = []


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=f"of {', '.join(SIZES)} (all)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (3)")
    parser.add_argument("--small", action="store_true", help="small sizes: does it work, not how fast it is")
    parser.add_argument("--tries", type=int, default=3, help="measure again, when others disturb, up to this often (3)")
    parser.add_argument("--patience", type=float, default=0, help="seconds to wait for a quiet machine before each (0)")
    parser.add_argument("--folder", type=Path, default=None, help="a folder on the disk to measure (temporary files)")
    parser.add_argument("--peers", metavar="FOLDER", help="the folder of the peers' harness, to measure them too")
    parser.add_argument(
        "--system", action="append", default=[], metavar="ADAPTER:BACKEND[=W1,W2]", help="measure it too"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="append every measurement to this file")
    parser.add_argument("--replace", type=Path, metavar="DOCUMENT", help="put the tables into this document")
    parser.add_argument("--summary", type=Path, metavar="DOCUMENT", help="put the short comparison into this document")
    parser.add_argument("--from", type=Path, dest="source", metavar="FILE", help="measure nothing: tables of this file")
    return parser.parse_args()


def main() -> None:
    """Measure as asked, print the tables."""
    asked = arguments()
    unknown = set(asked.workloads) - set(SIZES)
    if unknown:
        raise SystemExit(f"unknown workload {', '.join(sorted(unknown))}; there are {', '.join(SIZES)}")
    machine = description(asked.folder or Path(tempfile.gettempdir()))
    if asked.source:
        found, machine = read(asked.source)
    else:
        found = []
        for one in measurements(asked):
            found.append(one)
            tell(one)
            keep(asked.json, {"machine": machine, **one.as_json()})
    text = tables(found, machine)
    print(f"\n{text}")
    if asked.replace:
        report.write_between_markers(asked.replace, text)
    if asked.summary:
        report.write_between_markers(asked.summary, report.summary(found))
    if failures:
        raise SystemExit("\n".join(map(str, failures)))


def measurements(asked: argparse.Namespace) -> Iterator[Measurement]:
    """Every measurement, round by round, each system and workload in its turn."""
    sizes = SMALL if asked.small else SIZES
    wanted = asked.workloads or list(sizes)
    work: list[Callable[[], Measurement]] = [partial(ours, name, sizes[name], asked.folder) for name in wanted]
    work += list(beside(asked, wanted))
    for _ in range(asked.rounds):
        for measure in work:
            try:
                yield from quiet_measurement(measure, tries=asked.tries, patience=asked.patience)
            except Failed as failed:
                failures.append(failed)
    if "W1" in wanted:
        began = Moment.now()
        figures = {"fsync_calls_per_step": sync_calls(SMALL["W1"], asked.folder)}
        yield Measurement("agentflow", "W1 traced", SMALL["W1"], figures, began.foreign_cores())


def beside(asked: argparse.Namespace, wanted: list[str]) -> Iterator[Callable[[], Measurement]]:
    """What to measure of other systems, each workload with all of them in turn."""
    if not asked.system:
        return
    peers = Peers.found(asked.peers)
    for workload in BESIDE:
        for system, _, only in (word.partition("=") for word in asked.system):
            if workload in wanted and (not only or workload in only.split(",")):
                yield partial(peers.measure, system, workload, SMALL[workload] if asked.small else None)


def tell(one: Measurement) -> None:
    """One line of progress."""
    shown = ", ".join(f"{name} {report.number(value)}" for name, value in list(one.figures.items())[:3] if value)
    disturbed = "" if one.is_quiet else "  DISTURBED"
    print(f"{one.system:24} {one.workload:10} {shown}  [{one.foreign_cores}]{disturbed}", file=sys.stderr, flush=True)


def keep(file: Path | None, row: dict[str, object]) -> None:
    """Append a row to the results file, if there is one."""
    if file is not None:
        with file.open("a", encoding="utf-8") as results:
            results.write(json.dumps(row) + "\n")


def read(file: Path) -> tuple[list[Measurement], dict[str, str]]:
    """The measurements of a results file, and the machine of the last."""
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    machines = [row.pop("machine") for row in rows]
    return [Measurement(**row) for row in rows], machines[-1]


def tables(found: list[Measurement], machine: dict[str, str]) -> str:
    """All tables: the machine, ourselves, the peers."""
    own = [one for one in found if one.system == "agentflow"]
    beside = [one for one in found if one.system != "agentflow"]
    parts = [report.table(("machine", ""), machine.items()), "### agentflow", report.own_tables(own)]
    if beside:
        parts += ["### Beside other systems", report.peer_tables(beside, report.limit_of(own))]
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
