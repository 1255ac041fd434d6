"""The report: every distribution, its licence, how it was found and who approved it, as Markdown and as JSON."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentflow.demo.findings import Outcome, Report, Review, Reviewed

if TYPE_CHECKING:
    from datetime import datetime

MARKDOWN, JSON_FILE = "report.md", "report.json"
OUTCOMES: Final[dict[Outcome, str]] = {
    "allowed": "allowed without a person",
    "approved": "approved by a person",
    "corrected": "corrected by a person",
    "rejected": "rejected by a person",
    "failed": "not reviewed",
}


def write_report(review: Review, lines: list[Reviewed], finished_at: datetime) -> Report:
    """Both files, each replaced as a whole: a reader finds the old report or the new one, never half of one."""
    folder = Path(review.output)
    folder.mkdir(parents=True, exist_ok=True)
    totals = totals_of(lines)
    _replace(folder / MARKDOWN, as_markdown(review, lines, finished_at))
    _replace(folder / JSON_FILE, as_json(review, lines, finished_at))
    return Report(markdown=str(folder / MARKDOWN), json_file=str(folder / JSON_FILE), totals=totals)


def totals_of(lines: list[Reviewed]) -> dict[str, int]:
    """How many distributions came to each outcome, and all of them."""
    counted = Counter(line.outcome for line in lines)
    return {"distributions": len(lines), **{outcome: counted[outcome] for outcome in OUTCOMES}}


def as_json(review: Review, lines: list[Reviewed], finished_at: datetime) -> str:
    """The report for programs."""
    document = {
        "finished_at": finished_at.isoformat(),
        "policy": review.policy.model_dump(),
        "totals": totals_of(lines),
        "distributions": [line.model_dump() for line in lines],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def as_markdown(review: Review, lines: list[Reviewed], finished_at: datetime) -> str:
    """The report for people."""
    totals = totals_of(lines)
    parts = [
        "# Licence review",
        f"{len(lines)} distributions, finished on {finished_at:%Y-%m-%d at %H:%M} UTC.",
        "\n".join(f"- {totals[outcome]} {words}" for outcome, words in OUTCOMES.items() if totals[outcome]),
        f"Allowed licences: {', '.join(review.policy.allow)}. Confidence needed: {review.policy.threshold:.2f}.",
        "## Licences in use",
        "\n".join(f"- {count} × {licence}" for licence, count in _licences(lines)),
        "## Distributions",
        _table(lines),
        "## Why better sources had no answer",
        _earlier(lines) or "The first source answered for each of them.",
    ]
    return "\n\n".join(parts) + "\n"


def _licences(lines: list[Reviewed]) -> list[tuple[str, int]]:
    used = Counter(line.expression for line in lines if line.expression and line.outcome not in ("rejected", "failed"))
    return sorted(used.items(), key=lambda pair: (-pair[1], pair[0]))


def _table(lines: list[Reviewed]) -> str:
    rows = [["Distribution", "Version", "Licence", "Found by", "Confidence", "Outcome", "Decided by", "Comment"]]
    rows.append(["---"] * len(rows[0]))
    rows += [
        [
            line.distribution,
            line.version,
            _licence(line),
            line.found_by,
            f"{line.confidence:.2f}",
            line.outcome,
            line.decided_by,
            line.comment,
        ]
        for line in lines
    ]
    return "\n".join("| " + " | ".join(map(_cell, row)) + " |" for row in rows)


def _licence(line: Reviewed) -> str:
    """The licence, and what was found where a person said otherwise."""
    shown = line.expression or "unknown"
    return f"{shown} (found: {line.found or 'nothing'})" if line.outcome == "corrected" else shown


def _earlier(lines: list[Reviewed]) -> str:
    return "\n".join(
        f"- {_cell(line.distribution)}: {_cell('; '.join(line.earlier))}" for line in lines if line.earlier
    )


def _cell(text: str) -> str:
    """One line that cannot break out of its cell or turn into markup."""
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def _replace(path: Path, text: str) -> None:
    """Written beside the file and moved over it once it is on the disk."""
    fresh = path.with_name(f".{path.name}.new")
    with fresh.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
