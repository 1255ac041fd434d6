"""How long files and functions may be. Fast-growing projects of this kind lose their readers exactly here."""

from __future__ import annotations

import ast
import math
from typing import TYPE_CHECKING

from tests.architecture.source import EVERYTHING, PACKAGES, sources

if TYPE_CHECKING:
    from pathlib import Path

FILE_LINES, TEST_FILE_LINES = 300, 400
FUNCTION_LINES, MOST_FUNCTION_LINES, MOST = 40, 25, 0.9

# A migration is one flat list of statements, written once and never edited.
FLAT = "agentflow/store/migrations/versions/"


def long_files(root: Path) -> list[str]:
    """Files over the budget."""
    found = []
    for source in sources(root, EVERYTHING):
        limit = TEST_FILE_LINES if source.name.startswith("tests/") else FILE_LINES
        lines = len(source.text.splitlines())
        if lines > limit:
            found.append(f"{source.name}: {lines} lines, at most {limit}")
    return found


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """From `def` to the last line, docstring included."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def long_functions(root: Path) -> list[str]:
    """Functions over the budget."""
    return [
        f"{source.name}:{function.lineno} {function.name}: {lines_of(function)} lines, at most {FUNCTION_LINES}"
        for source in sources(root, EVERYTHING)
        if not source.name.startswith(FLAT)
        for function in source.functions()
        if lines_of(function) > FUNCTION_LINES
    ]


def too_many_long_functions(root: Path) -> list[str]:
    """Empty when nine functions of ten in the packages are short; otherwise the longest ones."""
    every = [
        (lines_of(function), f"{source.name}:{function.lineno} {function.name}")
        for source in sources(root, PACKAGES)
        if not source.name.startswith(FLAT)
        for function in source.functions()
    ]
    every.sort()
    allowed = len(every) - math.ceil(len(every) * MOST)
    longer = [f"{name}: {lines} lines" for lines, name in every if lines > MOST_FUNCTION_LINES]
    return longer if len(longer) > allowed else []
