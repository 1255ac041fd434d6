from __future__ import annotations

import json
import math
from datetime import timedelta
from enum import StrEnum
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from agentflow.payloads import canonical, decode, encode, from_json, preview, readable, record, to_json


class Kind(StrEnum):
    A = "a"


class Node(BaseModel):
    name: str
    kind: Kind = Kind.A
    extra: Any = None
    children: list[Node] = []


any_text = st.text(st.characters(codec=None, exclude_categories=()), max_size=8)
atoms = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), any_text, st.binary(max_size=8),
    st.dates(), st.datetimes(timezones=st.none() | st.timezones()), st.times(), st.timedeltas(), st.uuids(),
    st.decimals(allow_nan=False), st.complex_numbers(allow_nan=False),
    st.sampled_from(["$", "$object", "\ud83d", "\ude00"]),
)  # fmt: skip
hashable = st.recursive(atoms, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=4)
values = st.recursive(
    atoms,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4)
    | st.dictionaries(hashable, inner, max_size=3) | st.tuples(inner, inner) | st.sets(hashable, max_size=3),
    max_leaves=12,
)  # fmt: skip
nodes = st.recursive(
    st.builds(Node, name=any_text, extra=values),
    lambda inner: st.builds(Node, name=any_text, extra=values, children=st.lists(inner, max_size=2)),
    max_leaves=3,
)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


def types_in(value: Any) -> Any:
    """What `==` does not compare: the types all the way down."""
    if isinstance(value, dict):
        return [dict, *((types_in(key), types_in(item)) for key, item in value.items())]
    if isinstance(value, (list, tuple)):
        return [type(value), *map(types_in, value)]
    if isinstance(value, (set, frozenset)):
        return [type(value), sorted(repr(types_in(item)) for item in value)]
    return type(value), math.copysign(1, value) if isinstance(value, float) else None


@given(values)
def test_every_value_comes_back_with_its_types(value):
    text = encode(value)
    text.encode()
    assert "\0" not in text
    again = decode(text)
    assert again == value
    assert types_in(again) == types_in(value)
    assert encode(again) == text


@given(values)
def test_recording_what_was_recorded_changes_nothing(value):
    text, seen = record(value)
    assert record(seen) == (text, value)


@given(nodes)
def test_every_model_comes_back_by_its_annotation(node):
    text, seen = record(node, Node)
    assert seen == node
    assert seen.model_fields_set == node.model_fields_set
    assert record(seen, Node)[0] == text


@given(
    values, st.sampled_from([int, str, float, list[int], dict[str, str], set[int], tuple[int, ...], timedelta, Node])
)
def test_no_annotation_changes_what_a_replay_sees(value, annotation):
    text, seen = record(value, annotation)
    again = decode(text, annotation)
    assert seen == again == value
    assert types_in(seen) == types_in(again) == types_in(value)
    assert record(seen, annotation)[0] == text


@given(plain)
def test_plain_json_stays_as_it_is_for_people(value):
    assert to_json(value) == value == from_json(value)


@given(plain)
def test_a_canonical_text_is_a_fixed_point(value):
    text = canonical(value)
    assert canonical(json.loads(text)) == text


@given(values)
def test_previews_and_pages_always_have_plain_json(value):
    canonical(preview(value))
    canonical(readable(encode(value)))
