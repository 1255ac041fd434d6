"""docs/faults.md names, for every fault case, tests that exist; no case that has to be there is missing."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.crash.mutations import BUGS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| (F\d+) \|(.*)\|$", PAGE, re.MULTILINE))
# Those that must pass before a release.
REQUIRED = (
    "F01 F02 F04 F05 F06 F07 F08 F11 F14 F15 F19 F20 F21 F22 F25 F30 F32 F37 F39 F40 F44 F46 F47 F48 F51 F52 "
    "F53 F55 F57 F59 F60 F62 F63 F64 F65 F66 F67 F69 F71 F79 F80 F85 F86 F88 F91 F92 F93 F95 F96 F97 F98 "
    "F102 F103 F104 F105 F106 F107 F109 F111 F113 F115 F117 F118 F120"
)


def names_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}


def test_every_required_case_has_a_row() -> None:
    assert not set(REQUIRED.split()) - set(ROWS)


@pytest.mark.parametrize("case", ROWS)
def test_a_row_names_tests_that_exist(case: str) -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", ROWS[case])
    assert named, f"{case} names no test"
    missing = [name for file, name in named if name not in names_in(ROOT / "tests" / file)]
    assert not missing


def test_every_planted_bug_and_the_test_that_notices_it_is_listed() -> None:
    found = re.search(r"<!-- mutations:begin -->\n(.*?)<!-- mutations:end -->", PAGE, re.DOTALL)
    assert found is not None
    listed = re.findall(r"^\| (.+?) \| `(\w+)", found[1], re.MULTILINE)
    assert [name for name, _ in listed] == [bug.name for bug in BUGS]
