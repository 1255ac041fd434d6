"""What was aimed at, as data: every target is a figure, or a ratio of two of the same run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from benchmarks.rounds import Measurement
from benchmarks.shown.comparison import times_better
from benchmarks.shown.figures import middle, number

Value = Callable[[Sequence[Measurement]], float | None]
CONTINUED: Final = "decision_to_continued_ms"
DATABASES: Final = {"sqlite": "SQLite", "postgres": "PostgreSQL"}


@dataclass(frozen=True, slots=True)
class Target:
    """A bound for a figure: at least it, or at most."""

    workload: str
    text: str
    value: Value
    bound: float
    at_least: bool = False
    unit: str = ""

    @property
    def aim(self) -> str:
        """The bound in words."""
        return f"{'≥' if self.at_least else '≤'} {number(self.bound)}{self.unit}"


def reached(target: Target, value: float) -> str:
    """Whether the figure is within its bound."""
    good = value >= target.bound if target.at_least else value <= target.bound
    return "met" if good else "**not met**"


def figure(system: str, workload: str, metric: str) -> Value:
    """A median of our own program."""
    return lambda measured: middle(measured, system, workload, metric)


def quotient(above: Value, below: Value) -> Value:
    """One by another; None where either was not measured, or the second is nothing."""

    def value(measured: Sequence[Measurement]) -> float | None:
        one, other = above(measured), below(measured)
        return one / other if one is not None and other else None

    return value


def difference(whole: Value, part: Value) -> Value:
    """One less another; None where either was not measured."""

    def value(measured: Sequence[Measurement]) -> float | None:
        one, other = whole(measured), part(measured)
        return one - other if one is not None and other is not None else None

    return value


def times(system: str, workload: str, among: str = "") -> Value:
    """How many times the best other system."""
    return partial(times_better, system=system, workload=workload, among=among)


def at_work(database: str) -> list[Target]:
    """What was aimed at on either database: steps, runs and decisions."""
    ours, name = f"agentflow:{database}", DATABASES[database]
    of_raw = quotient(figure(ours, "W1", "steps_per_s"), figure(f"raw:{database}", "raw", "commits_per_s"))
    two, flushed = figure(ours, "W2-two", "two_to_one"), figure(ours, "W2", "disk_flushes_per_step")
    p99, across = figure(ours, "W3", f"{CONTINUED}_p99"), figure(ours, "W3-across", f"{CONTINUED}_median")
    return [
        Target("W1", f"{name}: steps a second, of raw one-row commits", of_raw, 0.6, at_least=True),
        Target("W1", f"{name}: commits a step", figure(ours, "W1", "commits_per_step"), 1.01),
        Target("W2", f"{name}: disk flushes a step", flushed, 1),
        Target("W2-two", f"{name}: two workers, of one", two, 1.6, at_least=True, unit="×"),
        Target(
            "W3", f"{name}: decision to continued, median", figure(ours, "W3", f"{CONTINUED}_median"), 4, unit=" ms"
        ),
        Target("W3", f"{name}: decision to continued, p99", p99, 20, unit=" ms"),
        Target("W3", f"{name}: 200 decisions at once", figure(ours, "W3", "all_at_once_s"), 0.25, unit=" s"),
        Target("W3-across", f"{name}: decision to continued, median", across, 12, unit=" ms"),
    ]


def at_rest(database: str) -> list[Target]:
    """The same: crashes, runs that wait, and nothing to do."""
    ours, name = f"agentflow:{database}", DATABASES[database]
    first, twice = figure(ours, "W4", "restart_to_first_new_step_s"), figure(ours, "W4", "steps_executed_twice")
    beyond = difference(figure(ours, "W5", "database_bytes_per_run"), figure(ours, "W5", "payload_bytes_per_run"))
    alone = figure(ours, "W5", f"{CONTINUED}_median_with_one")
    slower, memory = quotient(figure(ours, "W5", f"{CONTINUED}_median"), alone), "worker_rss_bytes_per_run"
    return [
        Target("W4", f"{name}: first new step", first, 0.5, unit=" s"),
        Target("W4", f"{name}: steps run again (the one under way)", twice, 1),
        Target("W5", f"{name}: memory a waiting run", figure(ours, "W5", memory), 20, unit=" bytes"),
        Target("W5", f"{name}: database a waiting run, beyond its payload", beyond, 1024, unit=" bytes"),
        Target("W5", f"{name}: ready after a restart", figure(ours, "W5", "restart_to_ready_s"), 1, unit=" s"),
        Target("W5", f"{name}: a decision among all, of one alone", slower, 1.2, unit="×"),
        Target("W6", f"{name}: idle worker with inbox", figure(ours, "W6", "idle_cpu_percent"), 0.3, unit=" %"),
    ]


def when_grown(database: str) -> list[Target]:
    """The same: what very many finished runs cost."""
    ours, name = f"agentflow:{database}", DATABASES[database]
    steps, runs = (figure(ours, "grown", f"{of}_per_s_grown_to_new") for of in ("steps", "runs"))
    decided = figure(ours, "grown", f"{CONTINUED}_median_grown_to_new")
    return [
        Target("grown", f"{name}: steps a second, of a new database", steps, 0.9, at_least=True, unit="×"),
        Target("grown", f"{name}: runs a second, of a new database", runs, 0.9, at_least=True, unit="×"),
        Target("grown", f"{name}: decision to continued, of a new database", decided, 1.2, unit="×"),
    ]


SQLITE, POSTGRES = "agentflow:sqlite", "agentflow:postgres"
TARGETS: Final = sorted(
    [
        *(target for of_each in (at_work, at_rest, when_grown) for kind in DATABASES for target in of_each(kind)),
        Target("W1", "SQLite: of DBOS", times(SQLITE, "W1", "dbos"), 8, at_least=True, unit="×"),
        Target("W1", "SQLite: of the best other system", times(SQLITE, "W1"), 4, at_least=True, unit="×"),
        Target("W1", "SQLite: of the best other on SQLite", times(SQLITE, "W1", ":sqlite"), 4, at_least=True, unit="×"),
        Target("W1", "PostgreSQL: of Absurd", times(POSTGRES, "W1", "absurd"), 2, at_least=True, unit="×"),
        Target("W1", "SQLite: calls of fsync a step", figure(SQLITE, "W1-traced", "fsync_calls_per_step"), 1.01),
        Target("W1", "PostgreSQL: log flushes a commit", figure(POSTGRES, "W1", "log_flushes_per_commit"), 1.05),
        Target("W2", "SQLite: of Restate", times(SQLITE, "W2", "restate"), 4, at_least=True, unit="×"),
        Target("W2", "PostgreSQL: of Restate", times(POSTGRES, "W2", "restate"), 2.5, at_least=True, unit="×"),
        Target(
            "W2", "PostgreSQL: of the best other there", times(POSTGRES, "W2", ":postgres"), 7, at_least=True, unit="×"
        ),
        Target("W6", "`import agentflow`", figure(SQLITE, "W6", "import_ms"), 150, unit=" ms"),
        Target(
            "W6", "importing AgentFlow, step, task …", figure(SQLITE, "W6", "import_with_names_ms"), 150, unit=" ms"
        ),
        Target("W6", "`agentflow --help`", figure(SQLITE, "W6", "help_ms"), 250, unit=" ms"),
    ],
    key=lambda target: (target.workload == "grown", target.workload),
)
