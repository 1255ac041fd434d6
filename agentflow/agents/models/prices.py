"""What well-known models cost, in US dollars for a million tokens, so that a call's cost can be told and bounded.

The prices are what the providers asked without discounts in November 2026 (for models of 2025 and before: then). They
change without notice, and who has an agreement pays others: `prices=` of a model, or a file that `AGENTFLOW_PRICES`
names, goes before the table. Where no price is known a cost is None, and never 0. Not counted: writing to a provider's
cache, and tools that run at the provider.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agentflow.errors import DefinitionError, InvalidSetting
from agentflow.settings import PRICES_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.usage import Usage

MILLION: Final = Decimal(1_000_000)
_DATED: Final = re.compile(r"(?:[-@](?:\d{4}-\d{2}-\d{2}|\d{8})|-latest)$")
_FIELDS: Final = ("input", "output", "cached")


@dataclass(frozen=True, slots=True, kw_only=True, init=False)
class Price:
    """US dollars for a million tokens: of input, of output, and of input the provider had cached (else as input).

    A request with more input than `long_after` tokens costs what `long` says, all of it. Raises `DefinitionError` for
    what is no price.
    """

    input: Decimal
    output: Decimal
    cached: Decimal
    long_after: int | None
    long: Price | None

    def __init__(
        self,
        *,
        input: Decimal | str | float,
        output: Decimal | str | float,
        cached: Decimal | str | float | None = None,
        long_after: int | None = None,
        long: Price | None = None,
    ) -> None:
        if (long_after is None) != (long is None):
            raise DefinitionError("Price(long_after=…, long=…): one says nothing without the other")
        values = zip(_FIELDS, (input, output, input if cached is None else cached), strict=True)
        for name, value in (*((name, _dollars(name, one)) for name, one in values), ("long_after", long_after)):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "long", long)

    def cost(self, usage: Usage) -> Decimal:
        """What the tokens cost, in US dollars."""
        if self.long is not None and self.long_after is not None and usage.input_tokens > self.long_after:
            return self.long.cost(usage)
        fresh = usage.input_tokens - min(usage.cached_tokens, usage.input_tokens)
        cached = usage.input_tokens - fresh
        return (fresh * self.input + cached * self.cached + usage.output_tokens * self.output) / MILLION


Prices = Mapping[str, Price] | Price
"""One price, or prices by `provider:model`; a `*` in a name stands for anything."""


def price_of(names: Sequence[str], own: Prices | None = None) -> Price | None:
    """The price of a model that goes by these names, the surest first: its own, the environment's, the table's."""
    if isinstance(own, Price):
        return own
    for table in (own or {}, from_environment(), TABLE):
        for name in names:
            found = _found(name, table) or _found(_DATED.sub("", name), table)
            if found is not None:
                return found
    return None


def checked(prices: Any) -> Prices | None:
    """The prices, if they are some. Raises `DefinitionError`."""
    if prices is None or isinstance(prices, Price):
        return prices
    if not isinstance(prices, Mapping) or not all(isinstance(one, Price) for one in prices.values()):
        raise DefinitionError(
            f'prices={prices!r}: wanted Price(input="0.25", cached="0.025", output="2"), '
            'or such prices by model: {"openai:gpt-5*": Price(…)}'
        )
    return prices


def from_environment() -> Mapping[str, Price]:
    """The prices in the file that the environment names; none where it names none. Raises `InvalidSetting`."""
    path = os.environ.get(PRICES_VARIABLE, "").strip()
    return _of_file(path) if path else {}


@cache
def _of_file(path: str) -> Mapping[str, Price]:
    try:
        said = json.loads(Path(path).read_text(encoding="utf-8"), parse_float=Decimal)
        return {str(name): Price(**fields) for name, fields in said.items()}
    except (OSError, ValueError, TypeError, AttributeError, DefinitionError) as error:
        raise InvalidSetting(
            f"{PRICES_VARIABLE}={path!r} cannot be used ({error}); wanted a file of JSON such as "
            '{"openai:gpt-5-mini": {"input": "0.25", "cached": "0.025", "output": "2"}}'
        ) from None


def _found(name: str, table: Mapping[str, Price]) -> Price | None:
    if name in table:
        return table[name]
    fitting = [pattern for pattern in table if "*" in pattern and fnmatchcase(name, pattern)]
    return table[max(fitting, key=len)] if fitting else None


def _dollars(name: str, value: Any) -> Decimal:
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        amount = Decimal("NaN")
    if isinstance(value, bool) or not amount.is_finite() or amount < 0:
        raise DefinitionError(f"Price({name}={value!r}): wanted US dollars for a million tokens, 0 or more")
    return amount


def _price(input: str, cached: str, output: str, *, long_after: int = 0, long: Price | None = None) -> Price:
    return Price(input=input, cached=cached, output=output, long_after=long_after or None, long=long)


def _doubled(input: str, cached: str, output: str) -> Price:
    """As OpenAI prices prompts beyond 272,000 tokens: double the input, and half more of output."""
    taken, kept, given = Decimal(input), Decimal(cached), Decimal(output)
    return _price(
        input,
        cached,
        output,
        long_after=272_000,
        long=Price(input=taken * 2, cached=kept * 2, output=given * Decimal("1.5")),
    )


TABLE: Final[Mapping[str, Price]] = {
    "openai:gpt-6-astra": _doubled("10", "1", "50"),
    "openai:gpt-6-sol": _doubled("2", "0.20", "10"),
    "openai:gpt-6-luna": _doubled("0.10", "0.01", "0.50"),
    "openai:gpt-5.6-terra": _doubled("2", "0.20", "12"),
    "openai:gpt-5.6-luna": _doubled("0.20", "0.02", "1.20"),
    "openai:gpt-5.4": _doubled("2.50", "0.25", "15"),
    "openai:gpt-5.4-mini": _price("0.75", "0.075", "4.50"),
    "openai:gpt-5.1": _price("1.25", "0.125", "10"),
    "openai:gpt-5": _price("1.25", "0.125", "10"),
    "openai:gpt-5-mini": _price("0.25", "0.025", "2"),
    "openai:gpt-5-nano": _price("0.05", "0.005", "0.40"),
    "openai:gpt-4.1": _price("2", "0.50", "8"),
    "openai:gpt-4.1-mini": _price("0.40", "0.10", "1.60"),
    "openai:gpt-4.1-nano": _price("0.10", "0.025", "0.40"),
    "openai:gpt-4o": _price("2.50", "1.25", "10"),
    "openai:gpt-4o-mini": _price("0.15", "0.075", "0.60"),
    "openai:o3": _price("2", "0.50", "8"),
    "openai:o4-mini": _price("1.10", "0.275", "4.40"),
    "anthropic:claude-fable-5-1": _price("10", "0.25", "50"),
    "anthropic:claude-fable-5": _price("10", "1", "50"),
    "anthropic:claude-opus-5-5": _price("4", "0.20", "20"),
    "anthropic:claude-opus-5": _price("5", "0.50", "25"),
    "anthropic:claude-opus-4-8": _price("5", "0.50", "25"),
    "anthropic:claude-opus-4-7": _price("5", "0.50", "25"),
    "anthropic:claude-opus-4-6": _price("5", "0.50", "25"),
    "anthropic:claude-opus-4-5": _price("5", "0.50", "25"),
    "anthropic:claude-opus-4-1": _price("15", "1.50", "75"),
    "anthropic:claude-sonnet-5-5": _price("2", "0.10", "10"),
    "anthropic:claude-sonnet-5": _price("2", "0.20", "10"),
    "anthropic:claude-sonnet-4-6": _price("3", "0.30", "15"),
    "anthropic:claude-sonnet-4-5": _price("3", "0.30", "15"),
    "anthropic:claude-haiku-5-5": _price(
        "0.10", "0.01", "0.50", long_after=100_000, long=_price("0.50", "0.05", "2.50")
    ),
    "anthropic:claude-haiku-4-5": _price("1", "0.10", "5"),
    # Its price in the busy hours of the day; twice that of the others.
    "deepseek:deepseek-flash": _price("0.30", "0.006", "1.20"),
    "deepseek:deepseek-v4-pro": _price("1.32", "0.044", "3.96"),
    "google:gemini-2.5-pro": _price("1.25", "0.125", "10", long_after=200_000, long=_price("2.50", "0.25", "15")),
    "google:gemini-2.5-flash": _price("0.30", "0.03", "2.50"),
    "google:gemini-2.5-flash-lite": _price("0.10", "0.01", "0.40"),
    "groq:openai/gpt-oss-120b": _price("0.15", "0.075", "0.60"),
    "groq:openai/gpt-oss-20b": _price("0.075", "0.0375", "0.30"),
    "groq:llama-3.3-70b-versatile": _price("0.59", "0.59", "0.79"),
    "groq:llama-3.1-8b-instant": _price("0.05", "0.05", "0.08"),
}
