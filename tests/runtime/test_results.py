"""Results keep their types: what a task sees live is what it sees when it is replayed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from pydantic import BaseModel

from agentflow import step, task, wait_for_approval
from tests.support.tasks import Colour, Invoice, Line, Order, Point, Price

if TYPE_CHECKING:
    from tests.runtime.conftest import OpenHarness


class Leaf(BaseModel):
    colour: Colour
    due: date | None = None


class Tree(BaseModel):
    leaves: dict[str, Leaf]
    trunk: Price


@step
async def a_model() -> Invoice:
    return Invoice(number="7", total=1.5)


@step
async def a_model_or_none(n: int) -> Invoice | None:
    return Invoice(number=str(n)) if n else None


@step
def a_list_of_models() -> list[Line]:
    return [Line(text="tea", cents=120), Line(text="jam", cents=300)]


@step
async def a_dataclass() -> Point:
    return Point(1, 2)


@step
async def a_frozen_dataclass() -> Price:
    return Price(Decimal("1.10"), Colour.BLUE)


@step
async def a_tree() -> Tree:
    return Tree(leaves={"a": Leaf(colour=Colour.RED, due=date(2026, 1, 2))}, trunk=Price(Decimal(3)))


@step
async def an_enum() -> Colour:
    return Colour.BLUE


async def a_tuple() -> tuple[int, str]:
    return 1, "two"


async def untyped(value: Any):
    return value


UNTYPED = [
    None,
    True,
    1.0,
    2**70,
    float("inf"),
    "text with \u2028 and \U0001f600",
    b"\x00\xff",
    [1, [2, {"three": 3}]],
    (1, ("two", [3])),
    {1, 2},
    frozenset({"a"}),
    {"a": (1,), 2: "int key"},
    Decimal("1.10"),
    UUID("12345678123456781234567812345678"),
    datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    datetime(2026, 1, 2, 3, 4),  # noqa: DTZ001  naive on purpose
    date(2026, 1, 2),
    time(3, 4, 5),
    timedelta(days=-1, microseconds=7),
]

TYPED = [
    (a_model, Invoice(number="7", total=1.5)),
    (a_list_of_models, [Line(text="tea", cents=120), Line(text="jam", cents=300)]),
    (a_dataclass, Point(1, 2)),
    (a_frozen_dataclass, Price(Decimal("1.10"), Colour.BLUE)),
    (a_tree, Tree(leaves={"a": Leaf(colour=Colour.RED, due=date(2026, 1, 2))}, trunk=Price(Decimal(3)))),
    (an_enum, Colour.BLUE),
    (a_tuple, (1, "two")),
]


@pytest.mark.parametrize(("function", "wanted"), TYPED, ids=[function.__name__ for function, _ in TYPED])
async def test_a_typed_result_is_of_its_type_live_and_on_replay(
    harness: OpenHarness, function: Any, wanted: Any
) -> None:
    seen = []

    @task
    async def calling() -> str:
        found = await function()
        seen.append(found)
        await wait_for_approval("go on?")
        return str(found)

    async with harness(calling) as h:
        run = await h.trigger(calling)
        await h.approve(await h.only_approval(run))
        assert await h.result(run) == str(wanted)
    assert len(seen) > 1
    assert all(found == wanted and type(found) is type(wanted) for found in seen)


@pytest.mark.parametrize("value", UNTYPED, ids=repr)
async def test_a_result_without_annotation_keeps_its_python_type(harness: OpenHarness, value: Any) -> None:
    seen = []

    @task
    async def calling() -> None:
        seen.append(await untyped(value))
        await wait_for_approval("go on?")

    async with harness(calling) as h:
        run = await h.trigger(calling)
        await h.approve(await h.only_approval(run))
        assert await h.result(run) is None
    assert len(seen) > 1
    assert all(found == value and type(found) is type(value) for found in seen)


async def test_an_optional_model_is_the_model_or_none(harness: OpenHarness) -> None:
    @task
    async def calling() -> list[str]:
        return [repr(await a_model_or_none(0)), repr(await a_model_or_none(1))]

    async with harness(calling) as h:
        assert await h.run(calling) == ["None", "Invoice(number='1', total=0.0)"]


async def test_the_task_sees_a_copy_that_a_later_change_of_the_original_does_not_reach(harness: OpenHarness) -> None:
    shared = [1]

    @step
    async def sharing() -> list[int]:
        return shared

    @task
    async def calling() -> list[int]:
        found = await sharing()
        shared.append(2)
        return found

    async with harness(calling) as h:
        assert await h.run(calling) == [1]


async def test_arguments_and_result_of_a_task_keep_their_types(harness: OpenHarness) -> None:
    @task
    async def typed(
        order: Order, point: Point, *, colour: Colour = Colour.RED, prices: tuple[Price, ...] = ()
    ) -> Order:
        assert isinstance(order, Order)
        assert isinstance(point, Point)
        assert isinstance(colour, Colour)
        assert all(isinstance(price, Price) for price in prices)
        return order.model_copy(update={"note": f"{point.x} {colour.value} {len(prices)}"})

    async with harness(typed) as h:
        order = Order(name="breakfast", lines=[Line(text="tea", cents=1)])
        found = await h.run(typed, order, Point(4), colour=Colour.BLUE, prices=(Price(Decimal(1)),))
        assert found == Order(name="breakfast", lines=[Line(text="tea", cents=1)], note="4 blue 1")


async def test_a_model_inside_plain_data_comes_back_as_that_model_where_the_annotation_names_it(
    harness: OpenHarness,
) -> None:
    @step
    async def mixed() -> dict[str, list[Point | Line]]:
        return {"both": [Point(1), Line(text="x", cents=2)]}

    @task
    async def calling() -> list[str]:
        found = await mixed()
        await wait_for_approval("go on?")
        return [type(one).__name__ for one in found["both"]]

    async with harness(calling) as h:
        run = await h.trigger(calling)
        await h.approve(await h.only_approval(run))
        assert await h.result(run) == ["Point", "Line"]


async def test_a_result_that_breaks_its_annotation_is_kept_as_it_is(harness: OpenHarness) -> None:
    @step
    async def wrong() -> int:
        return "no number"  # type: ignore[return-value]

    @task
    async def calling() -> str:
        found = await wrong()
        await wait_for_approval("go on?")
        return repr(found)

    async with harness(calling) as h:
        run = await h.trigger(calling)
        await h.approve(await h.only_approval(run))
        assert await h.result(run) == "'no number'"


@dataclass
class Unknown:
    x: int


async def test_a_model_that_no_annotation_names_is_refused_with_what_to_write(harness: OpenHarness) -> None:
    async def bare():
        return Unknown(1)

    @task
    async def calling() -> str:
        try:
            await bare()
        except Exception as error:  # noqa: BLE001  whatever it is, its text is looked at
            return f"{type(error).__name__}: {error}"
        return "kept"

    async with harness(calling) as h:
        said = await h.run(calling)
    assert "NotRecordable" in said
    assert "-> Unknown" in said
