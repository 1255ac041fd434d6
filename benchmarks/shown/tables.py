"""The tables: the machine, what was aimed at, the systems side by side, and everything we measure of ourselves."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from benchmarks.shown.comparison import HEADLINES, absent, standings, times_better
from benchmarks.shown.figures import is_ours, kept, middle, noise, number, spread
from benchmarks.shown.targets import TARGETS, reached

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from benchmarks.rounds import Measurement


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def everything(measured: Sequence[Measurement], machine: Mapping[str, str]) -> str:
    """All tables."""
    parts = ["### Targets", target_table(measured)]
    for workload in HEADLINES:
        if any(one.beside and one.workload == workload for one in measured):
            parts += [f"### {HEADLINES[workload].title}", peer_table(measured, workload)]
    parts += ["### All figures of ours", own_table(measured), "### The machine", machine_table(machine)]
    return "\n\n".join(parts)


def machine_table(machine: Mapping[str, str]) -> str:
    """What it was measured on."""
    return table(("machine", ""), machine.items())


def target_table(measured: Sequence[Measurement]) -> str:
    """What was aimed at, and what it came to."""
    rows = []
    for target in TARGETS:
        value = target.value(measured)
        if value is None:
            rows.append((target.workload, target.text, target.aim, "not measured", ""))
        else:
            rows.append((target.workload, target.text, target.aim, number(value), reached(target, value)))
    return table(("workload", "what", "target", "result", ""), rows)


def peer_table(measured: Sequence[Measurement], workload: str) -> str:
    """Every system of one workload, the best first, and how we compare."""
    headline = HEADLINES[workload]
    found = standings(measured, workload)
    shown = {
        metric: title
        for metric, title in headline.metrics.items()
        if any(spread(one.measured, metric) is not None for one in found)
    }
    rows = [
        (
            shown_name(one.system),
            f"{one.measured[0].size:,}",
            *(str(spread(one.measured, metric) or "") for metric in shown),
            noise(one.measured),
        )
        for one in found
    ]
    text = table(("system", "size", *shown.values(), "rounds, foreign cores"), rows)
    remarks = [
        f"- {shown_name(one.system)}: {line}"
        for one in found
        if is_ours(one.system)
        for line in ratios(measured, one.system, workload)
    ]
    remarks += [
        f"- {shown_name(system)} could not be measured: {why}" for system, why in absent(measured, workload).items()
    ]
    return "\n".join([text, "", *remarks]) if remarks else text


def ratios(measured: Sequence[Measurement], system: str, workload: str) -> Iterable[str]:
    """How it stands to the best other system, and to the limit of the database."""
    times = times_better(measured, system, workload)
    if times is not None:
        yield f"**{times:.1f}×** the best other system here."
    kind = system.partition(":")[2]
    limit = middle(measured, f"raw:{kind}", "raw", "commits_per_s")
    steps = middle(measured, system, "W1", "steps_per_s", beside=True)
    if workload == "W1" and limit and steps:
        yield f"{steps / limit:.0%} of the raw one-row commits a second ({number(limit)})."


def shown_name(system: str) -> str:
    """As a reader reads it."""
    return system.replace(":", ", ")


def own_table(measured: Iterable[Measurement]) -> str:
    """Everything our own programs measure, SQLite and PostgreSQL side by side."""
    by_workload: dict[str, dict[str, list[Measurement]]] = defaultdict(lambda: defaultdict(list))
    for one in measured:
        if not one.beside:
            by_workload[one.workload][one.system.partition(":")[2]].append(one)
    rows = []
    for workload, by_database in by_workload.items():
        good = {database: kept(found) for database, found in by_database.items() if kept(found)}
        metrics = dict.fromkeys(metric for found in good.values() for one in found for metric in one.figures)
        for metric in metrics:
            cells = [
                str(spread(good[database], metric) or "") if database in good else ""
                for database in ("sqlite", "postgres")
            ]
            size = next(iter(good.values()))[0].size
            rows.append(
                (f"{workload} ({size:,})", metric.replace("_", " "), *cells, "; ".join(map(noise, good.values())))
            )
    return table(("workload (size)", "figure", "SQLite", "PostgreSQL", "rounds, foreign cores"), rows)


def summary(measured: Sequence[Measurement]) -> str:
    """One short table for the front page: every system by the figures the workloads are compared by."""
    columns = {
        "W1": "steps/s, one run",
        "W2": "runs/s, 5 steps each",
        "W3": "decision → run done, ms",
        "W4": "killed → next step, s",
    }
    cells = {workload: {one.system: str(one.decisive) for one in standings(measured, workload)} for workload in columns}
    systems = dict.fromkeys(system for found in cells.values() for system in found)
    rows = [(shown_name(system), *(cells[workload].get(system, "") for workload in columns)) for system in systems]
    return table(("median (range)", *columns.values()), rows)
