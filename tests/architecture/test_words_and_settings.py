"""The glossary, the settings of the checks and the pinned versions say what is so."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.text_rules import unreasoned_ignores
from tests.architecture.word_rules import glossary, unused_terms

ROOT = Path(__file__).parents[2]
CONCEPTS = ROOT / "docs" / "concepts.md"
PINNED = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;]+)$")


@pytest.mark.skipif(not CONCEPTS.exists(), reason="docs/concepts.md is not written yet")
def test_every_term_of_the_glossary_occurs_in_the_code() -> None:
    page = CONCEPTS.read_text(encoding="utf-8")
    assert glossary(page), "docs/concepts.md has no table of terms"
    assert unused_terms(ROOT, page) == []


def test_a_term_nobody_writes_is_found(tmp_path: Path) -> None:
    (tmp_path / "agentflow").mkdir()
    (tmp_path / "agentflow" / "a.py").write_text('"""A flux."""\ndef park(idempotency_key): ...\n')
    page = "| term | meaning |\n|---|---|\n| **park / wake** | a |\n| **idempotency key · flux** | b |\n"
    assert glossary(page) == ["park", "wake", "idempotency key", "flux"]
    assert unused_terms(tmp_path, page) == ["wake", "flux"]


def test_every_rule_that_is_switched_off_says_why() -> None:
    assert unreasoned_ignores((ROOT / "pyproject.toml").read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "text",
    [
        '[tool.ruff.lint]\nselect = ["ALL"]\nignore = [\n    "A002",\n    "D1", # a reason\n]\nother = ["X"]\n',
        '[tool.ruff.lint.per-file-ignores]\n"tests/**" = [\n    "S", # a reason\n    "D",\n]\n',
        '[tool.ruff.lint.per-file-ignores]\n"a.py" = ["S"]\n"b.py" = ["S"] # a reason\n',
    ],
)
def test_a_rule_switched_off_without_a_reason_is_found(text: str) -> None:
    assert len(unreasoned_ignores(text)) == 1


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    matches = [PINNED.fullmatch(pin) for pin in pins]
    assert all(matches), [pin for pin, match in zip(pins, matches, strict=True) if not match]
    return {canonicalize_name(match["name"]): match["version"] for match in matches if match}


def test_every_requirement_is_pinned_to_a_version_it_allows() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = project["dependencies"] + [line for extra in project["optional-dependencies"].values() for line in extra]
    pins = constraints()
    wrong = []
    for requirement in map(Requirement, lines):
        name = canonicalize_name(requirement.name)
        if name != "agentflow" and (name not in pins or not requirement.specifier.contains(pins[name])):
            wrong.append(f"{requirement} is pinned to {pins.get(name)}")
    assert wrong == []
