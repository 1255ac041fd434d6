"""Bar charts as SVG text: readable on a light page and on a dark one, and without any program of ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from benchmarks.shown.figures import Spread, number

NAMESPACE: Final = "http://www.w3.org/2000/svg"
WIDTH: Final = 760
NAMES: Final = 190
VALUES: Final = 110
ROW: Final = 26
BAR: Final = 14
TOP: Final = 40
STYLE: Final = """
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600; font-size: 14px }
.ours { fill: #2f6fde } .other { fill: #8c959f } .limit { stroke: #bf5b04; stroke-dasharray: 4 3 }
.note { fill: #bf5b04; font-size: 12px } .range { stroke: #24292f; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) {
  text { fill: #d7dde3 } .ours { fill: #5b93f5 } .other { fill: #6e7781 } .range { stroke: #d7dde3 }
  .limit { stroke: #f0953f } .note { fill: #f0953f }
}
"""


@dataclass(frozen=True, slots=True)
class Bar:
    """One system in a chart."""

    name: str
    value: Spread
    is_ours: bool


@dataclass(frozen=True, slots=True)
class Limit:
    """A line across the chart."""

    name: str
    value: float


def chart(title: str, bars: Sequence[Bar], *, limits: Sequence[Limit] = ()) -> str:
    """Horizontal bars from nothing to the median, with the range of the rounds on each."""
    highest = max([one.value.high for one in bars] + [limit.value for limit in limits])
    scale = (WIDTH - NAMES - VALUES) / highest if highest else 0.0
    bottom = TOP + ROW * len(bars)
    height = bottom + (18 * len(limits) + 8 if limits else 8)
    lines = [
        f'<svg xmlns="{NAMESPACE}" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        f'<text class="title" x="8" y="20">{escape(title)}</text>',
    ]
    for index, one in enumerate(bars):
        lines += drawn(one, TOP + ROW * index, scale)
    for index, limit in enumerate(limits):
        lines += line(limit, bottom, bottom + 14 + 18 * index, scale)
    return "\n".join([*lines, "</svg>", ""])


def drawn(one: Bar, y: float, scale: float) -> list[str]:
    """A bar, its range, its name and its value."""
    middle = y + BAR / 2
    end, low, high = (NAMES + value * scale for value in one.value)
    low, high = sorted((low, high))
    kind, width = "ours" if one.is_ours else "other", max(end - NAMES, 1)
    found = [
        f'<text x="{NAMES - 8}" y="{middle + 4.5:.1f}" text-anchor="end">{escape(one.name)}</text>',
        f'<rect class="{kind}" x="{NAMES}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2"/>',
        f'<text x="{max(high, end) + 8:.1f}" y="{middle + 4.5:.1f}">{number(one.value.middle)}</text>',
    ]
    if high - low > 1:
        found.append(f'<path class="range" d="M{low:.1f} {middle}H{high:.1f}"/>')
    return found


def line(limit: Limit, bottom: float, y: float, scale: float) -> list[str]:
    """A limit, with its name below the bars."""
    x, name = NAMES + limit.value * scale, escape(f"{limit.name} {number(limit.value)}")
    return [
        f'<path class="limit" d="M{x:.1f} {TOP - 6}V{bottom}"/>',
        f'<text class="note" x="{x + 4:.1f}" y="{y:.1f}" text-anchor="end">{name}</text>',
    ]
