"""Measurements as figures: which of them count, their medians and their spread."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.rounds import Measurement


class Spread(NamedTuple):
    """A figure over several rounds."""

    middle: float
    low: float
    high: float

    def __str__(self) -> str:
        if self.low == self.high:
            return number(self.middle)
        return f"{number(self.middle)} ({number(self.low)}–{number(self.high)})"


def number(value: float) -> str:
    """Four figures that mean something."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 1:
        return f"{value:.2f}".removesuffix(".00")
    return f"{value:.3g}"


def kept(measured: Iterable[Measurement]) -> list[Measurement]:
    """The undisturbed ones; all of them where there is none."""
    found = [one for one in measured if one.figures]
    return [one for one in found if one.is_quiet] or found


def of(measured: Iterable[Measurement], system: str, workload: str, *, beside: bool = False) -> list[Measurement]:
    """Those of one system with one workload that count."""
    return kept(one for one in measured if (one.system, one.workload, one.beside) == (system, workload, beside))


def spread(measured: Sequence[Measurement], metric: str) -> Spread | None:
    """Median and range of one figure; None where nobody has it."""
    values = [value for one in measured if (value := one.figures.get(metric)) is not None]
    return Spread(median(values), min(values), max(values)) if values else None


def middle(
    measured: Iterable[Measurement], system: str, workload: str, metric: str, *, beside: bool = False
) -> float | None:
    """The median of one figure of one system; None where it was not measured."""
    found = spread(of(measured, system, workload, beside=beside), metric)
    return found.middle if found else None


def noise(measured: Sequence[Measurement]) -> str:
    """How many measurements stand behind a row, and how much CPU others took meanwhile."""
    return f"{len(measured)}, {max(one.foreign_cores for one in measured):.2f}"


def is_ours(system: str) -> bool:
    """Whether it is a row of ours."""
    return system.startswith("agentflow:")
