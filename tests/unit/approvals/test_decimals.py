"""Decimals are written as text and checked as numbers."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from agentflow.approvals import describe, validate


class Payment(BaseModel):
    total: Annotated[Decimal, Field(ge=0, lt=10_000, max_digits=6, decimal_places=2)] = Decimal(1)
    rate: Decimal | None = None


SCHEMA = describe(Payment()).schema


def messages(total: object) -> list[str]:
    return [problem.message for problem in validate(SCHEMA, {"total": total, "rate": None})]


@pytest.mark.parametrize("text", ["0", "1200.00", "+5", ".5", "1E+2", "9999.99"])
def test_a_written_decimal_within_its_bounds_is_accepted(text: str) -> None:
    assert messages(text) == []


@pytest.mark.parametrize("text", ["x", "1.250,50", "1,200", "", " 1", "NaN", "Infinity", "٣", "1e", "--1"])
def test_what_is_no_decimal_is_refused_before_it_is_accepted(text: str) -> None:
    [message] = messages(text)
    assert message.startswith("must be a number such as 1200.00, without separators; found")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("-0.01", "at least 0"),
        ("10000", "less than 10000"),
        ("1.234", "a number of at most 2 decimal places"),
        ("1234567", "a number of at most 6 digits"),
    ],
)
def test_a_bound_of_a_decimal_is_said_in_words(text: str, wanted: str) -> None:
    assert f"must be {wanted}; found '{text}'" in messages(text)


def test_a_decimal_that_may_be_null_is_checked_when_it_is_not() -> None:
    assert validate(SCHEMA, {"total": "1", "rate": "0.19"}) == []
    assert validate(SCHEMA, {"total": "1", "rate": "a lot"}) != []


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=0, max_value=9999, places=2))
def test_every_decimal_the_model_takes_fits_its_schema(total: Decimal) -> None:
    described = describe(Payment(total=total))
    assert validate(described.schema, described.value) == []
