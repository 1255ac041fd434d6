from __future__ import annotations

import math
import socket
import subprocess
import sys
import warnings
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from agentflow.approvals import describe, locked_changes, schema_digest, schema_of, schema_problems, settable, validate
from agentflow.errors import NotRecordable
from tests.unit.approvals.models import DRAFTS, LINE, Invoice, Line

INVOICE = describe(DRAFTS["invoice"])


class Holder(BaseModel):
    model_config = {"arbitrary_types_allowed": True}
    items: list[Any]


@dataclass
class Broken:
    items: list[Any]


@pytest.mark.parametrize(
    ("data", "pointer"),
    [
        ({"a": [1, math.nan]}, "/a/1"),
        ({"a/b": math.inf}, "/a~1b"),
        (Holder(items=[1, b"\xff"]), "/items/1"),
        (Broken(items=[{"x": b"\xff"}]), "/items/0/x"),
        (Holder(items=[math.nan]), "/items/0"),
        ({"x": ["\ud800"]}, "/x/0"),
        ({"\ud800": 1}, ""),
        ({"x": socket.socket}, "/x"),
        ([lambda: None], "/0"),
        ({"x": 10**2000}, "/x"),
        ([b"\xff"], "/0"),
        (Holder(items=[object()]), "/items/0"),
    ],
)
def test_what_has_no_exact_json_form_is_refused_by_its_pointer(data: Any, pointer: str) -> None:
    with pytest.raises(NotRecordable) as refused:
        describe(data)
    assert refused.value.path == pointer


def test_data_nested_too_deeply_is_refused() -> None:
    deep: Any = 1
    for _ in range(70):
        deep = [deep]
    cyclic: list[Any] = []
    cyclic.append(cyclic)
    for data in (deep, cyclic, Holder(items=cyclic)):
        with pytest.raises(NotRecordable):
            describe(data)


def test_a_model_is_described_by_alias_and_closed_to_other_fields() -> None:
    described = describe(DRAFTS["aliased"])
    assert "unit/price~ü.[0]" in described.value
    assert [one.message for one in validate(described.schema, {**described.value, "x": 1})] == [
        "is not a field that is known here"
    ]


def test_plain_data_may_get_more_fields_but_keeps_its_types() -> None:
    schema = describe({"a": 1, "b": "x", "c": [1, 2], "d": None}).schema
    assert validate(schema, {"a": 2, "b": "", "c": [], "d": {"any": 1}, "e": 1}) == []
    assert {one.pointer for one in validate(schema, {"a": "2", "b": 1, "c": [1.5], "d": 1})} == {"/a", "/b", "/c/0"}
    assert [one.message for one in validate(schema, {"a": 1})] == ["is required"] * 3


def test_a_field_with_a_default_may_not_be_left_out_silently() -> None:
    without = {name: part for name, part in INVOICE.value.items() if name != "currency"}
    assert [(one.pointer, one.message) for one in validate(INVOICE.schema, without)] == [("/currency", "is required")]


def test_same_named_types_in_plain_data_do_not_mix() -> None:
    class Line(BaseModel):
        other: int

    described = describe({"one": LINE, "two": Line(other=1)})
    assert validate(described.schema, described.value) == []
    assert [one.pointer for one in validate(described.schema, {**described.value, "two": described.value["one"]})]


def test_a_set_has_one_order_in_every_process() -> None:
    script = (
        "from agentflow.approvals import describe; from tests.unit.approvals.models import Order;"
        "print(describe(Order(id=1, options={}, labels=set('abcdefgh'))).value, describe({'s': set('abcdefgh')}).value)"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(texts) == 1
    assert "['a', 'b', 'c', 'd'" in texts.pop()


def test_computed_fields_are_locked_and_left_out_for_constructors() -> None:
    assert INVOICE.value["line_count"] == 2
    rebuilt = Invoice.model_validate(settable(INVOICE.schema, INVOICE.value))
    assert rebuilt == DRAFTS["invoice"]
    assert "line_count" not in settable(INVOICE.schema, INVOICE.value)


@pytest.mark.parametrize(
    ("schema", "value", "message"),
    [
        ({"type": "number"}, "abc", "must be a number; found 'abc'"),
        ({"type": "integer"}, True, "must be a whole number; found true"),
        ({"minimum": 1}, 0, "must be at least 1; found 0"),
        ({"enum": ["a", 1]}, "b", "must be one of 'a', 1; found 'b'"),
        ({"maxLength": 1}, "ab", "must be at most 1 character long; found 'ab'"),
        ({"format": "email"}, "ana", "must be an email address such as ana@example.org; found 'ana'"),
        ({"format": "uuid"}, "x", "must be a UUID such as 123e4567-e89b-12d3-a456-426614174000; found 'x'"),
        (
            {"format": "date-time"},
            "2026-13-01T00:00:00Z",
            "must be a date and time such as 2026-03-31T14:30:00+02:00; found '2026-13-01T00:00:00Z'",
        ),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "x", "must be a whole number or null; found 'x'"),
        ({"anyOf": [{"minimum": 3, "type": "integer"}, {"type": "null"}]}, 1, "must be at least 3; found 1"),
    ],
)
def test_a_problem_is_a_sentence_for_a_person(schema: dict[str, Any], value: Any, message: str) -> None:
    assert [one.message for one in validate(schema, value)] == [message]


def test_the_problems_of_an_alternative_are_those_of_the_one_that_was_meant() -> None:
    described = describe(DRAFTS["payment"])
    wrong = {**described.value, "method": {"kind": "transfer", "iban": 5, "reference": None}}
    assert [(one.pointer, one.wanted) for one in validate(described.schema, wrong)] == [("/method/iban", "text")]


def test_decimals_are_multiples_as_people_count_them() -> None:
    assert validate({"multipleOf": 0.1}, 0.3) == []
    assert validate({"multipleOf": 0.1}, 0.35)


@pytest.mark.parametrize("good", ["2026-01-01T00:00:00", "2026-01-01T00:00:00.123456Z", "2026-01-01 00:00:00+05:45"])
def test_every_moment_pydantic_writes_is_one(good: str) -> None:
    assert validate({"format": "date-time"}, good) == []


@pytest.mark.parametrize(
    "reference", ["http://127.0.0.1:1/schema.json", "file:///etc/passwd", "#/$defs/None", "other.json"]
)
def test_a_reference_out_of_the_schema_is_never_followed_and_never_passes(reference: str) -> None:
    (problem,) = validate({"properties": {"a": {"$ref": reference}}}, {"a": 1})
    assert "cannot be checked" in problem.message


def test_not_even_a_file_that_would_answer_is_read_for_a_reference(tmp_path: Path) -> None:
    allows_all = tmp_path / "all.json"
    allows_all.write_text("{}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (problem,) = validate({"$ref": allows_all.as_uri()}, 1)
    assert "cannot be checked" in problem.message


def test_a_schema_that_recurses_without_end_or_has_a_broken_pattern_does_not_pass() -> None:
    assert validate({"$ref": "#"}, 1)
    assert validate({"pattern": "("}, "x")
    assert schema_problems({"type": "nonsense"})
    assert not schema_problems(INVOICE.schema)


LOCKED_ROWS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"id": {"type": "integer", "readOnly": True}, "name": {"type": "string"}},
        "required": ["id", "name"],
    },
}
ROWS = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]


@pytest.mark.parametrize(
    ("final", "pointers"),
    [
        ([{"id": 1, "name": "x"}, {"id": 2, "name": "b"}], []),
        ([{"id": 2, "name": "b"}, {"id": 1, "name": "a"}], []),
        ([{"id": 2, "name": "b"}], []),
        ([*ROWS, {"name": "new"}], []),
        ([{"id": 3, "name": "a"}, {"id": 2, "name": "b"}], ["/0/id"]),
        ([*ROWS, {"id": 1, "name": "copy"}], ["/2/id"]),
        ([{"name": "a"}, {"id": 2, "name": "b"}], []),
    ],
)
def test_rows_move_with_their_locked_fields_and_cannot_change_them(final: Any, pointers: list[str]) -> None:
    problems = locked_changes(LOCKED_ROWS, ROWS, final)
    assert [one.pointer for one in problems] == pointers
    assert all(one.tampered for one in problems)
    assert validate(LOCKED_ROWS, final) == []


def test_a_locked_field_cannot_be_dropped_or_changed_inside_an_alternative() -> None:
    inner = {"type": "object", "properties": {"id": {"type": "integer", "readOnly": True}}, "required": []}
    schema = {"type": "object", "properties": {"a": {"anyOf": [inner, {"type": "null"}]}}}
    before = {"a": {"id": 1}}
    assert [one.pointer for one in locked_changes(schema, before, {"a": {"id": 2}})] == ["/a/id"]
    assert [one.pointer for one in locked_changes(schema, before, {"a": {}})] == ["/a/id"]
    assert locked_changes(schema, before, {"a": None}) == []


def test_a_schema_is_named_by_its_content_alone() -> None:
    assert schema_digest({"a": 1, "b": 2}) == schema_digest({"b": 2, "a": 1})
    assert schema_digest(schema_of(Line)) != schema_digest(schema_of(Literal["a"]))
    assert schema_of({"type": "string"}) == {"type": "string"}
    assert describe(Decimal("1.10")).value == "1.10"
