"""A model's text becomes arguments or a sentence for the model; nothing malformed ever reaches the function."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, Field

from agentflow.agents import ArgumentsRefused, Tool, ToolError, tool
from agentflow.agents.tools.checking import LONGEST


class Parcel(BaseModel):
    street: str
    express: bool = True


@dataclass
class Line:
    sku: str
    count: int = 1


@tool
def order(customer: str, lines: list[Line], limit: Decimal | None = None, to: Parcel | None = None) -> str:
    """Order things."""
    return customer


@tool
def refund(order: str, amount: float, count: int = 1, why: Literal["late", "broken"] = "late") -> str:
    """Refund an order."""
    return order


@tool
def ping() -> str:
    """Say that all is well."""
    return "pong"


def problems(made: Tool[..., Any], text: str) -> list[str]:
    with pytest.raises(ArgumentsRefused) as caught:
        made.check(text)
    assert isinstance(caught.value, ToolError)
    assert caught.value.tool == made.name
    assert str(caught.value).startswith(f"{made.name} was not called, its arguments are refused:\n- ")
    return list(caught.value.problems)


def test_arguments_are_plain_json_with_every_default_filled_in() -> None:
    found = order.check('{"customer": "ann", "lines": [{"sku": "a"}], "to": {"street": "Hill 1"}}')
    assert found == {
        "customer": "ann",
        "lines": [{"sku": "a", "count": 1}],
        "limit": None,
        "to": {"street": "Hill 1", "express": True},
    }


def test_what_a_model_wrote_stays_as_it_wrote_it() -> None:
    assert order.check('{"lines": [], "customer": "ann", "limit": 12.50}')["limit"] == 12.5
    assert refund.check('{"order": "a", "amount": 5}')["amount"] == 5


@pytest.mark.parametrize("text", ["", "  ", "\n", "{}", " {} "])
def test_a_tool_of_no_arguments_takes_nothing_for_an_object(text: str) -> None:
    assert ping.check(text) == {}


MALFORMED = {
    '{"order": "a", "amount": 5': "they break off (expecting ',' delimiter): write the whole JSON object",
    '{"order": "a", "amou': "they break off (unterminated string starting at): write the whole JSON object",
    '{"order": "a", "amount": 5,}': "they are no JSON: ",
    '{"order": "a", "amount": 5}{"order": "b", "amount": 6}': "they are several JSON objects one after another",
    '{"order": "a", "amount": 5} I refund this.': "something follows the JSON object: 'I refund this.'",
    '```json\n{"order": "a", "amount": 5}\n```': "they are in a code fence: write the JSON object alone",
    "{'order': 'a', 'amount': 5}": "they are no JSON: expecting property name enclosed in double quotes at character 2",
    '{"order": "a", "amount": NaN}': "NaN is no JSON number",
    '{"order": "a", "amount": -Infinity}': "-Infinity is no JSON number",
    '{"order": "a", "amount": 1e999}': "the number 1e999 cannot be kept exactly",
    '{"order": "a", "amount": 12345678901234567.89}': "cannot be kept exactly: write at most 17 digits",
    '{"order": "a", "order": "b", "amount": 5}': "'order' is given twice: give it once",
    '["a", 5]': 'found ["a", 5], wanted a JSON object of arguments by name',
    '"a"': 'found "a", wanted a JSON object of arguments by name',
    "null": "found null, wanted a JSON object of arguments by name",
    "": "they are empty: write a JSON object of arguments by name",
    "[" * 100_000: "they are nested too deeply, at most 64 deep are taken",
    '{"order": "\\ud800", "amount": 5}': "holds half of a surrogate pair: write the whole character",
    f'{{"order": "a", "amount": {"9" * 400}}}': "has more than 300 digits",
    f'{{"order": "{"x" * LONGEST}", "amount": 1}}': "characters long, at most 300,000 are taken: pass less",
}


@pytest.mark.parametrize("text", MALFORMED, ids=lambda text: text[:30])
def test_a_text_that_is_no_json_object_is_refused_with_what_to_write(text: str) -> None:
    [said] = problems(refund, text)
    assert MALFORMED[text] in said
    assert len(said) < 300


UNFIT = {
    '{"order": "a"}': ["/amount is required"],
    '{"order": "a", "amount": "12.5"}': ['/amount: found "12.5", wanted a number: write 12.5 without quotes'],
    '{"order": "a", "amount": "lots"}': ['/amount: found "lots", wanted a number'],
    '{"order": 5, "amount": 1}': ["/order: found 5, wanted text"],
    '{"order": "a", "amount": 1, "count": "12"}': [
        '/count: found "12", wanted a whole number: write 12 without quotes'
    ],
    '{"order": "a", "amount": 1, "count": 1.5}': ["/count: found 1.5, wanted a whole number"],
    '{"order": "a", "amount": 1, "count": true}': ["/count: found true, wanted a whole number"],
    '{"order": "a", "amount": true}': ["/amount: found true, wanted a number"],
    '{"order": "a", "amount": null}': ["/amount: found null, wanted a number"],
    '{"order": "a", "amount": 1, "why": "bored"}': ["/why: found \"bored\", wanted one of 'late', 'broken'"],
    '{"order": "a", "amount": 1, "amout": 2}': ["/amout: there is no such argument; did you mean 'amount'?"],
    '{"order": "a", "amount": 1, "zz": 2}': ["/zz: there is no such argument; there is order, amount, count, why"],
}


@pytest.mark.parametrize("text", UNFIT, ids=lambda text: text[:60])
def test_arguments_that_do_not_fit_the_schema_are_refused_with_what_is_wanted(text: str) -> None:
    assert problems(refund, text) == UNFIT[text]


def test_what_is_not_known_further_in_is_refused_too() -> None:
    text = '{"customer": "a", "lines": [{"sku": "x", "amount": 3}], "to": {"street": "s", "expres": false}}'
    found = problems(order, text)
    assert found == ["/lines/0/amount: there is no such argument", "/to/expres: there is no such argument"]


def test_a_model_is_told_of_a_few_problems_and_how_many_more_there_are() -> None:
    with pytest.raises(ArgumentsRefused) as caught:
        order.check(json.dumps({"customer": "a", "lines": [{"sku": place} for place in range(50)]}))
    assert str(caught.value).count("\n- ") == 9
    assert str(caught.value).endswith("- and 42 more")


def test_what_only_python_s_type_can_tell_is_refused_as_well() -> None:
    @tool
    def book(at: datetime, price: Decimal) -> str:
        """Book a place."""
        return ""

    [said] = problems(book, '{"at": "tomorrow", "price": 1}')
    assert said.startswith('/at: found "tomorrow", wanted ')
    [said] = problems(book, '{"at": "2026-13-01T00:00:00Z", "price": 1}')
    assert said.startswith('/at: found "2026-13-01T00:00:00Z", wanted ')


def even(number: int) -> int:
    if number % 2:
        raise ValueError("an even number")
    return number


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"number": 3, "price": 1, "thing": 0}', "/number: found 3, wanted an even number"),
        ('{"number": 2.0, "price": 1, "thing": 0}', "/number: found 2.0, wanted integer"),
        ('{"number": 2, "price": 1.234, "thing": 0}', "/price: found 1.234, wanted Decimal input"),
        (f'{{"number": 2, "price": 1, "thing": {"[" * 70}{"]" * 70}}}', "they are nested too deeply, at most 64"),
    ],
)
def test_what_no_schema_says_is_refused_before_the_call_too(text: str, said: str) -> None:
    @tool
    def weigh(
        number: Annotated[int, AfterValidator(even)], price: Annotated[Decimal, Field(decimal_places=2)], thing: Any
    ) -> str:
        """Weigh it."""
        return ""

    [problem] = problems(weigh, text)
    assert problem.startswith(said)


def test_a_correction_is_held_to_the_same_rules() -> None:
    assert refund.check_plain({"order": "a", "amount": 1}) == {"order": "a", "amount": 1, "count": 1, "why": "late"}
    with pytest.raises(ArgumentsRefused, match="/amount"):
        refund.check_plain({"order": "a", "amount": "1"})
    with pytest.raises(ArgumentsRefused, match="nan is no JSON number"):
        refund.check_plain({"order": "a", "amount": float("nan")})


# -- properties


VALID = {"order": "a-1", "amount": 12.5, "count": 2, "why": "broken"}
ALPHABET = st.sampled_from([*'{}[]":,0123456789.-+eE \n\t\\/abtfnulrse', "order", "amount", "NaN", "\ud800", "é"])


def reaches(made: Tool[..., Any], text: str) -> dict[str, Any] | None:
    """What the function would be called with; None where the text is refused, with something to say."""
    try:
        return made.check(text)
    except ArgumentsRefused as refused:
        said = str(refused)
    assert "\n- " in said
    assert len(said) < 4_000
    return None


def fits(found: dict[str, Any]) -> bool:
    return (
        set(found) == {"order", "amount", "count", "why"}
        and type(found["order"]) is str
        and type(found["amount"]) in {int, float}
        and type(found["count"]) is int
        and found["why"] in {"late", "broken"}
    )


@given(st.lists(ALPHABET, max_size=60).map("".join) | st.text(max_size=60))
def test_no_text_whatever_reaches_the_function_with_what_it_does_not_take(text: str) -> None:
    found = reaches(refund, text)
    assert found is None or fits(found)


@given(st.integers(min_value=0, max_value=len(json.dumps(VALID)) - 1))
def test_a_text_cut_anywhere_never_reaches_the_function(length: int) -> None:
    assert reaches(refund, json.dumps(VALID)[:length]) is None


@given(st.data())
def test_a_text_with_one_character_changed_is_refused_or_fits(data: st.DataObject) -> None:
    text = json.dumps(VALID)
    place = data.draw(st.integers(min_value=0, max_value=len(text) - 1))
    letter = data.draw(ALPHABET)
    found = reaches(refund, text[:place] + letter + text[place + data.draw(st.integers(0, 1)) :])
    assert found is None or fits(found)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["order", "amount", "count", "why", "other"]), JSON))
def test_json_of_any_shape_is_refused_or_fits(value: dict[str, Any]) -> None:
    found = reaches(refund, json.dumps(value))
    assert found is None or fits(found)
    if found is not None:
        assert found.items() >= value.items()


@given(JSON.filter(lambda value: not isinstance(value, dict)))
def test_what_is_no_object_never_reaches_the_function(value: Any) -> None:
    assert reaches(refund, json.dumps(value)) is None
    assert reaches(ping, json.dumps(value)) is None
