"""A step that may run at most once: wherever its process dies, it is not entered again unless a person says so."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.crash.acts import perform
from tests.crash.programs import PAYMENTS, see_through
from tests.crash.scenes import ON_BOTH
from tests.support import ledger

if TYPE_CHECKING:
    from tests.crash.scenes import Scene

pytestmark = ON_BOTH

START, RESULT = 1, 2
"""The two appends of such a step."""


def killed(scene: Scene, point: str) -> None:
    with scene.start(see_through, "pays", {"n": 3}, kill=point) as child:
        assert child.ended() == -signal.SIGKILL


@pytest.mark.parametrize("place", ["before", "inside"])
def test_without_a_recorded_start_it_cannot_have_run_and_runs(place: str, scene: Scene) -> None:
    killed(scene, f"append.{place}=kill@{START}")
    assert ledger.starts(scene.ledger) == {}
    with scene.start(see_through, "pays", {"n": 3}) as child:
        assert child.hear() == "completed"
    assert ledger.starts(scene.ledger) == {"pay#1": 1}
    scene.check(results={"the run": 3})


@pytest.mark.parametrize(
    ("point", "entered"),
    [
        (f"append.after=kill@{START}", 0),
        (f"append.before=kill@{RESULT}", 1),
        (f"append.inside=kill@{RESULT}", 1),
    ],
)
def test_with_a_start_and_no_result_a_person_is_asked(point: str, entered: int, scene: Scene) -> None:
    """Between those two nobody can know whether it had its effect."""
    killed(scene, point)
    for _ in range(2):
        with scene.start(perform, "see_it_need_attention", "pays", 3) as child:
            assert child.ended() == 0
    assert ledger.starts(scene.ledger).total() == entered
    assert "pay#1 was started and its end is not recorded" in scene.database.value("SELECT error FROM agentflow_run")
    scene.check()
    for act in (("resume",), ("see_it_end", "pays", 3)):
        with scene.start(perform, *act) as child:
            assert child.ended() == 0
    assert ledger.starts(scene.ledger).total() == entered + 1
    scene.check(results={"the run": 3})


def test_with_a_recorded_result_it_never_runs_again(scene: Scene) -> None:
    killed(scene, f"append.after=kill@{RESULT}")
    with scene.start(see_through, "pays", {"n": 3}) as child:
        assert child.hear() == "completed"
    assert ledger.starts(scene.ledger) == {"pay#1": 1}
    scene.check(results={"the run": 3})


def test_resuming_for_one_step_in_doubt_does_not_run_another(scene: Scene) -> None:
    """Two were cut off at once; a person is asked about each."""
    with scene.start(see_through, "pays_twice", {"n": 3}, kill=f"append.before=kill@{PAYMENTS * START + 1}") as child:
        assert child.ended() == -signal.SIGKILL
    assert ledger.starts(scene.ledger) == {"gather#1[0]/pay_beside#1": 1, "gather#1[1]/pay_beside#1": 1}
    resumed = 0
    while scene.database.value("SELECT status FROM agentflow_run") != "completed":
        with scene.start(perform, "see_it_rest", "pays_twice", 3) as child:
            assert child.ended() == 0
        assert ledger.starts(scene.ledger).total() <= 2 + resumed
        with scene.start(perform, "resume") as child:
            assert child.ended() == 0
        resumed += 1
    assert resumed > 2
    scene.check(results={"the run": [3, 4]})
