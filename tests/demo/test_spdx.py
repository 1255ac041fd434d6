from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.demo import spdx


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mit", "MIT"),
        ("MIT or apache-2.0", "MIT OR Apache-2.0"),
        ("(MIT)", "MIT"),
        ("LGPL-2.1+", "LGPL-2.1-or-later"),
        ("GPL-2.0-only WITH Classpath-exception-2.0", "GPL-2.0-only WITH Classpath-exception-2.0"),
        ("LicenseRef-Acme AND MIT", "LicenseRef-Acme AND MIT"),
    ],
)
def test_an_expression_is_written_as_spdx_writes_it(text: str, expected: str) -> None:
    assert spdx.canonical(text) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("BSD", "not on the SPDX list: BSD"),
        ("MIT License", "not joined"),
        ("BSD-3-Clause AND", "not joined"),
        ("((MIT)", "not joined"),
        ("MIT WITH Apache-2.0", "not joined"),
        ("Copyright (c) Somebody\nPermission is hereby granted, free of charge", "a text, not an expression"),
        ("MIT " * 80, "a text, not an expression"),
    ],
)
def test_what_is_no_expression_is_refused_with_the_reason(text: str, why: str) -> None:
    assert why in spdx.problem(text)
    with pytest.raises(spdx.NotSpdx):
        spdx.canonical(text)


@given(st.text(alphabet="MIT ANDORWITHBSD-3.Clause()+", max_size=40))
def test_any_text_is_either_canonical_or_refused(text: str) -> None:
    if not spdx.problem(text):
        assert spdx.canonical(spdx.canonical(text)) == spdx.canonical(text)


@pytest.mark.parametrize(
    ("expression", "verdict"),
    [
        ("MIT", True),
        ("MIT AND ISC", True),
        ("MIT AND GPL-3.0-only", False),
        ("MIT OR GPL-3.0-only", True),
        ("GPL-3.0-only OR MPL-2.0", False),
        ("(MIT OR GPL-3.0-only) AND MPL-2.0", False),
        ("ISC WITH Classpath-exception-2.0", False),
    ],
)
def test_all_sides_of_and_and_any_side_of_or_must_be_allowed(expression: str, verdict: bool) -> None:
    assert spdx.is_allowed(expression, ["MIT", "ISC"]) is verdict


@pytest.mark.parametrize("text", ["MIT", "(MIT OR Apache-2.0) AND ISC", "GPL-2.0-only WITH Classpath-exception-2.0"])
def test_the_pattern_lets_listed_identifiers_through(text: str) -> None:
    assert re.search(spdx.pattern(), text)


@pytest.mark.parametrize("text", ["", "BSD", "MIT License", "NotALicence", "mit", "MIT AND", "MIT Apache-2.0", "MITx"])
def test_the_pattern_refuses_what_is_not_on_the_list(text: str) -> None:
    assert not re.search(spdx.pattern(), text)


def test_one_licence_is_one() -> None:
    assert spdx.one_licence("apache-2.0") == "Apache-2.0"
    with pytest.raises(spdx.NotSpdx, match="several"):
        spdx.one_licence("MIT OR ISC")


def test_a_mistyped_identifier_has_near_ones() -> None:
    assert "Apache-2.0" in spdx.nearest("Apache2.0")
    assert spdx.nearest("%%%%%%") == ""
