"""`kill -9` at every journal append of a twenty-step task: before, inside and after its transaction."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.crash.programs import see_through
from tests.crash.scenes import ON_BOTH
from tests.support import ledger

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.crash.scenes import Scene

pytestmark = ON_BOTH

STEPS = 20
SEED = 5
UNDISTURBED = SEED + sum(number * number for number in range(STEPS))
KEYS = [f"add#{number}" for number in range(1, STEPS + 1)]
ONE_RUN = ("twenty_steps", {"seed": SEED})


def killed_and_restarted(scene: Scene, place: str, number: int) -> None:
    with scene.start(see_through, *ONE_RUN, kill=f"append.{place}=kill@{number}") as first:
        assert first.ended() == -signal.SIGKILL, "it was to be killed at this append"
    recorded = scene.database.value("SELECT count(*) FROM agentflow_journal WHERE kind = 'succeeded'")
    assert recorded == (number if place == "after" else number - 1)
    with scene.start(see_through, *ONE_RUN) as second:
        assert second.hear() == "completed"
        assert second.ended() == 0
    seen = scene.check(results={"the run": UNDISTURBED})
    assert seen["runs"] == 1
    cut_off = set() if place == "after" else {f"add#{number}"}
    assert ledger.starts(scene.ledger) == {key: 2 if key in cut_off else 1 for key in KEYS}


@pytest.mark.parametrize("place", ["before", "inside", "after"])
def test_killed_at_any_append_the_run_goes_on_as_if_undisturbed(
    place: str, kind: str, new_scene: Callable[[str], Scene]
) -> None:
    """Each step whose result was recorded ran once; the one that was cut off ran twice."""
    with ThreadPoolExecutor(2) as two:
        numbers = range(1, STEPS + 1, 1 if kind == "sqlite" else 5)
        list(two.map(lambda number: killed_and_restarted(new_scene(str(number)), place, number), numbers))


def test_those_are_all_appends_there_are(scene: Scene) -> None:
    with scene.start(see_through, *ONE_RUN, kill=f"append.before=kill@{STEPS + 1}") as child:
        assert child.hear() == "completed"
        assert child.ended() == 0
    scene.check(results={"the run": UNDISTURBED})


def test_a_run_whose_every_worker_dies_after_one_append_still_ends(scene: Scene) -> None:
    deaths = 0
    while True:
        with scene.start(see_through, *ONE_RUN, kill="append.after=kill") as child:
            if child.ended() == 0:
                break
        deaths += 1
    assert deaths == STEPS
    scene.check(results={"the run": UNDISTURBED})
    assert ledger.starts(scene.ledger) == dict.fromkeys(KEYS, 1)
    assert scene.database.value("SELECT epoch FROM agentflow_run") == STEPS + 1
