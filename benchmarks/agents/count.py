"""How long each refund agent is: `python -m benchmarks.agents.count`.

Counted are the lines that are no comment, no import, not blank, and not the text at the head of the file. Up to the
line `# -- the person` they are those of the agent and its tools, from there on those by which a person is asked.
"""

from __future__ import annotations

import ast
from pathlib import Path

HERE = Path(__file__).parent
PERSON = "# -- the person"


def lines(text: str) -> tuple[int, int]:
    """The lines of the agent, and those for the person."""
    tree = ast.parse(text)
    skipped: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            skipped |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    first = tree.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        skipped |= set(range(1, (first.end_lineno or 1) + 1))
    counted = [0, 0]
    is_for_person = False
    for number, line in enumerate(text.splitlines(), 1):
        is_for_person = is_for_person or line.startswith(PERSON)
        if number not in skipped and line.strip() and not line.strip().startswith("#"):
            counted[is_for_person] += 1
    return counted[0], counted[1]


def counts() -> dict[str, tuple[int, int]]:
    """The lines of each, by name."""
    return {path.stem.removeprefix("refund_"): lines(path.read_text()) for path in sorted(HERE.glob("refund_*.py"))}


if __name__ == "__main__":
    for name, (agent, person) in counts().items():
        print(f"{name}: {agent} for the agent, {person} for the person")
