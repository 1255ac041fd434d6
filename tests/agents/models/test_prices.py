"""What calls cost: by the table, by prices of one's own, and not at all where nothing is known."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from agentflow.agents.models import Price, model
from agentflow.agents.models.known import PROVIDERS
from agentflow.agents.models.prices import TABLE, price_of
from agentflow.errors import DefinitionError, InvalidSetting
from agentflow.settings import PRICES_VARIABLE
from agentflow.usage import Usage
from tests.agents.models.asking import ANSWER, HELLO, answering

MILLION = 1_000_000


@pytest.fixture(autouse=True)
def _no_prices_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PRICES_VARIABLE, raising=False)


async def cost(name: str = "openai:gpt-5-mini", answer: dict[str, Any] = ANSWER, **options: Any) -> Decimal | None:
    return (await answering(answer).model(name, **options).reply(HELLO)).usage.cost


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"input_tokens": MILLION}, "2"),
        ({"output_tokens": MILLION}, "8"),
        ({"input_tokens": MILLION, "cached_tokens": MILLION}, "0.5"),
        ({"input_tokens": 3, "cached_tokens": 1, "output_tokens": 1}, "0.0000125"),
        ({}, "0"),
    ],
)
def test_a_cost_is_exact(usage: dict[str, int], expected: str) -> None:
    price = Price(input="2", cached="0.5", output="8")
    assert price.cost(Usage(model="m", **usage)) == Decimal(expected)


def test_a_long_request_costs_what_long_ones_do_all_of_it() -> None:
    price = Price(input=1, output=1, long_after=100, long=Price(input=2, output=3))
    assert price.cost(Usage(model="m", input_tokens=100)) == Decimal("0.0001")
    assert price.cost(Usage(model="m", input_tokens=101, output_tokens=1)) == Decimal("0.000205")


def test_without_a_price_for_cached_input_it_costs_what_input_does() -> None:
    assert Price(input="2", output="8").cached == Decimal(2)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"input": "-1", "output": 1}, "input='-1'"),
        ({"input": 1, "output": "dear"}, "output='dear'"),
        ({"input": 1, "output": float("nan")}, "output=nan"),
        ({"input": True, "output": 1}, "input=True"),
        ({"input": 1, "output": 1, "long_after": 5}, "one says nothing without the other"),
    ],
)
def test_what_is_no_price_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(DefinitionError, match=said):
        Price(**fields)


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("openai:gpt-5-mini-2025-08-07", "openai:gpt-5-mini"),
        ("anthropic:claude-sonnet-4-5-20250929", "anthropic:claude-sonnet-4-5"),
        ("anthropic:claude-haiku-4-5@20251001", "anthropic:claude-haiku-4-5"),
        ("openai:gpt-4o-latest", "openai:gpt-4o"),
    ],
)
def test_a_dated_name_costs_what_the_model_does(name: str, like: str) -> None:
    assert price_of([name]) == TABLE[like]


@pytest.mark.parametrize("name", ["openai:gpt-5-mini-turbo", "openai:gpt-9", "ollama:llama3", "groq:gpt-5"])
def test_a_model_that_is_only_like_another_has_no_price(name: str) -> None:
    assert price_of([name]) is None


def test_the_table_names_known_providers_only_and_output_never_costs_less_than_what_was_cached() -> None:
    assert {name.partition(":")[0] for name in TABLE} <= set(PROVIDERS)
    assert [name for name, one in TABLE.items() if not one.cached <= one.input <= one.output] == []


async def test_a_reply_is_priced_by_the_table() -> None:
    assert await cost() == Decimal("0.00065")  # 1,000 x 0.25 and 200 x 2, per million


async def test_a_model_behind_another_name_is_priced_by_the_one_that_answered() -> None:
    own = {"base_url": "https://r.example"}
    assert await cost("azure:our-deployment", **own) == Decimal("0.00065")
    assert await cost("lmstudio:whatever") is None


async def test_prices_of_ones_own_go_first() -> None:
    dear = Price(input="1000", output=0)
    assert await cost(prices=dear) == 1
    assert await cost(prices={"openai:gpt-5-mini": dear}) == 1
    assert await cost(prices={"openai:*": Price(input=0, output=0), "openai:gpt-5*": dear}) == 1
    assert await cost(prices={"groq:*": dear}) == Decimal("0.00065")
    assert await cost("ollama:mine", prices={"ollama:mine": Price(input=0, output=0)}) == 0


async def test_prices_come_from_a_file_that_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "prices.json"
    path.write_text(json.dumps({"ollama:*": {"input": 0.1, "output": "0"}}), encoding="utf-8")
    monkeypatch.setenv(PRICES_VARIABLE, str(path))
    assert await cost("ollama:mine") == Decimal("0.0001")
    assert await cost() == Decimal("0.00065")
    assert await cost("ollama:mine", prices={"ollama:*": Price(input=1, output=1)}) == Decimal("0.0012")


@pytest.mark.parametrize("content", ["", "[]", '{"a": 1}', '{"a": {"input": 1}}', '{"a": {"input": -1, "output": 1}}'])
def test_a_file_of_prices_that_cannot_be_read_is_told_when_the_model_is_required(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"{abs(hash(content))}.json"
    path.write_text(content, encoding="utf-8")
    monkeypatch.setenv(PRICES_VARIABLE, str(path))
    with pytest.raises(InvalidSetting, match=r"AGENTFLOW_PRICES=.* cannot be used .*; wanted a file of JSON"):
        model("openai:gpt-5", key="k").require()  # type: ignore[attr-defined]  a model over the network has it


async def test_a_provider_that_says_what_it_charged_is_believed() -> None:
    charged = ANSWER | {"usage": ANSWER["usage"] | {"cost": 0.5}}
    assert await cost("openrouter:openai/gpt-5-mini", charged) == Decimal("0.5")


async def test_where_no_usage_is_told_no_cost_is_known_and_not_nothing() -> None:
    assert await cost(answer=ANSWER | {"usage": None}) is None
