from __future__ import annotations

import functools
from collections.abc import Awaitable, Coroutine
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from agentflow.errors import DefinitionError, InvalidInput, NotRecordable, PayloadTooLarge, UndecodablePayload
from agentflow.tasks.annotations import result_annotation
from agentflow.tasks.signature import Signature

if TYPE_CHECKING:
    from nowhere import Missing


class Invoice(BaseModel):
    number: str
    total: Decimal = Decimal(1)


class Heir(Invoice):
    extra: int


class Renamed(BaseModel):
    number: str = Field(alias="theNumber")


@dataclass
class Point:
    x: int


class Row(TypedDict):
    id: int


async def extract(document_url: str, pages: int = 3, *, due: date | None = None) -> Invoice: ...
async def save(invoice: Invoice) -> None: ...
async def optional(invoice: Invoice | None = None) -> None: ...
async def positional(a: int, b: str, /, c: float = 0.5) -> None: ...
async def loose(anything, other: Any = None): ...
async def unresolved(a: Missing) -> None: ...
async def starred(*names: str) -> None: ...
async def named(**names: str) -> None: ...


EXTRACT = Signature.of(extract)


def problems_of(call) -> dict[str, str]:
    with pytest.raises(InvalidInput) as caught:
        call()
    assert "no run was made" in str(caught.value)
    return {problem.field: f"{problem.found} -> {problem.wanted}" for problem in caught.value.errors}


def test_defaults_are_filled_in_when_the_run_is_triggered():
    assert EXTRACT.validate(("u",), {}) == {"document_url": "u", "pages": 3, "due": None}
    assert EXTRACT.validate_json('{"document_url": "u", "due": "2026-01-02"}')["due"] == date(2026, 1, 2)


def test_every_problem_of_a_json_input_is_listed_at_once():
    found = problems_of(lambda: EXTRACT.validate_json({"document_url": 12, "pages": "12", "deu": "x"}))
    assert found == {
        "/document_url": "12 (int) -> string",
        "/pages": "'12' (str) -> integer",
        "/deu": "'x' (str) -> no such parameter; did you mean 'due'?",
    }
    assert problems_of(lambda: EXTRACT.validate_json({})) == {"/document_url": "nothing -> str"}


def test_every_problem_of_a_python_call_is_listed_at_once():
    assert problems_of(lambda: EXTRACT.validate((1, "2", 3), {"document_url": "u", "x": 1})) == {
        "/2": "3 (int) -> at most 2 positional arguments",
        "/document_url": "1 (int) -> string",
        "/x": "1 (int) -> no such parameter; there is document_url, pages, due",
        "/pages": "'2' (str) -> integer",
    }


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("[]", "JSON object"), ("nope", "no JSON"), ('{"a":1,"a":2}', "'a' occurs twice"), ('{"pages":NaN}', "NaN"),
        (b"\xff", "no JSON"), (5, "JSON object"), ("[" * 100_000, "no JSON"),
        (None, "JSON object"), ({1: 2}, "JSON object"),
    ],
)  # fmt: skip
def test_what_is_no_json_object_is_refused(source, message):
    with pytest.raises(InvalidInput, match=message):
        EXTRACT.validate_json(source)


def test_tags_in_an_input_mean_nothing():
    signature = Signature.of(loose)
    foreign = {"anything": {"$object": "Invoice", "fields": {}}}
    arguments = signature.validate_json(foreign)
    assert signature.decode(signature.encode(arguments))[1]["anything"] == foreign["anything"]


def test_a_single_object_parameter_may_be_given_as_the_object():
    signature = Signature.of(save)
    whole = signature.validate_json({"number": "7"})
    assert whole == signature.validate_json({"invoice": {"number": "7"}}) == {"invoice": Invoice(number="7")}
    assert problems_of(lambda: signature.validate_json({"number": 7})) == {"/number": "7 (int) -> string"}
    assert problems_of(lambda: signature.validate_json({"invoice": {"number": 7}})) == {
        "/invoice/number": "7 (int) -> string"
    }
    assert Signature.of(optional).validate_json({}) == {"invoice": None}
    assert Signature.of(optional).validate_json({"number": "7"}) == {"invoice": Invoice(number="7")}


def test_python_values_are_taken_by_type_or_by_the_rules_of_json():
    def task(day: date, id: UUID, ratio: float, *, names: set[str], point: Point, row: Row, many: list[Renamed]): ...

    text = str(UUID(int=1))
    arguments = Signature.of(task).validate(
        ("2026-01-02", text, 1),
        {"names": ["a"], "point": {"x": 1}, "row": {"id": 1}, "many": [{"theNumber": "1"}, Renamed(theNumber="2")]},
    )
    assert list(arguments.values()) == [
        date(2026, 1, 2),
        UUID(int=1),
        1.0,
        {"a"},
        Point(1),
        {"id": 1},
        [Renamed(theNumber="1"), Renamed(theNumber="2")],
    ]


def test_an_instance_of_a_subclass_keeps_its_fields():
    signature = Signature.of(save)
    arguments = signature.validate((Heir(number="1", extra=2),), {})
    assert signature.decode(signature.encode(arguments))[1] == {"invoice": Heir(number="1", extra=2)}


def test_stored_input_calls_the_function_as_it_was_triggered():
    signature = Signature.of(positional)
    stored = signature.encode(signature.validate((1, "b"), {}))
    args, kwargs = signature.decode(stored)
    assert (args, kwargs) == ((1, "b"), {"c": 0.5})
    when = datetime(2026, 1, 1, tzinfo=UTC)
    loosely = Signature.of(loose)
    assert loosely.decode(loosely.encode({"anything": (b"\xff", "\ud83d\ude00"), "other": when}))[1] == {
        "anything": (b"\xff", "\ud83d\ude00"),
        "other": when,
    }


def test_what_cannot_be_stored_names_the_parameter():
    with pytest.raises(NotRecordable, match="/other/0"):
        Signature.of(loose).encode({"anything": 1, "other": [object()]})
    with pytest.raises(NotRecordable, match=r"annotate `anything` as"):
        Signature.of(loose).encode({"anything": Invoice(number="1")})
    with pytest.raises(PayloadTooLarge):
        Signature.of(loose).encode({"anything": "x" * 60, "other": "x" * 60}, limit=100)


def test_stored_input_that_no_longer_fits_is_refused():
    with pytest.raises(UndecodablePayload, match=r"'gone', which task .* no longer takes"):
        EXTRACT.decode('{"document_url":"u","gone":1}')
    with pytest.raises(UndecodablePayload, match="found 5"):
        EXTRACT.decode('{"document_url":5}')
    with pytest.raises(UndecodablePayload, match="JSON object"):
        EXTRACT.decode("[]")


def test_the_schema_says_what_validate_json_takes():
    schema = EXTRACT.json_schema()
    assert schema["required"] == ["document_url"]
    assert schema["properties"]["pages"] == {"type": "integer", "default": 3}
    assert schema["additionalProperties"] is False
    assert Signature.of(save).json_schema()["$defs"]["Invoice"]["required"] == ["number"]


def test_annotations_are_found_in_closures_and_in_names_given():
    class Local(BaseModel):
        x: int

    async def closes_over(value: Local) -> Local:
        return Local(x=value.x)

    async def does_not(value: Local) -> Local: ...

    assert Signature.of(closes_over).result is Local
    assert Signature.of(does_not, names=locals()).parameters["value"].annotation is Local
    with pytest.raises(DefinitionError, match="'Local', which cannot be found"):
        Signature.of(does_not)
    with pytest.raises(DefinitionError, match="'Missing'"):
        Signature.of(unresolved)


@pytest.mark.parametrize(("function", "name"), [(starred, r"\*names"), (named, r"\*\*names")])
def test_starred_parameters_are_refused_clearly(function, name):
    with pytest.raises(DefinitionError, match=f"takes {name}; name each parameter"):
        Signature.of(function)


def test_the_result_of_anything_callable_is_found_where_it_says():
    class Called:
        async def __call__(self) -> int: ...

        async def method(self) -> str: ...

    def promised() -> Awaitable[Invoice]: ...
    def coroutine() -> Coroutine[Any, Any, Point]: ...

    found = [
        extract,
        Called().method,
        Called(),
        functools.partial(extract, "u"),
        promised,
        coroutine,
        print,
        unresolved,
    ]
    assert [result_annotation(item) for item in found] == [Invoice, str, int, Invoice, Invoice, Point, Any, Any]
