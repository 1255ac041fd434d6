"""Tools are tried in runs as usual, and replayed at every operation."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from agentflow.testing import Harness

OpenHarness = Callable[..., Harness]


@pytest.fixture(params=["live", "replayed"])
def harness(request: pytest.FixtureRequest, tmp_path: Path) -> OpenHarness:
    """`async with harness(my_task) as h:` opens a harness on a fresh database, in one of these ways."""
    return partial(Harness, path=tmp_path / "runs.db", replay_always=request.param == "replayed")


@pytest.fixture
def live(tmp_path: Path) -> OpenHarness:
    """The same, in the usual way only."""
    return partial(Harness, path=tmp_path / "runs.db")
