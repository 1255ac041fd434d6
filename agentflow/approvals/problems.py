"""What is wrong with a value, at one place of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong at one place of a value, in words that follow its label: "must be a number; found 'abc'"."""

    pointer: str
    message: str
    found: str = ""
    wanted: str = ""
    tampered: bool = False
    """True when no honest form can have caused it: a locked or unknown field was sent."""
