"""The public API is what the packages' `__init__` pages say."""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import ModuleType

import agentflow
from tests.architecture.api_rules import api_problems


def test_the_public_api_is_one_sorted_complete_and_documented_page() -> None:
    assert api_problems(agentflow) == []


def test_what_the_page_lacks_is_named() -> None:
    page = ModuleType("page", "About `LIMIT` only.")

    @dataclass
    class Bare: ...

    class Told:
        """A class with a word to say."""

    class Child(Told): ...

    page.__dict__.update(Bare=Bare, Told=Told, Child=Child, LIMIT=3, OTHER=4, hidden=Told, json=json)
    page.__all__ = ["Told", "Bare", "Child", "Gone", "LIMIT", "LIMIT", "OTHER"]
    assert api_problems(page) == [
        "page.__all__ is not sorted",
        "hidden is public but not in __all__",
        "LIMIT is in __all__ twice",
        *(f"{name} has no docstring, and the package's does not mention it" for name in ("Bare", "Child")),
        "Gone is in __all__ and does not exist",
        "OTHER has no docstring, and the package's does not mention it",
    ]
