"""A mistyped setting is no silent default."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agentflow.cli.environment import FOR_TESTS, READ, unread_variables

ROOT = Path(__file__).resolve().parents[2]


def test_a_mistyped_variable_is_named_with_the_one_that_was_meant() -> None:
    [warning] = unread_variables({"AGENTFLOW_DATABSE_URL": "sqlite:///x.db"})
    assert "AGENTFLOW_DATABSE_URL" in warning
    assert warning.endswith("did you mean AGENTFLOW_DATABASE_URL?")


def test_a_variable_like_no_other_gets_the_list_of_those_that_are_read() -> None:
    [warning] = unread_variables({"AGENTFLOW_COLOUR": "mauve"})
    assert all(name in warning for name in READ)


@pytest.mark.parametrize("name", [*sorted(READ), "AGENTFLOW_TEST_ANYTHING", "PATH", "OTHER_AGENTFLOW_THING"])
def test_a_variable_that_is_read_or_not_ours_needs_no_word(name: str) -> None:
    assert unread_variables({name: "x"}) == []


def test_the_list_of_variables_is_what_the_code_reads() -> None:
    sources = [
        path for package in ("agentflow", "approvals_ui", "schedulers") for path in ROOT.glob(f"{package}/**/*.py")
    ]
    written = {
        name for path in sources for name in re.findall(r'"(AGENTFLOW_[A-Z_]+)"', path.read_text(encoding="utf-8"))
    }
    assert written - {"AGENTFLOW_", *FOR_TESTS} == READ
