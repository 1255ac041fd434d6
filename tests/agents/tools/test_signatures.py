"""What a model is told of a function: its schema and its description; and which functions are refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from agentflow import step
from agentflow.agents import Tool, ToolContext, tool
from agentflow.agents.tools.docstrings import described
from agentflow.errors import DefinitionError


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Address(BaseModel):
    street: str
    country: str = "DE"


@dataclass
class Item:
    sku: str
    count: Annotated[int, Field(ge=1, description="How many.")] = 1


class Opaque:
    pass


def properties(made: Tool[..., Any]) -> dict[str, Any]:
    return dict(made.schema["properties"])


def test_a_function_s_name_docstring_and_types_are_what_a_model_is_told() -> None:
    @tool
    async def order(
        sku: str,
        count: Annotated[int, Field(ge=1, le=9, description="How many, at most nine.")],
        *,
        price: Annotated[Decimal, Field(gt=0)],
        colour: Colour = Colour.RED,
        size: Literal["s", "l"] = "s",
        when: datetime | None = None,
    ) -> str:
        """Order something.

        It is sent the same day.

        Args:
            sku (str): What is
                ordered.
            count: Overridden by the annotation.
        """
        return sku

    assert order.spec.name == "order"
    assert order.spec.description == "Order something.\n\nIt is sent the same day."
    assert order.schema == {
        "type": "object",
        "properties": {
            "sku": {"type": "string", "description": "What is ordered."},
            "count": {"type": "integer", "minimum": 1, "maximum": 9, "description": "How many, at most nine."},
            "price": {"type": "number", "exclusiveMinimum": 0.0},
            "colour": {"$ref": "#/$defs/Colour", "default": "red"},
            "size": {"enum": ["s", "l"], "type": "string", "default": "s"},
            "when": {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}], "default": None},
        },
        "required": ["sku", "count", "price"],
        "additionalProperties": False,
        "$defs": {"Colour": {"enum": ["red", "blue"], "title": "Colour", "type": "string"}},
    }


def test_objects_are_closed_also_further_in_and_their_definitions_are_kept() -> None:
    @tool
    def ship(to: Address, items: list[Item], on: date) -> None:
        """Ship items."""

    assert properties(ship)["items"]["items"] == {"$ref": "#/$defs/Item"}
    definitions = ship.schema["$defs"]
    assert definitions["Address"]["additionalProperties"] is False
    assert definitions["Item"]["additionalProperties"] is False
    assert definitions["Item"]["properties"]["count"]["description"] == "How many."


def test_a_tool_of_no_arguments_has_an_empty_closed_object() -> None:
    @tool
    def ping() -> str:
        """Say that all is well."""
        return "pong"

    assert ping.schema == {"type": "object", "properties": {}, "additionalProperties": False}


GOOGLE = """Find customers.

Args:
    name (str, optional): The name,
        or a part of it.
    *limit: How many.

Raises:
    KeyError: never
"""
NUMPY = """Find customers.

Parameters
----------
name : str
    The name,
    or a part of it.
limit
    How many.

Returns
-------
list
"""
SPHINX = """Find customers.

:param str name: The name,
    or a part of it.
:param limit: How many.
:type limit: int
:returns: some
"""


@pytest.mark.parametrize("docstring", [GOOGLE, NUMPY, SPHINX], ids=["google", "numpy", "sphinx"])
def test_the_three_styles_of_docstrings_say_the_same(docstring: str) -> None:
    found = described(docstring)
    assert found.text == "Find customers."
    assert found.parameters == {"name": "The name, or a part of it.", "limit": "How many."}


def test_a_line_that_ends_in_a_colon_is_part_of_the_description() -> None:
    found = described("Answer these questions:\n\n- one\n- two: or so")
    assert found.text == "Answer these questions:\n\n- one\n- two: or so"
    assert found.parameters == {}


def test_a_name_and_a_description_may_be_given() -> None:
    @tool(name="look-up", description="Look it up.")
    def look(word: str) -> str:
        return word

    assert (look.name, look.description) == ("look-up", "Look it up.")


# -- refused


def without_annotation(order, amount: int) -> str:  # type: ignore[no-untyped-def]
    """Refund."""


def opaque(thing: Opaque) -> str:
    """Do something with it."""
    return ""


def undescribed(word: str) -> str:
    return word


def variadic(*words: str) -> str:
    """Say it."""
    return ""


def by_name(**words: str) -> str:
    """Say it."""
    return ""


def positional(word: str, /) -> str:
    """Say it."""
    return word


def in_bytes(word: str) -> bytes:
    """Say it."""
    return word.encode()


def with_field(count: int = Field(default=1, ge=1)) -> str:
    """Count."""
    return ""


def with_wrong_default(count: int = "one") -> str:  # type: ignore[assignment]
    """Count."""
    return ""


LIVE = Opaque()


def with_live_default(count: Any = LIVE) -> str:
    """Count."""
    return ""


async def generating(word: str) -> AsyncIterator[str]:
    """Say it bit by bit."""
    yield word


@step
async def stepped(word: str) -> str:
    """Say it."""
    return word


class Desk:
    def method(self, word: str) -> str:
        """Say it."""
        return word


REFUSED = {
    without_annotation: r"parameter 'order' has no annotation; write its type, such as `order: str`",
    opaque: r"parameter 'thing' is a Opaque, which has no JSON form",
    undescribed: r"'undescribed' has no description, .* give it a docstring, or description=",
    variadic: r"takes \*words: a model is told each argument by name",
    by_name: r"takes \*\*words",
    positional: r"by position only",
    in_bytes: r"returns bytes, which no model can be told",
    with_field: r"'count' has Field\(…\) for a default; write Annotated",
    with_wrong_default: r"the default of 'count' does not fit its own type .*None",
    with_live_default: r"the default of 'count' does not fit",
    generating: r"is a generator: a tool gives one result",
    stepped: r"records itself: make a task a tool with as_tool\(…\), and write @tool instead of @step",
    Desk.method: r"make the tool of the method of an object",
    (lambda: 1): r"'<lambda>' is no name for a tool .*name=",
}


@pytest.mark.parametrize("function", REFUSED, ids=lambda one: one.__name__)
def test_what_no_model_could_call_is_refused_when_it_is_defined(function: Any) -> None:
    with pytest.raises(DefinitionError, match=REFUSED[function]):
        tool(function)


@pytest.mark.parametrize("name", ["", "a b", "größe", "x" * 65, "a/b", "a.b"])
def test_a_name_that_a_provider_would_not_take_is_refused(name: str) -> None:
    with pytest.raises(DefinitionError, match="name"):
        tool(name=name or " ", description="Do it.")(lambda: "x")


def test_the_method_of_an_object_is_a_tool() -> None:
    made = tool(Desk().method)
    assert made.schema["required"] == ["word"]


def test_what_is_injected_is_not_in_the_schema() -> None:
    @tool
    def look(word: str, ctx: ToolContext[Opaque]) -> str:
        """Look it up."""
        return word

    assert list(properties(look)) == ["word"]


# -- options


def of_word(word: str) -> None: ...


def of_nothing() -> bool:
    return True


def of_two(word: str, other: str) -> bool:
    return word == other


BAD_OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"effect": "dangerous"}, "wanted one of 'read', 'idempotent', 'compensable', 'irreversible'"),
    ({"effect": "compensable"}, "compensable and nothing says how: give undo="),
    ({"effect": "read", "undo": of_word}, "has undo= and is read"),
    ({"effect": "read", "lookup": of_word}, "has lookup= and is read"),
    ({"undo": of_two}, "undo=.* is called with the arguments of"),
    ({"lookup": of_nothing}, "lookup=.* is called with the arguments of"),
    ({"needs_approval": "yes"}, "wanted True, a rule"),
    ({"needs_approval": of_nothing}, "is called with one thing, the arguments by name"),
    ({"needs_approval": of_two}, "is called with one thing"),
    ({"rate": "often"}, "rate=: found 'often' for a rate"),
    ({"rate_key": "crm"}, "has rate_key= and no rate="),
    ({"on_error": "ignore"}, "wanted 'tell' .* or 'fail'"),
    ({"timeout": 0}, "wanted a span longer than nothing"),
    ({"retry": 3}, "wanted a Retry"),
    ({"answer_limit": 0}, "wanted a number of characters"),
    ({"effects": "read"}, "has no option effects; there is effect"),
]


@pytest.mark.parametrize(("options", "said"), BAD_OPTIONS, ids=[said[:40] for _, said in BAD_OPTIONS])
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(DefinitionError, match=said):

        @tool(**options)
        def look(word: str) -> str:
            """Look it up."""
            return word


def test_the_effect_follows_from_the_other_options() -> None:
    def made(**options: Any) -> str:
        @tool(**options)
        def look(word: str) -> str:
            """Look it up."""
            return word

        return look.effect

    assert made() == "idempotent"
    assert made(needs_approval=True) == "irreversible"
    assert made(undo=of_word) == "compensable"
    assert made(lookup=of_word) == "irreversible"
    assert made(effect="read", needs_approval=True) == "read"
