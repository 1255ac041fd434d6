"""Wherever a process dies: a person is asked once for each start in doubt, and nothing runs that nobody asked for."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import TYPE_CHECKING

import pytest

from agentflow import AgentFlow, step, task
from tests.crash.programs import settings, trigger
from tests.crash.scenes import ON_BOTH
from tests.support import ledger
from tests.support.ledger import note, witness

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from tests.crash.scenes import Scene

pytestmark = ON_BOTH

RESTS = ("waiting", "completed", "failed")


@step(effect="at_most_once", on_unknown="ask")
async def pay(amount: int) -> int:
    witness()
    return amount


@task
async def pays(n: int) -> int:
    return await pay(n)


def see_it_rest(channel: Connection, database: str) -> None:
    """Execute the one run there is to be until it waits or has ended."""

    async def main() -> None:
        async with AgentFlow(pays, database=database, worker=True, settings=settings()) as app:
            run = await trigger(app.client, "pays", {"n": 3})
            async for _ in app.client.changes():
                if (status := (await app.client.run(run)).status) in RESTS:
                    channel.send(str(status))
                    return

    asyncio.run(main())


def answer(channel: Connection, database: str, choice: str) -> None:
    """Say what became of the call, where that is asked."""

    async def main() -> None:
        async with AgentFlow(pays, database=database, worker=False) as app:
            for asked in (await app.client.approvals()).items:
                data = {"choice": choice, "result": 3 if choice == "happened" else None}
                made = await app.client.decide(asked.id, "correct", by="the test", data=data, decision_id=asked.key)
                note("DECIDED", made.id)
            channel.send("answered")

    asyncio.run(main())


def killed(scene: Scene, point: str) -> bool:
    """Whether the process came to this point and died there."""
    with scene.start(see_it_rest, kill=point) as child:
        return child.ended() == -signal.SIGKILL


def rests(scene: Scene) -> str:
    with scene.start(see_it_rest) as child:
        return str(child.hear())


def say(scene: Scene, choice: str) -> None:
    with scene.start(answer, choice) as child:
        assert child.hear() == "answered"


@pytest.mark.parametrize("point", ["append.after=kill@1", "append.before=kill@2", "append.inside=kill@2"])
@pytest.mark.parametrize("asking", ["", "park.before", "park.inside", "park.after"])
def test_a_call_in_doubt_is_asked_about_once_wherever_the_asking_dies(scene: Scene, point: str, asking: str) -> None:
    assert killed(scene, point)
    entered = ledger.starts(scene.ledger).total()
    if asking:
        assert killed(scene, f"{asking}=kill")
    for _ in range(2):
        assert rests(scene) == "waiting"
    assert scene.database.value("SELECT count(*) FROM agentflow_approval") == 1
    assert ledger.starts(scene.ledger).total() == entered
    say(scene, "happened")
    assert rests(scene) == "completed"
    assert ledger.starts(scene.ledger).total() == entered
    scene.check(results={"the run": 3})


@pytest.mark.parametrize("place", ["before", "inside", "after"])
@pytest.mark.parametrize("choice", ["happened", "do it now", "stop"])
def test_killed_at_every_append_after_the_answer_nothing_is_done_that_nobody_asked_for(
    scene: Scene, place: str, choice: str
) -> None:
    """Each answer brings about one call at most, and a call cut off after its start is asked about anew."""
    assert killed(scene, "append.before=kill@2")
    assert rests(scene) == "waiting"
    say(scene, choice)
    answered, number = 1, 1
    while killed(scene, f"append.{place}=kill@{number}"):
        if rests(scene) != "waiting":
            break
        say(scene, choice)
        answered, number = answered + 1, number + 1
    calls = ledger.starts(scene.ledger).total()
    assert calls <= 1 + (answered if choice == "do it now" else 0)
    assert rests(scene) == ("failed" if choice == "stop" else "completed")
    assert ledger.starts(scene.ledger).total() == calls
    scene.check(results={} if choice == "stop" else {"the run": 3})


def test_the_run_says_in_its_journal_who_settled_it(scene: Scene) -> None:
    assert killed(scene, "append.before=kill@2")
    assert rests(scene) == "waiting"
    say(scene, "happened")
    assert rests(scene) == "completed"
    told = scene.database.value("SELECT detail FROM agentflow_journal WHERE kind = 'wait_resolved'")
    assert json.loads(str(told))["decided_by"] == "the test"
