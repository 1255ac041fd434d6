from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    PrivateAttr,
    RootModel,
    computed_field,
    create_model,
    field_validator,
)
from typing_extensions import TypedDict

from agentflow.errors import NotRecordable, UndecodablePayload
from agentflow.payloads import decode, encode, record

T = TypeVar("T")
PAIR = "\ud83d" + "\ude00"


class Colour(StrEnum):
    RED = "red"


class Size(IntEnum):
    SMALL = 1


class Place(Enum):
    HERE = (1, 2)


class Line(BaseModel):
    amount: Decimal
    raw: bytes = b""
    ratio: float = 0.0


class Invoice(BaseModel):
    number: str
    lines: list[Line] = []
    note: str | None = None
    colour: Colour = Colour.RED


class Aliased(BaseModel):
    given: str = Field(alias="givenName")
    other: str = Field(default="", validation_alias="given")


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    known: int


class Private(BaseModel):
    seen: int
    _cache: dict[str, int] = PrivateAttr(default_factory=dict)

    @computed_field
    @property
    def twice(self) -> int:
        return self.seen * 2


class Names(RootModel[list[str]]):
    pass


class Page(BaseModel, Generic[T]):
    items: list[T]


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    name: str


class Lion(BaseModel):
    kind: Literal["lion"] = "lion"
    name: str


class Same(BaseModel):
    name: str


class SameAgain(BaseModel):
    name: str


class SameHeir(Same):
    extra: int = 0


class Link(BaseModel):
    url: HttpUrl


class Spread(NamedTuple):
    low: int
    high: Decimal


class Row(TypedDict):
    id: int
    at: date


@dataclass(frozen=True, slots=True)
class Point:
    x: int
    tags: frozenset[str] = frozenset()
    made: int = field(default=0, init=False)


class Future(BaseModel):
    """Its validator would refuse on replay what it accepted once."""

    due: int

    @field_validator("due")
    @classmethod
    def _is_ahead(cls, due: int) -> int:
        assert due > CLOCK[0]
        return due


class Hashed(BaseModel):
    secret: str

    @field_validator("secret")
    @classmethod
    def _hash(cls, secret: str) -> str:
        return f"<{secret}>"


CLOCK = [0]

BERLIN = ZoneInfo("Europe/Berlin")
BY_TAG_FOLD = datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=BERLIN)
BY_TAG = [
    None, True, 0, -1, 2**70, 1.5, -0.0, 1e308, math.inf, -math.inf,
    "", "ü€😀", "a\0b", "\ud800", PAIR, f"{PAIR}😀\udc00",
    [], {}, [1, [2, {"a": None}]], {"$a": 1}, {"$datetime": "x"}, {1: "a", None: "b", (1, 2): "c"},
    {"k": {"$x": {2: 3}}}, {PAIR: 1},
    (), (1, (2,)), {1, 2}, frozenset({"a"}), b"\xff\0", bytearray(b"x"), 1 + 2j, complex(math.inf, -0.0),
    datetime.fromisoformat("2026-01-01"), datetime(2026, 1, 1, tzinfo=UTC),
    datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=BERLIN),
    date(2026, 2, 28), time(1, 2, 3, 4), time(1, tzinfo=BERLIN), timedelta(days=-1, microseconds=3), UUID(int=5),
    Decimal("1.10"), Decimal("-Infinity"), Path("/a/b"), PurePosixPath("c"), "$plain text", ["$5"],
]  # fmt: skip

BY_ANNOTATION: list[tuple[Any, Any]] = [
    (Invoice(number="7", lines=[Line(amount=Decimal("1.10"), raw=b"\xff\0", ratio=math.inf)]), Invoice),
    ([Invoice(number="7")], list[Invoice]),
    ({"a": (Size.SMALL, Colour.RED)}, dict[str, tuple[Size, Colour]]),
    (Place.HERE, Place),
    (Colour.RED, Literal[Colour.RED]),
    (Names(["a"]), Names),
    (Page[Invoice](items=[Invoice(number="1")]), Page[Invoice]),
    (Lion(name="x"), Annotated[Cat | Lion, Field(discriminator="kind")]),
    (SameAgain(name="x"), Same | SameAgain),
    ([Same(name="x"), SameHeir(name="y")], list[Same]),
    (Open(known=1, more={"$x": b"\0"}), Open),
    (Aliased(givenName="a", given="b"), Aliased),
    (Link(url=HttpUrl("https://a.test/x")), Link),
    (Spread(1, Decimal(2)), Spread),
    ({"id": 1, "at": date(2026, 1, 1)}, Row),
    (Point(1, frozenset({"a"})), Point),
    ({Point(1)}, set[Point]),
    (None, Invoice | None),
    (Invoice.model_construct(number=5, lines=None), Invoice),
]


def _shape(value: Any) -> Any:
    """Types and values, where `==` alone calls 1 and True, or -0.0 and 0.0, the same."""
    if isinstance(value, dict):
        return [(type(value), _shape(key), _shape(item)) for key, item in value.items()]
    if isinstance(value, (list, tuple)):
        return (type(value), [_shape(item) for item in value])
    return (type(value), repr(value))


@pytest.mark.parametrize("value", BY_TAG, ids=ascii)
def test_a_value_comes_back_by_its_tag_with_its_types(value):
    text, seen = record(value)
    text.encode()
    assert "\0" not in text
    assert _shape(seen) == _shape(value)
    assert _shape(decode(text)) == _shape(value)
    assert seen == value


def test_not_a_number_comes_back():
    assert math.isnan(decode(encode(math.nan)))
    assert decode(encode([math.nan, Decimal("sNaN")]))[1].is_snan()


@pytest.mark.parametrize(("value", "annotation"), BY_ANNOTATION, ids=lambda value: str(value)[:40])
def test_an_object_comes_back_by_its_annotation(value, annotation):
    text, seen = record(value, annotation)
    assert seen == value
    assert type(seen) is type(value)
    again = decode(text, annotation)
    assert again == value
    assert record(seen, annotation) == (text, value)


def test_which_fields_were_set_and_private_attributes_survive():
    seen = record(Invoice(number="1"), Invoice)[1]
    assert seen.model_dump(exclude_unset=True) == {"number": "1"}
    private = record(Private(seen=2), Private)[1]
    assert (private._cache, private.twice) == ({}, 4)


def test_the_fold_and_zone_of_an_instant_survive():
    seen = record(datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=BERLIN))[1]
    assert (seen.fold, seen.tzinfo) == (1, BERLIN)


def test_what_was_recorded_is_not_judged_again():
    text = record(Future(due=5), Future)[0]
    CLOCK[0] = 10
    try:
        assert decode(text, Future).due == 5
    finally:
        CLOCK[0] = 0
    assert record(Hashed(secret="a"), Hashed)[1].secret == "<a>"


def test_an_object_of_a_changed_class_is_read_by_the_new_class():
    text = encode(Invoice(number="7"))
    changed = json.loads(text)
    changed["shape"] = "before"
    del changed["fields"]["note"]
    assert decode(json.dumps(changed), Invoice) == Invoice(number="7")
    del changed["fields"]["number"]
    with pytest.raises(UndecodablePayload, match=r"Invoice was changed.*/number: found nothing"):
        decode(json.dumps(changed), Invoice)


def test_a_root_model_of_a_changed_class_is_read_by_the_new_class():
    assert decode('{"$object":"Names","shape":"before","fields":{"root":["a"]}}', Names) == Names(["a"])


def test_two_classes_of_one_name_are_never_taken_for_each_other():
    one, other = create_model("Twin", x=(int, ...)), create_model("Twin", x=(int, ...))
    for cls in (one, other):
        try:
            assert type(record(cls(x=1), one | other)[1]) is cls
        except NotRecordable:
            continue
    assert type(record(one(x=1), one)[1]) is one


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"$datetime":"2026-10-25T02:30:00","zone":"Europe/Berlin","fold":1}', BY_TAG_FOLD),
        ('{"$timedelta":[-1,0,3]}', timedelta(days=-1, microseconds=3)),
        ('{"$dict":[["$a",{"$tuple":[{"$bytes":"/w=="},{"$float":"inf"}]}]]}', {"$a": (b"\xff", math.inf)}),
        ('{"$exact":{"$decimal":"1.10"}}', Decimal("1.10")),
    ],
)
def test_texts_of_earlier_releases_are_read(text, value):
    assert _shape(decode(text)) == _shape(value)


def test_a_renamed_class_is_read_by_its_fields():
    text = encode(Same(name="x"))
    assert decode(text, SameAgain) == SameAgain(name="x")


def test_an_object_without_annotation_is_refused_with_the_remedy():
    with pytest.raises(NotRecordable, match=r"return type of `extract` as `-> Invoice`"):
        record(Invoice(number="1"), of="extract")
    with pytest.raises(UndecodablePayload, match="annotate the value as Invoice"):
        decode(encode(Invoice(number="1")))
    with pytest.raises(NotRecordable):
        record([Colour.RED], list[Any])


def test_a_generic_model_without_its_parameter_is_refused_rather_than_changed():
    with pytest.raises(NotRecordable, match="annotate"):
        record(Page[int](items=[1]), Page)


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (5, str),
        (5, float),
        ({"number": "1"}, Invoice),
        ([1], set[int]),
        (True, int),
        (None, int),
        ((1, "a"), list[int]),
        (1, Line),
    ],
)
def test_a_wrong_annotation_changes_nothing_and_fails_nothing(value, annotation):
    text, seen = record(value, annotation)
    assert _shape(seen) == _shape(value)
    assert _shape(decode(text, annotation)) == _shape(value)
    assert record(seen, annotation) == (text, value)


@pytest.mark.parametrize(
    ("text", "annotation", "message"),
    [
        ('{"number": 5}', Invoice, r"/number: found 5 \(int\); wanted string"),
        ('{"number": "1", "lines": [{"amount": "x"}]}', Invoice, "/lines/0/amount"),
        ('"12"', int, "found '12' \\(str\\); wanted integer"),
        (encode(date(2026, 1, 1)), int, "does not fit int"),
        ("nope", Any, "not JSON"),
        ('{"$unheard": 1}', Any, "newer release"),
        ('{"$datetime": 5}', Any, "cannot be read"),
        ('{"$object": "os.system", "fields": {}}', Any, "os.system"),
        ("[" * 100_000, Any, "too deep|not JSON"),
    ],
)
def test_what_does_not_fit_is_named(text, annotation, message):
    with pytest.raises(UndecodablePayload, match=message):
        decode(text, annotation)


def test_plain_json_is_read_by_the_annotation():
    assert decode('{"number":"1","lines":[{"amount":"1.5"}]}', Invoice).lines[0].amount == Decimal("1.5")
    assert decode('["2026-01-01"]', tuple[date, ...]) == (date(2026, 1, 1),)
