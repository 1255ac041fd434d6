"""An event starts a run of each task that listens for it, once, whoever is killed, whenever."""

from __future__ import annotations

import os
import random
import signal
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.crash.listening import listen, send
from tests.crash.scenes import ON_BOTH
from tests.support.processes import first_ended, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.crash.scenes import Scene
    from tests.support.processes import Child

pytestmark = ON_BOTH

EVENTS, WORKERS, KILLS = 1000, 3, 12
PLACES = ("before", "inside", "after")
VERBS = ("settle_match", "claim", "append", "finish", "register_worker")
STARTED = "SELECT count(*) FROM agentflow_match WHERE status = 'started'"
LEFT = "SELECT count(*) FROM agentflow_match WHERE status = 'pending'"
RUNS = "SELECT count(*) FROM agentflow_run"
OPEN = "SELECT count(*) FROM agentflow_run WHERE status <> 'completed'"


def all_ended(scene: Scene, matches: int) -> bool:
    """Whether so many matches have started a run each, and all runs have completed."""
    rows = scene.database.value
    return (rows(STARTED), rows(LEFT), rows(RUNS), rows(OPEN)) == (matches, 0, matches, 0)


@pytest.mark.parametrize("place", PLACES)
def test_killed_between_match_and_run_there_are_both_or_neither(scene: Scene, place: str) -> None:
    with scene.start(send, "order.sent", 3, 1) as sender:
        assert sender.hear() == "sent"
    with scene.start(listen, kill=f"settle_match.{place}=kill") as doomed:
        assert doomed.ended() == -signal.SIGKILL
    happened = int(place == "after")
    assert [scene.database.value(one) for one in (STARTED, RUNS)] == [happened, happened]

    with scene.start(listen):
        until(lambda: all_ended(scene, 1), "the event has started its run")

    scene.check()


@pytest.mark.parametrize("place", PLACES)
def test_killed_while_an_event_is_sent_it_is_there_with_its_matches_or_not_at_all(scene: Scene, place: str) -> None:
    with scene.start(send, "order.paid", 3, 1, kill=f"send_event.{place}=kill") as doomed:
        assert doomed.ended() == -signal.SIGKILL
    happened = int(place == "after")
    events = scene.database.value("SELECT count(*) FROM agentflow_event")
    assert (events, scene.database.value(LEFT)) == (happened, 2 * happened)

    with scene.start(send, "order.paid", 3, 1) as again:
        assert again.hear() == "sent"
    with scene.start(listen):
        until(lambda: all_ended(scene, 2), "the event has started its runs")

    scene.check()


@pytest.mark.timeout(600)
def test_a_thousand_events_start_a_run_each_while_three_workers_are_killed_at_random(
    in_memory: Callable[[str], Scene],
) -> None:
    seed = int(os.environ.get("AGENTFLOW_TEST_SEED", random.randrange(2**32)))
    print(f"AGENTFLOW_TEST_SEED={seed}")  # noqa: T201  pytest shows it when the test fails
    chance, scene = random.Random(seed), in_memory("events")
    with ExitStack() as running:
        kills = KILLS

        def worker() -> Child:
            verb, place = chance.choice(VERBS), chance.choice(PLACES)
            kill = f"{verb}.{place}=kill@{chance.randint(1, 100)}" if kills > 0 and chance.random() < 0.7 else ""
            return running.enter_context(scene.start(listen, kill=kill))

        workers = [worker() for _ in range(WORKERS)]
        running.enter_context(scene.start(send, "order.sent", 0, EVENTS))
        while not (kills <= 0 and all_ended(scene, EVENTS)):
            ended = first_ended(workers, within=chance.uniform(0.05, 0.3))
            if ended is None and kills > 0:
                kills -= 1
                chance.choice(workers).kill()
            elif ended is not None:
                assert ended.ended() == -signal.SIGKILL
                workers[workers.index(ended)] = worker()

    inputs = scene.database.rows("SELECT input, count(*) AS n FROM agentflow_run GROUP BY input")
    assert len(inputs) == EVENTS
    assert {row["n"] for row in inputs} == {1}
    named = "SELECT count(DISTINCT run_id) FROM agentflow_match"
    assert scene.database.value(named) == EVENTS
    scene.check()
