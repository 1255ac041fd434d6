"""Measurements as tables: medians with their spread, and the ratios that were asked for."""

from __future__ import annotations

from collections import defaultdict
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from benchmarks.rounds import Measurement

BEGIN, END = "<!-- performance:begin -->", "<!-- performance:end -->"
HEADLINES = {
    "W1": (("steps_per_s", "step_ms_median", "step_ms_p99", "disk_flushes_per_step"), "steps_per_s", max),
    "W2": (("runs_per_s", "enqueue_s", "total_s"), "runs_per_s", max),
    "W3": (
        ("decision_to_done_ms_median", "decision_to_done_ms_p99", "decide_api_ms_median", "bulk_200_s"),
        "decision_to_done_ms_median",
        min,
    ),
}
"""What of the peers' workloads is shown, and which figure, better when higher or lower, they are compared by."""


def number(value: float) -> str:
    """Four figures that mean something."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value >= 1 else f"{value:.3g}"


def kept(measured: Iterable[Measurement]) -> list[Measurement]:
    """The undisturbed ones; all of them where there is none."""
    found = list(measured)
    return [one for one in found if one.is_quiet] or found


def spread(measured: Sequence[Measurement], metric: str) -> str:
    """Median and range of one figure."""
    values = [one.figures[metric] for one in measured]
    known = [value for value in values if value is not None]
    if not known:
        return ""
    middle = number(median(known))
    return middle if len(known) == 1 or min(known) == max(known) else f"{middle} ({_range(known)})"


def _range(values: Sequence[float]) -> str:
    return f"{number(min(values))}–{number(max(values))}"


def noise(measured: Sequence[Measurement]) -> str:
    """How many measurements stand behind a row, and how much CPU others took meanwhile."""
    return f"{len(measured)}, {max(one.foreign_cores for one in measured):.2f}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def own_tables(measured: Iterable[Measurement]) -> str:
    """One table of everything we measure of ourselves."""
    by_workload: dict[str, list[Measurement]] = defaultdict(list)
    for one in measured:
        by_workload[one.workload].append(one)
    rows = []
    for workload, found in by_workload.items():
        good = kept(found)
        rows += [
            (f"{workload} ({good[0].size:,})", metric.replace("_", " "), spread(good, metric), noise(good))
            for metric in good[0].figures
        ]
    return table(("workload (size)", "figure", "median (range)", "rounds, foreign cores"), rows)


def peer_tables(measured: Iterable[Measurement], limit: float | None) -> str:
    """One table for each workload of the peers' harness, best system first, and how we compare."""
    by_workload: dict[str, dict[str, list[Measurement]]] = defaultdict(lambda: defaultdict(list))
    for one in measured:
        by_workload[one.workload][one.system].append(one)
    return "\n\n".join(_peer_table(workload, found, limit) for workload, found in by_workload.items())


def _peer_table(workload: str, by_system: Mapping[str, list[Measurement]], limit: float | None) -> str:
    metrics, decisive, better = HEADLINES[workload]
    good = {system: kept(found) for system, found in by_system.items()}
    medians = {system: _middle(found, decisive) for system, found in good.items()}
    order = sorted(good, key=lambda system: medians[system], reverse=better is max)
    rows = [
        (system.replace(":", ", "), *(spread(good[system], metric) for metric in metrics), noise(good[system]))
        for system in order
    ]
    header = ("system", *(metric.replace("_", " ") for metric in metrics), "rounds, foreign cores")
    others = [value for system, value in medians.items() if not system.startswith("agentflow")]
    lines = [f"#### {workload}", "", table(header, rows), ""]
    for system, value in medians.items():
        if system.startswith("agentflow") and others:
            best = better(others)
            ratio = value / best if better is max else best / value
            lines.append(f"- {system.replace(':', ', ')}: **{ratio:.1f}×** the best other system here.")
            if workload == "W1" and limit:
                lines.append(f"- {system.replace(':', ', ')}: {value / limit:.0%} of the raw one-row commit rate.")
    return "\n".join(lines)


def _middle(measured: Sequence[Measurement], metric: str) -> float:
    return median(value for one in measured if (value := one.figures[metric]) is not None)


def summary(measured: Sequence[Measurement]) -> str:
    """One short table for the front page: every system by the figures the workloads are compared by."""
    beside = [one for one in measured if one.system != "agentflow"]
    systems = dict.fromkeys(one.system for one in beside)
    rows = []
    for system in systems:
        cells = []
        for workload, (_, decisive, _) in HEADLINES.items():
            found = kept(one for one in beside if one.system == system and one.workload == workload)
            cells.append(spread(found, decisive) if found else "")
        rows.append((system.replace(":", ", "), *cells))
    header = ("median (range)", "steps/s, one run", "runs/s, 5 steps each", "decision → run done, ms")
    return table(header, rows)


def limit_of(measured: Iterable[Measurement]) -> float | None:
    """The median of the raw commit rate, if it was measured."""
    found = kept(one for one in measured if one.workload == "raw")
    return _middle(found, "commits_per_s") if found else None


def write_between_markers(document: Path, text: str) -> None:
    """Put the text where the document has its figures. Raises `SystemExit` if it has no place for them."""
    before, begin, rest = document.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{document} has no lines {BEGIN} and {END}")
    document.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")
