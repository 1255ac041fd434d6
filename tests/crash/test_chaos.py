"""A short storm. `make chaos` has one that rages for ten minutes."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest

from tests.crash.chaos import Storm

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.crash.scenes import Scene

SECONDS = 20


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_in_a_storm_every_run_of_every_kind_ends_as_if_undisturbed(in_memory: Callable[[str], Scene]) -> None:
    seed = int(os.environ.get("AGENTFLOW_TEST_SEED", random.randrange(2**32)))
    print(f"AGENTFLOW_TEST_SEED={seed}")  # noqa: T201  pytest shows it when the test fails
    counts = Storm(in_memory("storm"), random.Random(seed), SECONDS).rage()
    assert counts["runs"] > 20
