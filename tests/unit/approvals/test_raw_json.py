from __future__ import annotations

import pytest

from agentflow.approvals import build_form, describe, outcome_of, parse_form
from tests.unit.approvals.models import DRAFTS
from tests.unit.approvals.posting import post

INVOICE = describe(DRAFTS["invoice"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1,\n "b" 2}', "(line 2, column 6)"),
        ('{"a": {"x": 1},\n "b": 0, "a": 2}', "the key 'a' is there twice (line 2, column 10)"),
        ('{"a":\n NaN}', "NaN is no JSON number (line 2, column 2)"),
        ('{"a": -Infinity}', "no JSON number (line 1, column 7)"),
        ('{"a": 1e999}', "(line 1, column 7)"),
        ('{"a": 0.12345678901234567890}', "would be kept as"),
        ("  ", "it is empty"),
        ("[" * 100 + "]" * 100, "nested"),
        ("[" * 100_000, "nested"),
        ("9" * 1001, "digits"),
    ],
)
def test_text_that_says_not_exactly_one_thing_is_refused_with_its_place(text: str, said: str) -> None:
    (problem,) = parse_form({}, {"a": 1}, {"json": [text]}).problems
    assert problem.pointer == ""
    assert said in problem.message


def test_whole_numbers_are_exact_however_large() -> None:
    assert parse_form({}, None, {"json": [str(2**200)]}).value == 2**200


def test_a_document_is_checked_like_a_form_locks_included() -> None:
    text = build_form(INVOICE.schema, INVOICE.value).json_text
    assert outcome_of(INVOICE.value, parse_form(INVOICE.schema, INVOICE.value, {"json": [text]}).value) == "approved"
    locked = parse_form(INVOICE.schema, INVOICE.value, {"json": [text.replace('"agent"', '"me"')]})
    assert [(one.pointer, one.tampered) for one in locked.problems] == [("/locked_by", True)]
    extra = parse_form(INVOICE.schema, INVOICE.value, {"json": [text.replace('"number"', '"nmber"', 1)]})
    assert {one.pointer for one in extra.problems} == {"/number", "/nmber"}


def test_a_json_text_nobody_touched_does_not_override_the_fields() -> None:
    form = build_form(INVOICE.schema, INVOICE.value)
    both = post(form, number="INV-2") | {"json": [form.json_text]}
    assert parse_form(INVOICE.schema, INVOICE.value, both).value["number"] == "INV-2"
    json_only = post(form) | {"json": [form.json_text.replace("INV-1", "INV-3")]}
    assert parse_form(INVOICE.schema, INVOICE.value, json_only).value["number"] == "INV-3"
    twice = post(form, number="INV-2") | {"json": [form.json_text.replace("INV-1", "INV-3")]}
    assert "undo one" in parse_form(INVOICE.schema, INVOICE.value, twice).problems[0].message


def test_a_refused_text_is_shown_again_as_typed() -> None:
    assert build_form(INVOICE.schema, INVOICE.value, submission={"json": ["{oops"]}).json_text == "{oops"
