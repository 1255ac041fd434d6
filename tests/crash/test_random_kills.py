"""Whoever is at work is killed at random, again and again: workers, and those who trigger and decide."""

from __future__ import annotations

import os
import random
import signal
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.crash.programs import call_and_decide, mixed_result, work
from tests.crash.scenes import ON_BOTH
from tests.support.processes import first_ended

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.crash.scenes import Scene
    from tests.support.processes import Child

pytestmark = ON_BOTH

LONG = "AGENTFLOW_TEST_LONG"
ROUNDS, RUNS, WORKERS = (200, 50, 3) if os.environ.get(LONG) else (20, 20, 2)
KILLS = 2 * WORKERS + 1
WORKING = ("claim", "append", "park", "finish", "trigger_child", "open_waits", "register_worker", "bury", "sweep")
CALLING = ("trigger", "decide")
PLACES = ("before", "inside", "after")
SOME_TURNS = 3


@dataclass(slots=True)
class Round:
    """Some runs, and the processes that bring them to an end although `kills` of them are killed."""

    scene: Scene
    chance: random.Random
    numbers: list[int]
    running: ExitStack
    kills: int = KILLS

    def play(self) -> None:
        """Return when the caller, which stays until its last run has ended, has done so."""
        caller = self.lose_a_turn(self.caller())
        workers = [self.worker() for _ in range(WORKERS)]
        while True:
            ended = first_ended([caller, *workers], within=self.chance.uniform(0.02, 0.2) if self.kills > 0 else 200)
            if ended is None:
                assert self.kills > 0, "the runs did not end although nobody is killed any more"
                self.kills -= 1
                self.chance.choice([caller, *workers]).kill()
            elif ended is caller:
                if caller.ended() == 0:
                    return
                assert caller.ended() == -signal.SIGKILL
                caller = self.caller()
            else:
                assert ended.ended() == -signal.SIGKILL
                workers[workers.index(ended)] = self.worker()

    def lose_a_turn(self, caller: Child) -> Child:
        """Have a worker die that holds a run: whatever chance does later, one is to be recovered. Who calls then."""
        doomed = self.running.enter_context(self.scene.start(work, {}, kill=f"append.inside=kill@{SOME_TURNS}"))
        while (ended := first_ended([caller, doomed], within=200)) is caller:
            assert caller.ended() == -signal.SIGKILL
            caller = self.caller()
        assert ended is doomed
        assert doomed.ended() == -signal.SIGKILL
        return caller

    def caller(self) -> Child:
        kill = self.fail_point(CALLING, RUNS)
        return self.running.enter_context(self.scene.start(call_and_decide, self.numbers, kill=kill))

    def worker(self) -> Child:
        kill = self.fail_point(WORKING, 3 * RUNS)
        return self.running.enter_context(self.scene.start(work, {}, kill=kill))

    def fail_point(self, verbs: tuple[str, ...], most: int) -> str:
        """Somewhere to die, as long as anybody is to be killed; now and then nowhere."""
        if self.kills <= 0 or self.chance.random() < 0.3:
            return ""
        self.kills -= 1
        visit = self.chance.randint(1, most)
        return f"{self.chance.choice(verbs)}.{self.chance.choice(PLACES)}=kill@{visit}"


@pytest.mark.timeout(20_000 if os.environ.get(LONG) else 900)
def test_whoever_is_killed_whenever_every_run_ends_as_if_undisturbed(
    kind: str, in_memory: Callable[[str], Scene]
) -> None:
    seed = int(os.environ.get("AGENTFLOW_TEST_SEED", random.randrange(2**32)))
    print(f"AGENTFLOW_TEST_SEED={seed}")  # noqa: T201  pytest shows it when the test fails
    chance = random.Random(seed)
    scene = in_memory("random")
    results = {}
    rounds = ROUNDS if kind == "sqlite" or LONG in os.environ else 5  # there processes take longer to begin
    for one in range(rounds):
        numbers = list(range(one * RUNS, (one + 1) * RUNS))
        with ExitStack() as running:  # at its end the workers that are left are killed too
            Round(scene, chance, numbers, running).play()
        results |= {f"mixed {number}": mixed_result(number) for number in numbers}
        if one % 10 == 0:
            scene.check(results=results, recovered=False)
    with scene.start(work, {}) as last:
        last.hear()
        seen = scene.check(results=results)
    assert seen["approvals"] == len(results) == rounds * RUNS
    open_runs = "SELECT count(*) FROM agentflow_run WHERE status <> 'completed'"
    assert scene.database.value(open_runs) == 0
    recovered = scene.database.value("SELECT count(*) FROM agentflow_journal WHERE kind = 'recovered'")
    assert recovered >= rounds
