"""Schemas as providers bind models to them."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from agentflow.agents.models.schemas import format_schema, output_schema


class Line(BaseModel):
    """A line of an order."""

    name: str
    amount: Annotated[int, Field(ge=1, le=9, description="How many.")] = 1


class Order(BaseModel):
    lines: Annotated[list[Line], Field(min_length=1)]
    first: Annotated[Line, Field(description="The first of them.")]
    status: Literal["open", "paid"] = "open"
    due: date | None = None


class Tree(BaseModel):
    children: list[Tree] = []


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


class Owner(BaseModel):
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]


def keys_in(node: Any) -> set[str]:
    """Every keyword of a schema; the names of properties and definitions are none."""
    if isinstance(node, list):
        return set().union(*map(keys_in, node)) if node else set()
    if not isinstance(node, dict):
        return set()
    within = [list(one.values()) if key in {"properties", "$defs"} else one for key, one in node.items()]
    return set(node).union(*map(keys_in, within))


def test_every_property_is_required_and_nothing_else_allowed() -> None:
    schema, is_strict = output_schema(Order.model_json_schema())

    assert is_strict
    assert schema["required"] == ["lines", "first", "status", "due"]
    line = schema["$defs"]["Line"]
    assert (line["required"], line["additionalProperties"]) == (["name", "amount"], False)
    assert line["properties"]["amount"]["minimum"] == 1
    assert "default" not in keys_in(schema)
    assert schema["properties"]["first"] == {"anyOf": [{"$ref": "#/$defs/Line"}], "description": "The first of them."}


def test_limits_that_cannot_be_bound_are_told_in_words() -> None:
    schema = format_schema(Order.model_json_schema())

    assert schema is not None
    assert not {"minimum", "maximum", "minItems", "default"} & keys_in(schema)
    assert schema["$defs"]["Line"]["properties"]["amount"]["description"] == "How many. (maximum: 9, minimum: 1)"
    assert schema["$defs"]["Line"]["required"] == ["name"]
    assert schema["properties"]["lines"]["description"] == "(minItems: 1)"


def test_one_of_several_becomes_any_of_them() -> None:
    for schema in (output_schema(Owner.model_json_schema())[0], format_schema(Owner.model_json_schema())):
        assert schema is not None
        assert len(schema["properties"]["pet"]["anyOf"]) == 2
        assert not {"oneOf", "discriminator"} & keys_in(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "additionalProperties": {"type": "integer"}},
        {"type": "object", "properties": {"a": {}}},
        {"type": "object", "properties": {"a": True}},
        {"type": "object", "properties": {"a": {"type": "object"}}},
        {"type": "object", "properties": {"a": {"type": "array"}}},
        {"type": "object", "properties": {"a": {"type": "array", "prefixItems": [{"type": "integer"}]}}},
        {"type": "object", "properties": {"a": {"type": "string", "not": {"const": "x"}}}},
        {"type": "array", "items": {"type": "string"}},
        {"anyOf": [{"type": "object", "properties": {}}]},
        {},
    ],
    ids=str,
)
def test_what_cannot_be_bound_is_left_as_it_is(schema: dict[str, Any]) -> None:
    assert output_schema(schema) == (schema, False)
    assert format_schema(schema) is None


def test_what_comes_back_to_itself_is_bound_where_that_can_be() -> None:
    schema = {
        "type": "object",
        "properties": {"tree": {"$ref": "#/$defs/Tree"}},
        "$defs": Tree.model_json_schema()["$defs"],
    }

    assert output_schema(schema)[1]
    assert format_schema(schema) is None


def test_the_schema_that_was_given_is_not_touched() -> None:
    given = Order.model_json_schema()

    output_schema(given)
    format_schema(given)

    assert given == Order.model_json_schema()
