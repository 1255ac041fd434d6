from __future__ import annotations

from typing import Any

import pytest

from agentflow.approvals import (
    FieldKind,
    apply_action,
    build_form,
    changes,
    describe,
    outcome_of,
    parse_form,
    schema_of,
)
from tests.unit.approvals.models import DRAFTS, Invoice, Payment
from tests.unit.approvals.posting import post

INVOICE = describe(DRAFTS["invoice"])
PAYMENT = describe(DRAFTS["payment"])


def invoice_form(**typed: str) -> dict[str, list[str]]:
    return post(build_form(INVOICE.schema, INVOICE.value), **typed)


def messages(schema: dict[str, Any], value: Any, sent: dict[str, list[str]]) -> dict[str, str]:
    return {problem.pointer: problem.message for problem in parse_form(schema, value, sent).problems}


def test_one_edit_changes_one_value_and_keeps_its_type() -> None:
    sent = invoice_form(**{"lines/0/quantity": "12", "total": "1250.00"})
    parsed = parse_form(INVOICE.schema, INVOICE.value, sent)
    assert parsed.problems == ()
    assert outcome_of(INVOICE.value, parsed.value) == "corrected"
    assert {(one.pointer, one.new) for one in changes(INVOICE.value, parsed.value)} == {
        ("/lines/0/quantity", 12),
        ("/total", "1250.00"),
    }
    assert build_form(INVOICE.schema, INVOICE.value, submission=sent).changes == 2


@pytest.mark.parametrize(
    ("typed", "found"),
    [("5", 5.0), ("1", 1.0), ("1.50", 1.5), (" 2e3 ", 2000.0), ("+7", 7.0), ("9007199254740993", 9007199254740993)],
)
def test_numbers_are_read_exactly(typed: str, found: float) -> None:
    schema = {"type": "number"}
    parsed = parse_form(schema, 1.0, {"f:": [typed]})
    assert (parsed.value, type(parsed.value), parsed.problems) == (found, type(found), ())


@pytest.mark.parametrize(
    "typed", ["1,5", "1.000,00", "abc", "", "NaN", "inf", "1e999", "0x10", "٣", "0.12345678901234567890", "1_000"]
)
def test_what_is_no_exact_number_is_refused_and_kept_as_typed(typed: str) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "number"}}, "required": ["n"]}
    sent = {"f:/n": [typed]}
    parsed = parse_form(schema, {"n": 1.5}, sent)
    assert [problem.pointer for problem in parsed.problems] == ["/n"]
    form = build_form(schema, {"n": 1.5}, problems=parsed.problems, submission=sent)
    field = form.find("/n")
    assert field is not None
    assert (field.value, field.problems, field.changed) == (typed, parsed.problems, True)
    assert form.summary == ((parsed.problems[0], field),)


def test_an_impossible_date_is_refused_with_an_example() -> None:
    said = messages(INVOICE.schema, INVOICE.value, invoice_form(issued="2026-02-30"))
    assert said == {"/issued": "must be a date such as 2026-03-31; found '2026-02-30'"}


def test_a_moment_does_not_lose_its_offset() -> None:
    schema = {"type": "string", "format": "date-time"}
    parsed = parse_form(schema, "2026-01-01T00:00:00+05:45", {"f:": ["2026-01-01T00:00:00"]})
    assert "+05:45" in parsed.problems[0].message


def test_a_text_keeps_the_line_ends_it_had() -> None:
    assert parse_form({"type": "string"}, "a\r\nb", {"f:": ["a\r\nc"]}).value == "a\r\nc"
    assert parse_form({"type": "string"}, "a\nb", {"f:": ["a\r\nc"]}).value == "a\nc"


def test_null_empty_and_absent_are_three_things() -> None:
    schema = {"type": "object", "properties": {"note": {"type": ["string", "null"]}}}
    null, absent = {"note": None}, {}
    assert parse_form(schema, null, {"f:/note": [""], "f.set:/note": ["1"], "f.null:/note": ["1"]}).value == null
    assert parse_form(schema, null, {"f:/note": [""], "f.set:/note": ["1"]}).value == {"note": ""}
    assert parse_form(schema, null, {"f:/note": [""]}).value == absent
    assert parse_form(schema, absent, {"f:/note": ["x"], "f.set:/note": ["1"]}).value == {"note": "x"}


@pytest.mark.parametrize("box", ["f.null:/note", "f.set:/note"])
def test_a_text_in_a_field_that_is_null_or_left_out_is_not_dropped_silently(box: str) -> None:
    schema = {"type": "object", "properties": {"note": {"type": ["string", "null"]}}}
    sent = (
        {"f:/note": ["typed"]}
        | ({box: ["1"]} if "null" in box else {})
        | ({"f.set:/note": ["1"]} if "null" in box else {})
    )
    assert (
        "untick" in messages(schema, {"note": None}, sent)["/note"]
        or "tick" in messages(schema, {"note": None}, sent)["/note"]
    )


def test_rows_keep_what_was_typed_when_they_move() -> None:
    sent = invoice_form(**{"lines/1/sku": "typed"})
    moved = apply_action(INVOICE.schema, INVOICE.value, sent, "up:/lines/1")
    assert [row.children[0].value for row in moved.find("/lines").children] == ["typed", "a"]
    parsed = parse_form(INVOICE.schema, INVOICE.value, post(moved))
    assert parsed.problems == ()
    assert [row["sku"] for row in parsed.value["lines"]] == ["typed", "a"]
    assert parsed.value["lines"][1] == INVOICE.value["lines"][0]


def test_an_added_row_starts_with_the_defaults_of_its_type() -> None:
    added = apply_action(INVOICE.schema, INVOICE.value, invoice_form(), "add:/lines")
    row = added.find("/lines/2")
    assert row is not None
    assert [(part.value, part.is_null) for part in row.children] == [("", False), ("", False), ("1", False), ("", True)]
    sent = post(added, **{"lines/+1/sku": "new", "lines/+1/amount": "3"})
    parsed = parse_form(INVOICE.schema, INVOICE.value, sent)
    assert parsed.problems == ()
    assert parsed.value["lines"][2] == {"sku": "new", "amount": "3", "quantity": 1, "note": None}


def test_the_template_of_a_row_gives_the_same_names_as_the_server() -> None:
    form = build_form(INVOICE.schema, INVOICE.value)
    lines = form.find("/lines")
    assert lines is not None
    assert lines.item_template is not None
    ours = [part.name.replace(lines.placeholder, "+1") for part in lines.item_template.walk()]
    row = apply_action(INVOICE.schema, INVOICE.value, invoice_form(), "add:/lines").find("/lines/2")
    assert row is not None
    assert ours == [part.name for part in row.walk()]


def test_a_removed_row_is_gone_and_its_neighbours_are_untouched() -> None:
    removed = apply_action(INVOICE.schema, INVOICE.value, invoice_form(), "remove:/lines/0")
    assert removed.changes == 1
    parsed = parse_form(INVOICE.schema, INVOICE.value, post(removed))
    assert parsed.value["lines"] == INVOICE.value["lines"][1:]


def test_a_new_row_never_gets_what_was_typed_into_a_removed_one() -> None:
    first = apply_action(INVOICE.schema, INVOICE.value, invoice_form(), "add:/lines")
    typed = post(first, **{"lines/+1/sku": "old"})
    gone = {**typed, "f.rows:/lines": ["", "0", "1"]}
    again = apply_action(INVOICE.schema, INVOICE.value, gone, "add:/lines")
    assert again.find("/lines/2/sku").value == ""


def test_switching_an_alternative_asks_for_its_own_fields_and_keeps_the_rest() -> None:
    sent = post(build_form(PAYMENT.schema, PAYMENT.value))
    sent |= {"f.variant:/method": ["transfer"]}
    assert "switch them first" in messages(PAYMENT.schema, PAYMENT.value, sent)["/method"]
    for action in ("variant:/method", "variant:/method=transfer"):
        switched = apply_action(PAYMENT.schema, PAYMENT.value, sent, action)
        assert switched.find("/method/iban").value == ""
        parsed = parse_form(PAYMENT.schema, PAYMENT.value, post(switched, **{"method/iban": "DE2"}))
        assert parsed.problems == ()
        assert parsed.value["method"] == {"kind": "transfer", "iban": "DE2", "reference": None}
        assert parsed.value["previous"] == PAYMENT.value["previous"]
    Payment.model_validate(parsed.value)


def test_a_map_can_rename_a_key_and_refuses_two_alike() -> None:
    described = describe({"counts": {"a": 1, "b": 2}}, dict[str, dict[str, int]])
    sent = post(build_form(described.schema, described.value)) | {"f.key:/0/1": ["c"]}
    assert parse_form(described.schema, described.value, sent).value == {"counts": {"a": 1, "c": 2}}
    twice = sent | {"f.key:/0/1": ["a"]}
    assert "second time" in messages(described.schema, described.value, twice)["/counts/a"]


def test_a_locked_field_is_shown_and_has_no_input() -> None:
    locked = build_form(INVOICE.schema, INVOICE.value).find("/locked_by")
    assert locked is not None
    assert (locked.value, locked.read_only, locked.name, locked.set_name) == ("agent", True, "", "")


@pytest.mark.parametrize(
    "extra",
    [
        {"f:/locked_by": ["me"]},
        {"f:/line_count": ["7"]},
        {"f:/unknown": ["x"]},
        {"f.null:/number": ["1"]},
        {"f.rows:/lines": ["", "0", "7"]},
        {"f.rows:/lines": ["", "0", "0"]},
        {"f:/number": ["a", "b"]},
        {"f.shown:/total": ["x"]},
    ],
)
def test_what_no_honest_form_sends_is_tampering(extra: dict[str, list[str]]) -> None:
    parsed = parse_form(INVOICE.schema, INVOICE.value, invoice_form() | extra)
    assert any(problem.tampered for problem in parsed.problems)


@pytest.mark.parametrize("name", sorted(invoice_form()))
def test_a_lost_input_is_a_problem_and_never_a_silent_change(name: str) -> None:
    sent = invoice_form()
    del sent[name]
    parsed = parse_form(INVOICE.schema, INVOICE.value, sent)
    # A box not sent is one that was unticked, a change the person sees; a text beside a ticked one is unused.
    unused = name.replace("f:", "f.null:") in sent
    assert (
        parsed.problems
        or unused
        or (name.startswith("f.null:") and outcome_of(INVOICE.value, parsed.value) == "corrected")
    )


def test_names_of_the_page_around_the_form_are_ignored() -> None:
    sent = invoice_form() | {"csrf": ["x"], "action": ["approve"], "comment": ["f:/total"], "decision_id": ["1"]}
    parsed = parse_form(INVOICE.schema, INVOICE.value, sent)
    assert parsed.problems == ()
    assert outcome_of(INVOICE.value, parsed.value) == "approved"


def test_an_unknown_action_is_said_and_keeps_what_was_typed() -> None:
    for action in ("explode:/lines", "remove:/lines/9", "add:/nowhere", "variant:/total=x", ""):
        form = apply_action(INVOICE.schema, INVOICE.value, invoice_form(number="typed"), action)
        assert form.problems[0].tampered
        assert form.find("/number").value == "typed"


def test_an_alternative_that_may_be_null_has_one_box_for_it() -> None:
    schema = {"anyOf": [{"type": ["string", "null"]}, {"type": "integer"}, {"type": "null"}]}
    form = build_form(schema, None)
    assert [part.null_name for part in form.root.walk() if part.null_name] == ["f.null:"]
    unticked = {name: sent for name, sent in post(form).items() if name != "f.null:"}
    assert parse_form(schema, None, unticked | {"f:": ["x"], "f.shown:": [form.root.variant]}).value == "x"


def test_every_field_has_an_id_of_its_own() -> None:
    for name in DRAFTS:
        described = describe(DRAFTS[name])
        ids = [part.id for part in build_form(described.schema, described.value).root.walk()]
        assert len(ids) == len(set(ids))
        assert not any(letter.isspace() for one in ids for letter in one)


def test_a_recursive_type_ends_in_json() -> None:
    described = describe(DRAFTS["node"])
    form = build_form(described.schema, described.value)
    assert FieldKind.JSON in {part.kind for part in form.root.walk()}
    assert form.find("/children/0/children/0/name").value == "c"


def test_a_value_too_large_for_a_form_is_one_json_text() -> None:
    value = list(range(5001))
    schema = schema_of(list[int])
    form = build_form(schema, value)
    assert (form.root.kind, form.root.children) == (FieldKind.JSON, ())
    assert parse_form(schema, value, post(form)).value == value
    assert parse_form(schema, value, {"f:": ["[1]"]}).value == [1]
    assert parse_form(schema, value, {"f:": ['["x"]']}).problems[0].pointer == "/0"


def test_hidden_characters_are_edited_as_escapes() -> None:
    schema = {"type": "object", "properties": {"payee": {"type": "string"}}, "required": ["payee"]}
    field = build_form(schema, {"payee": "a\u202eb\x7f"}).find("/payee")
    assert field is not None
    assert (field.kind, field.value) == (FieldKind.JSON, '"a\\u202eb\\u007f"')


def test_attention_goes_to_problems_then_to_low_confidence() -> None:
    parsed = parse_form(INVOICE.schema, INVOICE.value, invoice_form(issued="never"))
    confidence = {"/total": 0.9, "/lines/1/sku": 0.2}
    form = build_form(INVOICE.schema, INVOICE.value, problems=parsed.problems, confidence=confidence)
    assert [part.pointer for part in form.by_attention][:4] == ["/issued", "/lines", "/total", "/number"]


def test_changes_are_marked_against_the_agent_even_in_a_later_version() -> None:
    version = {**INVOICE.value, "number": "INV-2"}
    form = build_form(INVOICE.schema, version, agent_value=INVOICE.value)
    field = form.find("/number")
    assert field is not None
    assert (form.changes, field.changed, field.value, field.agent_text) == (1, True, "INV-2", "INV-1")
    assert parse_form(INVOICE.schema, version, post(form)).value == version


def test_a_problem_without_a_field_of_its_own_is_shown_at_the_nearest() -> None:
    parsed = parse_form(INVOICE.schema, INVOICE.value, {"json": ['{"lines": [{"sku": "a", "x": 1}]}']})
    form = build_form(INVOICE.schema, INVOICE.value, problems=parsed.problems)
    assert len(form.summary) == len(parsed.problems)
    assert Invoice.model_fields.keys() >= {"number"}


def test_a_labelled_field_says_what_its_place_is_called() -> None:
    form = build_form(PAYMENT.schema, PAYMENT.value)
    assert form.find("/method/number").label == "Number"
    assert form.find("/previous").label == "Previous"


def test_a_choice_without_a_value_starts_blank_and_must_be_made() -> None:
    schema = {"type": "array", "items": {"enum": ["a", 1, None]}}
    added = apply_action(schema, [], {"f.rows:": [""]}, "add:")
    assert [option.value for option in added.root.children[0].options] == ["", '"a"', "1", "null"]
    assert parse_form(schema, [], post(added)).problems[0].pointer == "/0"
    assert parse_form(schema, [], {"f.rows:": ["", "+1"], "f:/+1": ["1"]}).value == [1]
