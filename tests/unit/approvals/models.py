"""Drafts of many shapes, as the tasks of users have them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, RootModel, computed_field
from typing_extensions import TypedDict


class Currency(StrEnum):
    EUR = "EUR"
    USD = "USD"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Mixed(Enum):
    TEXT = "1"
    NUMBER = 1


class Line(BaseModel):
    sku: str
    amount: Decimal
    quantity: Annotated[int, Field(ge=1, le=10_000)] = 1
    note: str | None = None


class Invoice(BaseModel):
    number: str
    total: Decimal = Field(gt=0)
    currency: Currency = Currency.EUR
    lines: list[Line] = []
    issued: date
    locked_by: str = Field("agent", json_schema_extra={"readOnly": True})

    @computed_field
    @property
    def line_count(self) -> int:
        return len(self.lines)


class Card(BaseModel):
    kind: Literal["card"] = "card"
    number: str


class Transfer(BaseModel):
    kind: Literal["transfer"] = "transfer"
    iban: str
    reference: str | None = None


class Payment(BaseModel):
    method: Annotated[Card | Transfer, Field(discriminator="kind")]
    amount: int | float | str
    previous: Card | Transfer | None = None


class Moments(BaseModel):
    day: date
    at: datetime
    clock: time
    span: timedelta
    id: UUID
    maybe: datetime | None = None


class Node(BaseModel):
    name: str
    children: list[Node] = []
    parent: Node | None = None


class Loose(BaseModel):
    model_config = ConfigDict(extra="allow")
    counts: dict[str, int]
    by_name: dict[str, Line] = {}
    anything: Any = None
    pair: tuple[int, str] = (1, "a")
    many: tuple[int, ...] = ()


class Aliased(BaseModel):
    unit_price: float = Field(alias="unit/price~ü.[0]")
    level: Level
    mixed: Mixed
    literal: Literal[1, "1", True] | None = None
    flag: bool | None = None


class Tags(RootModel[list[str]]):
    pass


class Point(NamedTuple):
    x: float
    y: float = 0.0


class Options(TypedDict, total=False):
    colour: str
    size: int


@dataclass
class Order:
    id: int
    options: Options
    points: list[Point] = field(default_factory=list)
    labels: set[str] = field(default_factory=set)
    body: bytes = b""


LINE = Line(sku="a", amount=Decimal("1.10"))
CARD = Card(number="4111")
MOMENT = datetime(2026, 3, 31, 14, 30, 0, 123, timezone(timedelta(hours=5, minutes=45)))

DRAFTS: dict[str, Any] = {
    "invoice": Invoice(
        number="INV-1",
        total=Decimal("1200.00"),
        lines=[LINE, Line(sku="b", amount=Decimal("1E+3"), note="")],
        issued=date(2026, 1, 1),
    ),
    "empty invoice": Invoice(number=" ", total=Decimal("0.1"), issued=date(1, 1, 1)),
    "payment": Payment(method=CARD, amount=1, previous=Transfer(iban="DE1")),
    "float payment": Payment(method=Transfer(iban="x"), amount=1.0, previous=CARD),
    "text payment": Payment(method=CARD, amount="1", previous=None),
    "moments": Moments(
        day=date(2026, 1, 1), at=MOMENT, clock=time(1, 2, 3, 4), span=timedelta(days=1, seconds=2), id=UUID(int=7)
    ),
    "naive moments": Moments(
        day=date(9999, 12, 31),
        at=datetime(2026, 1, 1),  # noqa: DTZ001 - naive on purpose
        clock=time(1, 2, tzinfo=UTC),
        span=timedelta(-1),
        id=UUID(int=0),
        maybe=MOMENT,
    ),
    "node": Node(
        name="a", children=[Node(name="b", children=[Node(name="c")])], parent=Node(name="p", parent=Node(name="q"))
    ),
    "loose": Loose(
        counts={"a/b~c": 2**60, "": 0},
        by_name={"ü.[0]": LINE},
        anything={"x": [1, 1.0, None]},
        extra_text="1",
        extra_list=[],
        extra_none=None,
    ),
    "aliased": Aliased.model_validate(
        {"unit/price~ü.[0]": 1.0, "level": 2, "mixed": "1", "literal": True, "flag": False}
    ),
    "aliased null": Aliased.model_validate({"unit/price~ü.[0]": -0.0, "level": 1, "mixed": 1}),
    "tags": Tags(["", " a ", "b\nc", "\n", "e\u0301", "é"]),
    "order": Order(id=1, options={"colour": "red"}, points=[Point(1, 2)], labels={"a", "b", "c"}, body=b"a\r\nb"),
    "list of models": [LINE, LINE.model_copy(update={"note": "x"})],
    "models in plain data": {"line": LINE, "cards": [CARD, None], "n": 1},
    "plain": {"a": [], "b": {}, "c": None, "d": [1, 2.5, "x", None, {"y": 1}, [1]], "e": True, "f": 2**70, "g": 1e300},
    "text": "line one\r\nline two",
    "number": 5,
    "nothing": None,
    "dates in a list": [date(2026, 1, 1), date(2026, 1, 2)],
}
