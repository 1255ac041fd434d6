"""The test kit: what it promises to whoever tests tasks with it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agentflow import create_callback, step, task, wait_for_approval, wait_for_event
from agentflow.errors import CallbackFailed, DefinitionError
from agentflow.states import EntryKind
from agentflow.testing import FakeClock, Harness
from tests.support.tasks import Ledger, entries, keys

if TYPE_CHECKING:
    from tests.runtime.conftest import OpenHarness


@step
async def add(a: int, b: int) -> int:
    return a + b


@task
async def adding(n: int) -> int:
    total = 0
    for each in range(n):
        total = await add(total, each)
    return total


@task
async def asking() -> str:
    return (await wait_for_approval({"x": 1}, key="gate")).outcome


async def test_in_its_strict_mode_a_run_is_replayed_at_every_operation(tmp_path: Path) -> None:
    async with Harness(adding, path=tmp_path / "runs.db", replay_always=True) as h:
        run = await h.trigger(adding, 5)
        assert await h.result(run) == 10
        assert (await h.client.run(run.id)).epoch == 6, "a turn for each operation, and one to return"
        assert len(await entries(h, run, EntryKind.REQUEUED)) == 5
        assert await keys(h, run) == [f"add#{n}" for n in range(1, 6)]


async def test_without_a_path_the_database_is_gone_afterwards() -> None:
    async with Harness(adding) as h:
        assert await h.run(adding, 3) == 3
        path = Path(h.app.database.removeprefix("sqlite:///"))
        assert path.exists()  # noqa: ASYNC240  a local file
    assert not path.parent.exists()


async def test_a_run_that_is_still_open_has_no_result_and_says_why(live: OpenHarness) -> None:
    async with live(asking) as h:
        run = await h.trigger(asking)
        with pytest.raises(AssertionError, match=r"has not ended: waiting .* for a person to decide approval"):
            await h.result(run)


async def test_only_approval_objects_to_none_and_to_several(live: OpenHarness) -> None:
    async with live(asking) as h:
        with pytest.raises(AssertionError, match="there are 0: none"):
            await h.only_approval()
        first, second = await h.trigger(asking), await h.trigger(asking)
        with pytest.raises(AssertionError, match="there are 2: gate#1 of run_"):
            await h.only_approval()
        await h.approve((await h.only_approval(first)).id)
        await h.reject(await h.only_approval(second))
        assert [await h.result(first), await h.result(second)] == ["approved", "rejected"]


async def test_a_crash_cuts_off_what_a_restart_lets_end(live: OpenHarness, ledger: Ledger) -> None:
    begun, release = asyncio.Event(), asyncio.Event()

    @step
    async def held() -> int:
        begun.set()
        await release.wait()
        return ledger.add("ended")

    @task
    async def holding() -> int:
        return await held()

    async with live(holding) as h:
        run = await h.trigger(holding)
        await begun.wait()
        await h.crash()
        assert not ledger
        release.set()
        await h.restart()
        assert await h.result(run) == 1
        assert (await h.client.run(run.id)).recoveries == 1


async def test_what_other_systems_do_is_at_hand(harness: OpenHarness) -> None:
    @task
    async def delivering(order: str) -> str:
        paid = await wait_for_event("paid", key=order)
        carrier = await create_callback("carrier")
        try:
            return f"{paid} {await carrier}"
        except CallbackFailed as error:
            return f"{paid} {error}"

    async with harness(delivering) as h:
        first, second = await h.trigger(delivering, "A"), await h.trigger(delivering, "B")
        with pytest.raises(AssertionError, match=r"wanted one open callback 'carrier' of run_.*, there are 0: none"):
            await h.complete_callback(first, "carrier")
        for order, amount in (("A", 5), ("B", 6)):
            await h.send_event("paid", amount, key=order)
        await h.complete_callback(first, "carrier", "at the door")
        await h.fail_callback(second.id, "carrier", "lost")
        assert [await h.result(first), await h.result(second)] == ["5 at the door", "6 lost"]
        with pytest.raises(AssertionError, match=r"there are 0: carrier#1 \(completed\)"):
            await h.fail_callback(first, "carrier")


async def test_its_history_is_the_journal_as_events(harness: OpenHarness) -> None:
    async with harness(adding) as h:
        run = await h.trigger(adding, 2)
        assert [event.seq for event in await h.history(run)] == [entry.seq for entry in await h.journal(run)]


async def test_outside_its_block_a_harness_says_so(tmp_path: Path) -> None:
    h = Harness(adding, path=tmp_path / "runs.db")
    for look in (lambda: h.app, lambda: h.worker, lambda: h.client):
        with pytest.raises(DefinitionError, match="Harness is not open"):
            look()


async def test_sleepers_of_a_fake_clock_wake_in_the_order_in_which_they_are_due() -> None:
    clock, woken = FakeClock(), []

    async def sleeper(hours: int) -> None:
        await clock.sleep(timedelta(hours=hours))
        woken.append(hours)

    tasks = [asyncio.create_task(sleeper(hours)) for hours in (3, 1, 2, 0, -1)]
    await asyncio.sleep(0)
    clock.advance("2h")
    await asyncio.wait(tasks[1:])
    assert woken == [0, -1, 1, 2]
    clock.advance("1h")
    await tasks[0]
    assert woken[-1] == 3
