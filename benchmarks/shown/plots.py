"""Which charts there are: one for each workload with other systems, and those of our own on both databases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks.rounds import Measurement
from benchmarks.shown.comparison import HEADLINES, standings
from benchmarks.shown.figures import is_ours, middle, of, spread
from benchmarks.shown.svg import Bar, Limit, chart

RAW: Final = {"raw:sqlite": "raw commits, SQLite", "raw:postgres": "raw commits, PostgreSQL"}
OWN: Final = {
    "flat": (
        "grown",
        "Decision to continued, by finished runs in the database, ms",
        {
            "decision_to_continued_ms_median_new": "new database",
            "decision_to_continued_ms_median_grown": "very many finished",
        },
    ),
    "waiting": (
        "W5",
        "Decision to continued among waiting runs, ms",
        {
            "decision_to_continued_ms_median_with_one": "the only one",
            "decision_to_continued_ms_median": "one of all",
            "decision_to_continued_ms_median_after_restart": "after a restart",
        },
    ),
    "workers": (
        "W2-two",
        "Runs of 5 steps a second by worker processes",
        {
            "runs_per_s_one_worker": "one",
            "runs_per_s_two_workers": "two",
        },
    ),
}
NAMES: Final = {"agentflow:sqlite": "SQLite", "agentflow:postgres": "PostgreSQL"}


def charts(measured: Sequence[Measurement]) -> dict[str, str]:
    """Every chart there are figures for, by the name of its file."""
    found = {}
    for workload, headline in HEADLINES.items():
        bars = [
            Bar(one.system.replace(":", ", "), one.decisive, is_ours(one.system))
            for one in standings(measured, workload)
        ]
        if bars:
            limits = raw_limits(measured) if workload == "W1" else []
            found[workload.lower()] = chart(headline.title, bars, limits=limits)
    for name, (workload, title, metrics) in OWN.items():
        bars = own_bars(measured, workload, metrics)
        if bars:
            found[name] = chart(title, bars)
    return found


def raw_limits(measured: Sequence[Measurement]) -> list[Limit]:
    """What the databases themselves can do."""
    known = {name: middle(measured, system, "raw", "commits_per_s") for system, name in RAW.items()}
    return [Limit(name, value) for name, value in known.items() if value is not None]


def own_bars(measured: Sequence[Measurement], workload: str, metrics: dict[str, str]) -> list[Bar]:
    """Figures of ours on both databases."""
    bars = []
    for system, database in NAMES.items():
        counted = of(measured, system, workload)
        for metric, name in metrics.items():
            value = spread(counted, metric)
            if value is not None:
                bars.append(Bar(f"{database}, {name}", value, is_ours=True))
    return bars
