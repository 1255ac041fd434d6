"""What a call of a language model used: tokens, and money where the price is known."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

NANO: Final = Decimal("0.000000001")
"""Money is stored in whole billionths of a US dollar: a token of a small model costs less than a millionth."""
_COUNTS: Final = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one call used. `model` is `provider:model`; `cost` is in US dollars, None where no price is known.

    `input_tokens` are all that went in, the `cached_tokens` among them; `output_tokens` all that came out, the
    `reasoning_tokens` among them. Raises `ValueError` for a negative or fractional count, or a negative cost.
    """

    model: str
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cost: Decimal | None = None

    def __post_init__(self) -> None:
        for name in _COUNTS:
            count = getattr(self, name)
            if isinstance(count, bool) or not isinstance(count, int) or count < 0:
                raise ValueError(f"Usage({name}={count!r}): wanted a whole number, 0 or more")
        if self.cost is not None and not (isinstance(self.cost, Decimal) and self.cost.is_finite() and self.cost >= 0):
            raise ValueError(f"Usage(cost={self.cost!r}): wanted a Decimal of US dollars, 0 or more, or None")

    @property
    def tokens(self) -> int:
        """Tokens in and out together."""
        return self.input_tokens + self.output_tokens


def to_nanos(cost: Decimal) -> int:
    """US dollars as whole billionths, rounded up: what is spent is never counted for less."""
    nanos = cost / NANO
    whole = int(nanos)
    return whole if whole == nanos else whole + 1


def from_nanos(nanos: int) -> Decimal:
    """Billionths as US dollars."""
    return nanos * NANO
