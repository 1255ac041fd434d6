"""The page that compares agents shows the programs that were run, and counts their lines as it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.agents.count import PERSON, counts, lines

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "side_by_side.md").read_text(encoding="utf-8")
PROGRAMS = ROOT / "benchmarks" / "agents"
ORDER = ["agentflow", "langgraph", "pydantic_ai", "pydantic_ai_dbos", "openai_agents"]


@pytest.mark.parametrize("name", ORDER[1:])
def test_the_page_shows_each_program_as_it_was_run(name: str) -> None:
    _, _, shown = (PROGRAMS / f"refund_{name}.py").read_text(encoding="utf-8").partition('"""\n\n')
    assert f"```python fragment\n{shown}```" in PAGE


def test_the_page_shows_and_runs_our_own() -> None:
    text = (PROGRAMS / "refund_agentflow.py").read_text(encoding="utf-8")
    agent, _, person = text[text.index("@tool") :].partition(PERSON)
    assert f"{agent.rstrip()}\n```" in PAGE
    assert f"```python fragment\n{PERSON}{person}```" in PAGE


@pytest.mark.parametrize(("row", "which"), [("lines of the agent", 0), ("lines to show, decide, go on", 1)])
def test_the_table_says_how_long_each_is(row: str, which: int) -> None:
    [cells] = re.findall(rf"^\| {row} \|(.*)\|$", PAGE, re.MULTILINE)
    said = [int(re.findall(r"\d+", cell)[0]) for cell in cells.split("|")]
    known = counts()
    assert said == [known[name][which] for name in ORDER]


def test_blank_lines_comments_imports_and_the_head_are_not_counted() -> None:
    text = f'"""Head.\n\nMore."""\n\nimport a\nfrom b import (\n    c,\n)\n\n# why\nx = 1\n\n{PERSON}\n\ny = 2\nz = 3\n'
    assert lines(text) == (1, 2)
