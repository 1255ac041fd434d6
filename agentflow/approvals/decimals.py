"""Decimals travel as text, so that no digit is lost; their bounds are checked as numbers all the same."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_WRITTEN: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)


def is_decimal(text: str) -> bool:
    """Whether the text is a finite decimal number, written with a point and without separators."""
    return _WRITTEN.fullmatch(text) is not None


def _fits_digits(number: Decimal, most: Decimal) -> bool:
    return len(number.normalize().as_tuple().digits) <= most


def _fits_places(number: Decimal, most: Decimal) -> bool:
    exponent = number.normalize().as_tuple().exponent
    return isinstance(exponent, int) and -exponent <= most


DECIMAL_BOUNDS: Final[Mapping[str, tuple[str, Callable[[Decimal, Decimal], bool]]]] = {
    "ge": ("at least {}", lambda number, bound: number >= bound),
    "gt": ("more than {}", lambda number, bound: number > bound),
    "le": ("at most {}", lambda number, bound: number <= bound),
    "lt": ("less than {}", lambda number, bound: number < bound),
    "multiple_of": ("a multiple of {}", lambda number, bound: number % bound == 0),
    "max_digits": ("a number of at most {} digits", _fits_digits),
    "decimal_places": ("a number of at most {} decimal places", _fits_places),
}
"""The bounds of a decimal by pydantic's names: how they are said, and how they are held."""


def broken_bounds(text: str, bounds: Mapping[str, str]) -> list[str]:
    """The bounds that a written decimal does not keep, as words that follow "must be"."""
    number = Decimal(text)
    broken = []
    for word, bound in bounds.items():
        said, holds = DECIMAL_BOUNDS[word]
        if not holds(number, Decimal(bound)):
            broken.append(said.format(bound))
    return broken
