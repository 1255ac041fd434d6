"""What a model is told of a call: its result as text, or what is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from agentflow import Fatal
from agentflow.agents import ToolError, tool
from agentflow.agents.tools.answering import answer_text
from tests.support.tasks import Colour, Invoice


@dataclass
class Line:
    sku: str
    price: Decimal


@tool
async def look(word: str) -> str:
    """Look it up."""
    return word


@tool(on_error="fail", answer_limit=10)
async def strict(word: str) -> str:
    """Look it up."""
    return word


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ("as it is, ü", "as it is, ü"),
        ("", ""),
        (None, "done"),
        (True, "true"),
        (12.5, "12.5"),
        ([1, "ü"], '[1, "ü"]'),
        ({"a": None}, '{"a": null}'),
        (Decimal("1.10"), '"1.10"'),
        (Line("a", Decimal("1.10")), '{"sku": "a", "price": "1.10"}'),
        ([Invoice(number="a")], '[{"number": "a", "total": 0.0}]'),
        (Colour.RED, '"red"'),
        (datetime(2026, 1, 1, tzinfo=UTC), '"2026-01-01T00:00:00Z"'),
    ],
)
def test_texts_are_told_as_they_are_and_other_values_as_json(result: Any, text: str) -> None:
    assert look.answer_text(result) == text


def test_a_long_result_is_cut_with_a_note_of_how_much_is_missing() -> None:
    assert strict.answer_text("x" * 10) == "x" * 10
    assert strict.answer_text("x" * 1_234) == "x" * 10 + "\n… (1,224 of 1,234 characters are left out)"


@pytest.mark.parametrize("result", [b"abc", object(), {"a": b"\xff"}, look])
def test_what_has_no_text_is_refused_and_the_model_knows_that_the_call_was_made(result: Any) -> None:
    with pytest.raises(
        ToolError, match=r"look was called and has ended; its result is .*, which a model cannot be told"
    ):
        answer_text("look", result)


def test_which_errors_a_model_is_told_of() -> None:
    assert look.tells(ToolError("no"))
    assert look.tells(OSError("no"))
    assert not look.tells(Fatal("no"))
    assert strict.tells(ToolError("no"))
    assert not strict.tells(OSError("no"))
    assert not strict.tells(Fatal("no"))


def test_how_a_model_is_told_of_an_error() -> None:
    assert look.failure_text(ToolError("there is no such word")) == "there is no such word"
    assert look.failure_text(ToolError()) == "ToolError"
    assert look.failure_text(OSError("gone")) == "the tool failed: OSError: gone"
    assert len(look.failure_text(OSError("x" * 10_000))) < 2_100
