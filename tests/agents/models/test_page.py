"""The page about models names every provider, option and variable there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentflow.agents.models.known import PROVIDERS
from agentflow.agents.models.options import Options
from agentflow.agents.models.providers import Provider
from agentflow.settings import PRICES_VARIABLE

PAGE = (Path(__file__).parents[3] / "docs" / "models.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("one", PROVIDERS.values(), ids=lambda one: one.name)
def test_each_provider_is_on_the_page_as_it_is(one: Provider) -> None:
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{one.name}` |")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert f"`{one.key_variable}`" in cells[1]
    assert ("if it asks" in cells[1]) is not one.needs_key
    assert cells[2] == "the same" or f"`{one.base_url_variable}`" in cells[2]
    assert not one.base_url or cells[2] == "the same" or f"`{one.base_url}`" in cells[2]
    wires = {"chat_completions": "Chat Completions", "responses": "Responses", "anthropic": "Messages"}
    assert cells[3] == wires[str(one.wire)]


def test_each_option_and_variable_is_on_the_page() -> None:
    table = PAGE[PAGE.index("## What may be said") : PAGE.index("## When a call fails")]
    assert [name for name in Options.__dataclass_fields__ if f"`{name}`" not in table] == []
    assert PRICES_VARIABLE in PAGE
