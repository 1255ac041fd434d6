"""The figures where people read them: docs/performance.md, docs/plots.md and the front page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.shown import tables
from benchmarks.shown.comparison import HEADLINES
from benchmarks.shown.plots import OWN, charts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from benchmarks.rounds import Measurement

BEGIN, END = "<!-- performance:begin -->", "<!-- performance:end -->"
PLOTS: Final = "images/performance"


def replace(root: Path, measured: Sequence[Measurement], machine: Mapping[str, str]) -> None:
    """Write the pages' figures anew. Raises `SystemExit` if a page has no place for them."""
    docs = root / "docs"
    folder = docs / PLOTS
    folder.mkdir(parents=True, exist_ok=True)
    drawn = charts(measured)
    for name, text in drawn.items():
        (folder / f"{name}.svg").write_text(text, encoding="utf-8")
    write_between_markers(docs / "performance.md", tables.everything(measured, machine))
    write_between_markers(docs / "plots.md", "\n\n".join(f"![{title_of(name)}]({PLOTS}/{name}.svg)" for name in drawn))
    write_between_markers(root / "README.md", tables.summary(measured))


def title_of(name: str) -> str:
    """What a chart shows, for those who cannot see it."""
    return OWN[name][1] if name in OWN else HEADLINES[name.upper()].title


def write_between_markers(document: Path, text: str) -> None:
    """Put the text where the document has its figures. Raises `SystemExit` if it has no place for them."""
    before, begin, rest = document.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{document} has no lines {BEGIN} and {END}")
    document.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")
