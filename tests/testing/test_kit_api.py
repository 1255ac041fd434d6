"""The kit's and the history's public names are what their pages say."""

from __future__ import annotations

from types import ModuleType

import pytest

from agentflow import events, testing
from tests.architecture.api_rules import api_problems


@pytest.mark.parametrize("package", [testing, events], ids=lambda package: package.__name__)
def test_the_page_is_complete_and_explained(package: ModuleType) -> None:
    for name in package.__all__:
        getattr(package, name)
    # Constants come before classes in `events`; ruff sees to the order of both pages.
    assert [one for one in api_problems(package) if "not sorted" not in one] == []


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Harnes'"):
        _ = testing.Harnes
    assert {"Harness", "crash_test"} <= set(dir(testing))
