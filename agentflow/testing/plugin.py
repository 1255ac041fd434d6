"""The test kit as pytest fixtures. Installed with agentflow, and nothing is imported before a test asks for one."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import pytest

from agentflow import testing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from agentflow.testing import FakeClock, Harness, Reviewer, Scripted, ScriptedModel


@pytest.fixture
def agentflow_clock() -> FakeClock:
    """A clock that stands still; the harnesses of this test share it."""
    return testing.FakeClock()


@pytest.fixture
def agentflow_harness(agentflow_clock: FakeClock, tmp_path: Path) -> Callable[..., Harness]:
    """Makes harnesses on this test's own database and clock, each to be used in an `async with`.

    Called again it opens the same database, as a program does that was started anew.
    """
    return functools.partial(testing.Harness, path=tmp_path / "agentflow.db", clock=agentflow_clock)


@pytest.fixture
def agentflow_reviewer() -> Iterator[Reviewer]:
    """A reviewer without rules; the test adds them, and fails at its end if one was not used."""
    reviewer = testing.Reviewer()
    yield reviewer
    reviewer.check()


@pytest.fixture
def agentflow_scripted() -> Iterator[Callable[..., Scripted]]:
    """Makes scripted functions, each held to its script at the test's end: `agentflow_scripted("ask", ["yes"])`."""
    made: list[Scripted] = []

    def scripted(*args: Any, **options: Any) -> Scripted:
        made.append(testing.Scripted(*args, **options))
        return made[-1]

    yield scripted
    for one in made:
        one.check()


@pytest.fixture
def agentflow_model() -> Iterator[Callable[..., ScriptedModel]]:
    """Makes scripted models, each held to its script at the test's end: `agentflow_model().says("Done.")`."""
    made: list[ScriptedModel] = []

    def model(*args: Any, **options: Any) -> ScriptedModel:
        made.append(testing.ScriptedModel(*args, **options))
        return made[-1]

    yield model
    for one in made:
        one.check()


@pytest.fixture
def agentflow_crash_test(tmp_path: Path) -> Callable[..., Any]:
    """What `crash_test` is, with its databases in this test's own folder."""
    return functools.partial(testing.crash_test, folder=tmp_path)
