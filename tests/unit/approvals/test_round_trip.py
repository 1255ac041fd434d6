from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentflow.approvals import Field, apply_action, build_form, describe, outcome_of, parse_form, validate
from agentflow.payloads import canonical
from tests.unit.approvals.models import DRAFTS
from tests.unit.approvals.posting import post

# Anything JSON text can carry, with a taste for what browsers and parsers change.
TRICKY = [
    "",
    " ",
    " a ",
    "\n",
    "a\r\nb",
    "a\rb",
    "a\nb\r\nc",
    "\t",
    "é",
    "e\u0301",
    "1",
    "null",
    "true",
    "1,5",
    "\0",
    "\x85",
]
TRICKY += [
    "\u202eabc",
    "a\u200bb",
    "\u2028",
    "\ufeff",
    "/~.[0]",
    "~1",
    "f:/a",
    "{}",
    "\U0001f469\u200d\U0001f680",
    "a" * 200,
]
texts = st.sampled_from(TRICKY) | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
numbers = st.sampled_from([2**53 + 1, -(2**70), 0, -1, 1.0, -0.0, 1e22, 5e-324, 0.1 + 0.2])
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | numbers | texts
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=12
)

Pair = tuple[dict[str, Any], Any]


def exactly(value: Any) -> str:
    """Types and order of lists included: 1, 1.0 and true differ, which canonical JSON may not tell apart."""
    return json.dumps(value, sort_keys=True)


@st.composite
def object_pairs(draw: st.DrawFn, inner: st.SearchStrategy[Pair]) -> Pair:
    members = draw(st.dictionaries(texts, inner, max_size=4))
    names = list(members)
    left_out = draw(st.sets(st.sampled_from(names))) if names else set()
    schema: dict[str, Any] = {"type": "object", "properties": {name: part for name, (part, _) in members.items()}}
    schema["required"] = [name for name in names if name not in left_out and draw(st.booleans())]
    absent = left_out - set(schema["required"])
    return schema, {name: value for name, (_, value) in members.items() if name not in absent}


@st.composite
def map_pairs(draw: st.DrawFn, inner: st.SearchStrategy[Pair]) -> Pair:
    schema, value = draw(inner)
    return {"type": "object", "additionalProperties": schema}, dict.fromkeys(draw(st.lists(texts, max_size=3)), value)


def _array(pair: Pair, count: int) -> Pair:
    return {"type": "array", "items": pair[0]}, [pair[1]] * count


def _tuple(pairs: list[Pair]) -> Pair:
    return {"type": "array", "prefixItems": [one for one, _ in pairs], "items": False}, [one for _, one in pairs]


def _either(pairs: list[Pair], which: int) -> Pair:
    return {"anyOf": [one for one, _ in pairs]}, pairs[which % len(pairs)][1]


def _nullable(pair: Pair, null: bool) -> Pair:
    return {"anyOf": [pair[0], {"type": "null"}]}, None if null else pair[1]


def _wider(inner: st.SearchStrategy[Pair]) -> st.SearchStrategy[Pair]:
    several = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        object_pairs(inner),
        map_pairs(inner),
        st.builds(_array, inner, st.integers(0, 3)),
        st.builds(_tuple, several),
        st.builds(_either, several, st.integers(0, 5)),
        st.builds(_nullable, inner, st.booleans()),
        inner.map(lambda pair: ({"allOf": [pair[0]], "title": "T"}, pair[1])),
    )


leaves = st.one_of(
    texts.map(lambda text: ({"type": "string"}, text)),
    st.integers().map(lambda number: ({"type": "integer"}, number)),
    (numbers | st.floats(allow_nan=False, allow_infinity=False)).map(lambda number: ({"type": "number"}, number)),
    st.booleans().map(lambda flag: ({"type": "boolean"}, flag)),
    (texts | st.none()).map(lambda text: ({"type": ["string", "null"]}, text)),
    st.lists(scalars, min_size=1, max_size=4).map(lambda values: ({"enum": values}, values[-1])),
    scalars.map(lambda value: ({"const": value}, value)),
    anything.map(lambda value: ({}, value)),
    st.datetimes().map(lambda at: ({"type": "string", "format": "date-time"}, at.isoformat())),
    texts.map(lambda text: ({"type": "string", "format": "date"}, text)),
)
pairs = st.recursive(leaves, _wider, max_leaves=8)


def assert_unedited_is_the_same(schema: dict[str, Any], value: Any) -> None:
    form = build_form(schema, value)
    assert form.changes == 0
    parsed = parse_form(schema, value, post(form))
    assert exactly(parsed.value) == exactly(value)
    assert not [problem for problem in parsed.problems if problem.tampered]
    assert set(parsed.problems) == set(validate(schema, value))


@pytest.mark.parametrize("name", DRAFTS)
def test_an_unedited_form_gives_back_exactly_what_it_showed(name: str) -> None:
    described = describe(DRAFTS[name])
    assert validate(described.schema, described.value) == []
    assert_unedited_is_the_same(described.schema, described.value)


@settings(max_examples=300, deadline=None)
@given(pairs)
def test_an_unedited_form_of_any_schema_gives_back_exactly_what_it_showed(pair: Pair) -> None:
    assert_unedited_is_the_same(*pair)


@settings(max_examples=200, deadline=None)
@given(anything)
def test_an_unedited_form_of_plain_data_gives_back_exactly_what_it_showed(value: Any) -> None:
    described = describe(value)
    assert validate(described.schema, value) == []
    assert exactly(described.value) == exactly(value)
    assert_unedited_is_the_same(described.schema, value)


@settings(max_examples=150, deadline=None)
@given(leaves, anything)
def test_a_value_that_does_not_suit_its_schema_survives_its_form(pair: Pair, value: Any) -> None:
    assert_unedited_is_the_same(pair[0], value)


@settings(max_examples=150, deadline=None)
@given(anything)
def test_an_untouched_json_text_gives_back_exactly_what_it_showed(value: Any) -> None:
    schema = describe(value).schema
    text = build_form(schema, value).json_text.replace("\n", "\r\n")
    parsed = parse_form(schema, value, {"json": [text]})
    assert exactly(parsed.value) == exactly(value)
    assert parsed.problems == ()


@settings(max_examples=150, deadline=None)
@given(pairs)
def test_rendering_what_was_typed_shows_the_same_form_again(pair: Pair) -> None:
    schema, value = pair
    form = build_form(schema, value)
    again = build_form(schema, value, submission=post(form))
    assert post(again) == post(form)
    assert again.changes == 0


def live(part: Field) -> Iterator[Field]:
    """The part and what is in it, but for what is null or left out."""
    if part.included and not part.is_null:
        yield part
        for inner in part.children:
            yield from live(inner)


@pytest.mark.parametrize("name", DRAFTS)
def test_adding_a_row_and_removing_it_again_changes_nothing(name: str) -> None:
    described = describe(DRAFTS[name])
    schema, value = described.schema, described.value
    for part in live(build_form(schema, value).root):
        if part.can_add:
            added = apply_action(schema, value, post(build_form(schema, value)), part.add_action)
            assert added.changes > 0
            row = f"{part.path}/+1"
            back = apply_action(schema, value, post(added), f"remove:{row}")
            parsed = parse_form(schema, value, post(back))
            assert outcome_of(value, parsed.value) == "approved", part.path
            assert canonical(parsed.value) == canonical(value)
