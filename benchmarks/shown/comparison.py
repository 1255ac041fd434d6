"""What the systems are compared by in each workload of the peers' harness, and who stands where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks.shown.figures import Spread, is_ours, of, spread

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.rounds import Measurement


@dataclass(frozen=True, slots=True)
class Headline:
    """What of a workload is shown, by the words a reader knows; the first is what the systems are compared by."""

    title: str
    metrics: Mapping[str, str]
    more_is_better: bool = False

    @property
    def decisive(self) -> str:
        """The figure the systems are compared by."""
        return next(iter(self.metrics))


HEADLINES: Final[Mapping[str, Headline]] = {
    "W1": Headline(
        "W1: steps a second, one after the other in one run",
        {
            "steps_per_s": "steps/s",
            "step_ms_median": "step ms, median",
            "step_ms_p99": "step ms, p99",
            "disk_flushes_per_step": "disk flushes a step",
        },
        more_is_better=True,
    ),
    "W2": Headline(
        "W2: runs of 5 steps a second, one worker",
        {"runs_per_s": "runs/s", "enqueue_s": "trigger all, s", "total_s": "total, s"},
        more_is_better=True,
    ),
    "W3": Headline(
        "W3: from a decision to the end of its run, ms",
        {
            "decision_to_done_ms_median": "decision to done ms, median",
            "decision_to_done_ms_p99": "decision to done ms, p99",
            "decide_api_ms_median": "the call itself, ms",
            "bulk_200_s": "as many at once, s",
        },
    ),
    "W4": Headline(
        "W4: from the restart after a kill to the first new step, s",
        {
            "restart_to_first_new_step_s": "first new step, s",
            "worker_ready_s": "worker ready, s",
            "restart_to_done_s": "done, s",
            "steps_reexecuted": "steps run again",
            "manual_action": "by hand",
        },
    ),
    "W5": Headline(
        "W5: from the restart with many runs that wait to the end of a decided one, s",
        {
            "restart_to_decided_run_done_s": "restart to decided run done, s",
            "decision_ms_with_5000_suspended": "decision among them, ms",
            "worker_rss_kb_per_run": "worker's memory a run, KB",
            "server_rss_kb_per_run": "server's memory a run, KB",
            "db_bytes_per_run": "bytes a run in the database",
            "idle_cpu_pct_worker_suspended": "idle CPU of the worker, %",
        },
    ),
    "W6": Headline(
        "W6: time to import, ms",
        {
            "import_ms": "import, ms",
            "idle_cpu_pct_worker": "idle CPU of the worker, %",
            "idle_cpu_pct_servers": "idle CPU of the server, %",
            "idle_rss_mb_worker": "worker's memory, MB",
        },
    ),
}


class Standing(NamedTuple):
    """A system that was measured, by the decisive figure."""

    system: str
    decisive: Spread
    measured: Sequence[Measurement]


def standings(measured: Sequence[Measurement], workload: str) -> list[Standing]:
    """Every system of the workload, the best first."""
    headline = HEADLINES[workload]
    systems = dict.fromkeys(one.system for one in measured if one.beside and one.workload == workload)
    found = []
    for system in systems:
        counted = of(measured, system, workload, beside=True)
        decisive = spread(counted, headline.decisive)
        if decisive is not None:
            found.append(Standing(system, decisive, counted))
    return sorted(found, key=lambda one: one.decisive.middle, reverse=headline.more_is_better)


def best(measured: Sequence[Measurement], workload: str, *, among: str = "") -> Standing | None:
    """The best other system; of those whose name holds one of these words, if given."""
    words = among.split()
    others = (one for one in standings(measured, workload) if not is_ours(one.system))
    return next((one for one in others if not words or any(word in one.system for word in words)), None)


def times_better(measured: Sequence[Measurement], system: str, workload: str, *, among: str = "") -> float | None:
    """How many times the best other system ours is; None where either was not measured."""
    mine = next((one for one in standings(measured, workload) if one.system == system), None)
    other = best(measured, workload, among=among)
    if mine is None or other is None:
        return None
    pair = (mine.decisive.middle, other.decisive.middle)
    above, below = pair if HEADLINES[workload].more_is_better else pair[::-1]
    return above / below if below else None


def absent(measured: Sequence[Measurement], workload: str) -> dict[str, str]:
    """The systems that could not be measured with the workload at all, and why."""
    there = {one.system for one in standings(measured, workload)}
    tried = [one for one in measured if one.beside and one.workload == workload and one.why]
    return {one.system: one.why for one in tried if one.system not in there}
