"""`kill -9` around whatever comes from outside: it is stored and its run goes on, or nobody has heard of it."""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.crash.outside import perform
from tests.crash.scenes import ON_BOTH

if TYPE_CHECKING:
    from tests.crash.scenes import Scene

pytestmark = ON_BOTH

ANSWERED = "SELECT count(*) FROM agentflow_journal WHERE kind = 'wait_resolved' AND operation = '{}'"
OPERATION = "SELECT count(*) FROM agentflow_journal WHERE kind = 'succeeded' AND operation = '{}'"
EVENT = "SELECT count(*) FROM agentflow_event WHERE name = '{}'"
ORDER = ("park", "say_line", "say_go", "complete", "end")
"""What happens in an undisturbed run, in the order in which it does."""


@dataclass(frozen=True, slots=True)
class Case:
    """A verb, the act that is killed in it, and counts that are 0 without the verb and 1 with it."""

    verb: str
    act: str
    together: tuple[str, ...]


CASES = {
    "an event that is waited for": Case("send_event", "say_go", (EVENT.format("go"), ANSWERED.format("event"))),
    "an event that nobody waits for": Case("send_event", "say_line", (EVENT.format("line"),)),
    "an event that a run sends": Case("send_event", "end", (EVENT.format("heard"),)),
    "a callback that is made": Case(
        "create_callback", "park", ("SELECT count(*) FROM agentflow_callback", OPERATION.format("callback"))
    ),
    "a callback that is completed": Case(
        "resolve_callback",
        "complete",
        ("SELECT count(*) FROM agentflow_callback WHERE status = 'completed'", ANSWERED.format("callback")),
    ),
    "a callback that is kept alive": Case(
        "beat_callback", "beat", ("SELECT count(*) FROM agentflow_callback WHERE details IS NOT NULL",)
    ),
    "messages that are taken": Case(
        "receive_events", "end", ("SELECT count(*) FROM agentflow_cursor", OPERATION.format("receive"))
    ),
}


def play(scene: Scene, act: str, kill: str = "") -> int:
    with scene.start(perform, act, str(scene.folder / "token"), kill=kill) as child:
        return child.ended()


@pytest.mark.parametrize("place", ["before", "inside", "after"])
@pytest.mark.parametrize("name", CASES)
def test_killed_around_an_answer_the_run_ends_as_it_would_have(name: str, place: str, scene: Scene) -> None:
    case = CASES[name]
    order = [act for act in ORDER if act != case.act] if case.act == "beat" else list(ORDER)
    at = 1 if case.act == "beat" else order.index(case.act)
    for act in order[:at]:
        assert play(scene, act) == 0
    assert [scene.database.value(one) for one in case.together] == [0] * len(case.together)

    assert play(scene, case.act, f"{case.verb}.{place}=kill") == -signal.SIGKILL

    happened = [scene.database.value(one) for one in case.together]
    assert happened == [int(place == "after")] * len(happened)
    for act in [case.act, *order[at:]]:
        assert play(scene, act) == 0
    seen = scene.check(results={"the run": ["gone", "done", "a line"]})
    assert seen["runs"] == 1
    assert {one: scene.database.value(EVENT.format(one)) for one in ("go", "line", "heard")} == {
        "go": 1,
        "line": 1,
        "heard": 1,
    }
    assert json.loads(scene.database.value("SELECT payload FROM agentflow_event WHERE name = 'heard'")) == ["a line"]
    assert scene.database.value("SELECT count(*) FROM agentflow_callback") == 1
