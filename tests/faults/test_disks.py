"""Disks that are full or refuse a write, while a worker is at work and while a person decides."""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agentflow import AgentFlow, step, task, wait_for_approval
from agentflow.errors import StoreUnavailable
from agentflow.requests import ClaimRuns, TriggerRun
from agentflow.settings import WorkerSettings
from agentflow.states import RunStatus, Verdict
from tests.crash.programs import see_through, see_through_when_told
from tests.crash.test_every_append import KEYS, ONE_RUN, UNDISTURBED
from tests.crash.test_flushes import injected
from tests.store.test_full_disk import small_disk
from tests.support import ledger
from tests.support.tasks import LONGEST

if TYPE_CHECKING:
    from agentflow.records import Run
    from tests.crash.scenes import Scene

__all__ = ["small_disk"]

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace, to fail writes")


# -- full


@task
async def asks(n: int) -> str:
    decision = await wait_for_approval({"n": n}, title="Fine?")
    return decision.outcome


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Nothing more fits on the disk meanwhile."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (4096, 512, 1):
            try:
                while file.write(b"x" * size) == size:
                    pass
            except OSError:
                continue
    try:
        yield
    finally:
        ballast.unlink()


async def in_status(app: AgentFlow, run: Run, status: RunStatus) -> Run:
    async with asyncio.timeout(LONGEST):
        async for _ in app.client.changes():
            found = await app.client.run(run.id)
            if found.status is status:
                return found
    raise AssertionError("changes ended")


async def test_a_run_whose_disk_is_full_goes_on_when_there_is_room(small_disk: Path) -> None:
    """Only the step whose result did not fit may run again."""
    calls: list[int] = []
    began, is_full = asyncio.Event(), asyncio.Event()

    @step
    async def noted(n: int) -> str:
        calls.append(n)
        began.set()
        await is_full.wait()
        return f"{n}" * 40_000

    @task
    async def notes() -> int:
        return sum([len(await noted(n)) for n in range(4)])

    quick = WorkerSettings(lease_for=timedelta(seconds=60), heartbeat_every=timedelta(seconds=0.1))
    async with AgentFlow(notes, database=f"sqlite:///{small_disk / 'runs.db'}", settings=quick) as app:
        run = await app.client.trigger(notes)
        await asyncio.wait_for(began.wait(), LONGEST)
        with filled(small_disk):
            is_full.set()
            for _ in range(3):
                with pytest.raises(StoreUnavailable, match="full"):
                    await app.store.trigger(TriggerRun(task="of another program", version="1", input="{}"))
            assert (await app.client.run(run.id)).status is RunStatus.RUNNING
        ended = await app.client.result(run.id, timeout=LONGEST)

    assert ended.output == "160000"
    again = len(calls) - 4
    assert again <= 1
    assert calls == [0] * again + [0, 1, 2, 3]


async def test_a_run_that_was_claimed_without_its_worker_hearing_of_it_is_handed_back(tmp_path: Path) -> None:
    """As when the claim's commit is on the disk and the disk said that it failed."""

    @task
    async def plain() -> str:
        return "done"

    quick = WorkerSettings(lease_for=timedelta(seconds=60), heartbeat_every=timedelta(seconds=0.05))
    async with AgentFlow(plain, database=f"sqlite:///{tmp_path / 'runs.db'}", settings=quick) as app:
        assert app.worker is not None
        new = TriggerRun(task="plain", version="1", input="{}")
        unheard_of = ClaimRuns(worker_id=app.worker.id, tasks=("plain",), limit=1)
        run, claimed = await asyncio.gather(app.store.trigger(new), app.store.claim(unheard_of))  # one commit
        assert [one.run.id for one in claimed] == [run.id]

        ended = await app.client.result(run.id, timeout=LONGEST)

    assert (ended.output, ended.epoch, ended.recoveries) == ('"done"', 2, 0)


async def test_a_decision_that_does_not_fit_is_refused_and_can_be_made_later(small_disk: Path) -> None:
    async with AgentFlow(asks, database=f"sqlite:///{small_disk / 'runs.db'}") as app:
        run = await app.client.trigger(asks, 1)
        await in_status(app, run, RunStatus.WAITING)
        [approval] = (await app.client.approvals()).items
        with filled(small_disk):
            for _ in range(3):
                with pytest.raises(StoreUnavailable, match="full"):
                    await app.client.decide(approval.id, Verdict.APPROVE, by="mia", decision_id="dec-1")
                assert (await app.client.approval(approval.id)).is_pending
        made = await app.client.decide(approval.id, Verdict.APPROVE, by="mia", decision_id="dec-1")
        ended = await app.client.result(run.id, timeout=LONGEST)

    assert made.outcome == "approved"
    assert not made.repeated
    assert ended.output == '"approved"'


# -- refused writes


@needs_strace
@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
@pytest.mark.parametrize("number", [5, 20, 21, 40, 60])
def test_a_write_that_fails_anywhere_costs_nothing_that_was_recorded(error: str, number: int, scene: Scene) -> None:
    """The worker goes on by itself, or its caller is told and asks again."""
    with (
        scene.start(see_through_when_told, *ONE_RUN) as first,
        injected(scene, first, f"error={error}:when={number}", calls="pwrite64"),
    ):
        first.tell("go")
        assert first.ended() in {0, 1}
    assert scene.database.value("PRAGMA integrity_check") == "ok"
    with scene.start(see_through, *ONE_RUN) as second:
        assert second.hear() == "completed"
    scene.check(results={"the run": UNDISTURBED})
    assert ledger.starts(scene.ledger).total() <= len(KEYS) + 1


@needs_strace
def test_a_worker_killed_inside_a_write_leaves_whole_commits(scene: Scene) -> None:
    with (
        scene.start(see_through_when_told, *ONE_RUN) as first,
        injected(scene, first, "signal=KILL:when=33", calls="pwrite64"),
    ):
        first.tell("go")
        assert first.ended() == -signal.SIGKILL
    with scene.start(see_through, *ONE_RUN) as second:
        assert second.hear() == "completed"
    scene.check(results={"the run": UNDISTURBED})
