"""What a person approves comes back in the type that was asked about: validated, and corrected where they did so."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import pytest
from pydantic import BaseModel, Field, field_validator

from agentflow import RunFailed, task, wait_for_approval
from agentflow.errors import ApprovalSchemaMismatch, InvalidDecision
from tests.support.tasks import Colour, Invoice, Line, Order, Point, Price

if TYPE_CHECKING:
    from tests.runtime.conftest import OpenHarness


class Contract(BaseModel):
    party: str = Field(min_length=1)
    due: date
    price: Decimal
    kind: Literal["sale", "rent"] = "sale"
    colour: Colour = Colour.RED
    lines: list[Line] = []
    point: Point | None = None


CONTRACT = Contract(party="us", due=date(2026, 2, 3), price=Decimal("1.10"), lines=[Line(text="x", cents=1)])

DATA = [
    (Invoice(number="1", total=2), {"total": 3.5}, Invoice(number="1", total=3.5)),
    (Point(1, 2), {"y": 5}, Point(1, 5)),
    (Price(Decimal("1.10")), {"amount": "2.20"}, Price(Decimal("2.20"))),
    (CONTRACT, {"kind": "rent"}, CONTRACT.model_copy(update={"kind": "rent"})),
    (CONTRACT, {"colour": "blue"}, CONTRACT.model_copy(update={"colour": Colour.BLUE})),
    (
        Order(name="o", lines=[Line(text="tea", cents=1)]),
        {"lines": [{"text": "tea", "cents": 2}, {"text": "jam", "cents": 3}]},
        Order(name="o", lines=[Line(text="tea", cents=2), Line(text="jam", cents=3)]),
    ),
    ({"a": 1, "b": [1, 2]}, {"a": 2}, {"a": 2, "b": [1, 2]}),
    ({"nested": {"deep": True}}, {"nested": {"deep": False}}, {"nested": {"deep": False}}),
]
WHOLE = [("text", "other text"), ([1, 2], [2, 3]), (7, 8), (1.5, 2.5), (True, False)]


def _asking(data: Any) -> Any:
    @task(id="asking")
    async def asking() -> list[Any]:
        decision = await wait_for_approval(data)
        assert decision.data is None or type(decision.data) is type(data)
        await wait_for_approval("go on?", key="again")
        return [decision.outcome, repr(decision.data)]

    return asking


@pytest.mark.parametrize(("data", "changes", "wanted"), DATA, ids=[type(one[0]).__name__ for one in DATA])
async def test_corrected_data_is_of_the_type_that_was_asked_about(
    harness: OpenHarness, data: Any, changes: dict[str, Any], wanted: Any
) -> None:
    asking = _asking(data)
    async with harness(asking) as h:
        run = await h.trigger(asking)
        await h.correct(await h.only_approval(run), **changes)
        await h.approve(await h.only_approval(run))
        assert await h.result(run) == ["corrected", repr(wanted)]
        run = await h.trigger(asking)
        await h.approve(await h.only_approval(run))
        await h.approve(await h.only_approval(run))
        assert await h.result(run) == ["approved", repr(data)]


@pytest.mark.parametrize(("data", "other"), WHOLE, ids=repr)
async def test_plain_values_can_be_approved_and_corrected(harness: OpenHarness, data: Any, other: Any) -> None:
    asking = _asking(data)
    async with harness(asking) as h:
        run = await h.trigger(asking)
        approval = await h.only_approval(run)
        await h.client.decide(approval.id, "correct", by="ada", data=other)
        await h.approve(await h.only_approval(run))
        assert await h.result(run) == ["corrected", repr(other)]


async def test_a_list_of_models_comes_back_as_models(harness: OpenHarness) -> None:
    @task
    async def asking() -> list[str]:
        decision = await wait_for_approval([Line(text="tea", cents=1), Line(text="jam", cents=2)])
        return [f"{type(line).__name__} {line.cents}" for line in decision.data]

    async with harness(asking) as h:
        run = await h.trigger(asking)
        approval = await h.only_approval(run)
        await h.correct(approval, [*json.loads(approval.data), {"text": "egg", "cents": 3}])
        assert await h.result(run) == ["Line 1", "Line 2", "Line 3"]


async def test_models_inside_an_object_come_back_as_models(harness: OpenHarness) -> None:
    @task
    async def asking() -> list[str]:
        proposed = {"line": Line(text="tea", cents=1), "points": [Point(1)], "colour": Colour.RED, "note": None}
        decision = await wait_for_approval(proposed)
        return [repr(decision.data[name]) for name in proposed]

    async with harness(asking) as h:
        run = await h.trigger(asking)
        await h.correct(await h.only_approval(run), colour="blue", points=[{"x": 1, "y": 0}, {"x": 2, "y": 2}])
        assert await h.result(run) == [
            "Line(text='tea', cents=1)", "[Point(x=1, y=0), Point(x=2, y=2)]", "<Colour.BLUE: 'blue'>", "None",
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"party": ""}, "/party"),
        ({"due": "someday"}, "/due"),
        ({"kind": "theft"}, "/kind"),
        ({"lines": [{"text": "no cents"}]}, "/lines/0"),
        ({"unknown": 1}, "/unknown"),
    ],
)
async def test_a_correction_that_does_not_fit_is_refused_and_the_run_still_waits(
    harness: OpenHarness, changes: dict[str, Any], field: str
) -> None:
    asking = _asking(CONTRACT)
    async with harness(asking) as h:
        run = await h.trigger(asking)
        approval = await h.only_approval(run)
        with pytest.raises(InvalidDecision) as caught:
            await h.correct(approval, **changes)
        assert any(one.field.startswith(field) for one in caught.value.errors)
        assert (await h.only_approval(run)).id == approval.id


async def test_approved_data_that_no_longer_fits_the_code_s_class_is_an_error_that_says_so(
    harness: OpenHarness,
) -> None:
    class Strict(BaseModel):
        total: float

        @field_validator("total")
        @classmethod
        def is_small(cls, total: float) -> float:
            if total > 100:
                raise ValueError("too much for the new code")
            return total

    @task
    async def asking() -> float:
        return (await wait_for_approval(Strict(total=1))).data.total

    async with harness(asking) as h:
        run = await h.trigger(asking)
        await h.correct(await h.only_approval(run), total=101)
        with pytest.raises(RunFailed, match=r"is no .*Strict any more") as caught:
            await h.result(run)
    assert isinstance(caught.value.__cause__, ApprovalSchemaMismatch)
