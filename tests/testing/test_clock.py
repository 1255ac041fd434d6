"""The clock of tests: it moves at once, and awaited it takes every runtime along."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from agentflow import sleep, task, wait_for_approval
from agentflow.errors import InvalidDuration
from agentflow.testing import FakeClock, Harness

if TYPE_CHECKING:
    from pathlib import Path


@task
async def dozing(days: int) -> int:
    await sleep(timedelta(days=days))
    return days


@task
async def parent() -> int:
    return await dozing.trigger_and_wait(1) + await dozing.trigger_and_wait(1)


@task
async def asking() -> str:
    return (await wait_for_approval(1, key="gate", timeout="1d")).outcome


async def test_the_time_has_moved_before_anything_is_awaited() -> None:
    clock = FakeClock()
    began = clock.now()
    clock.advance("3d")
    assert clock.now() - began == timedelta(days=3)
    clock.advance_to(began + timedelta(days=4))
    assert clock.now() - began == timedelta(days=4)


async def test_awaited_it_has_the_runs_of_every_harness_done_what_was_due(tmp_path: Path) -> None:
    clock = FakeClock()
    async with (
        Harness(dozing, path=tmp_path / "one.db", clock=clock) as one,
        Harness(asking, path=tmp_path / "two.db", clock=clock) as two,
    ):
        dozes, asks = await one.trigger(dozing, 1), await two.trigger(asking)
        await one.until_idle()
        await two.until_idle()
        await clock.advance("1d")
        assert (await one.client.run(dozes.id)).status == "completed"
        assert (await two.client.run(asks.id)).status == "completed"


async def test_awaited_twice_or_without_a_runtime_it_is_at_rest_at_once() -> None:
    moved = FakeClock().advance("1h")
    await moved
    await moved


async def test_two_workers_on_one_file_bring_a_parent_and_its_child_to_rest(tmp_path: Path) -> None:
    """What one of them commits is what the other waits for; neither rests before both do."""
    clock, path = FakeClock(), tmp_path / "runs.db"
    async with Harness(parent, dozing, path=path, clock=clock) as one:
        run = await one.trigger(parent)
        await one.until_idle()
        async with Harness(dozing, path=path, clock=clock) as two:
            for _ in range(2):
                await clock.advance("1d")
            await two.until_idle()
            await one.until_idle()
        assert await one.result(run) == 2


async def test_a_harness_that_has_died_or_ended_is_waited_for_no_longer() -> None:
    clock = FakeClock()
    async with Harness(dozing, clock=clock) as h:
        run = await h.trigger(dozing, 1)
        await h.until_idle()
        await h.crash()
        await clock.advance("1d")
        assert (await h.client.run(run.id)).status == "completed"
    await clock.advance("1d")


async def test_travelling_stops_where_something_falls_due_and_advancing_does_not() -> None:
    @task
    async def twice() -> None:
        await sleep("1d")
        await sleep("1d")

    async with Harness(twice, asking) as h:
        began = h.clock.now()
        run, asked = await h.trigger(twice), await h.trigger(asking)
        await h.advance("3d")
        assert await h.status(run) == "waiting", "its second day began on the third"
        await h.clock.travel("36h")
        ended = await h.client.run(run.id)
        assert ended.finished_at == began + timedelta(days=4)
        assert h.clock.now() == began + timedelta(days=4, hours=12)
        again, asked = await h.trigger(twice), await h.trigger(asking)
        began = h.clock.now()
        await h.clock.travel("5d")
        assert [(await h.client.run(one.id)).finished_at for one in (asked, again)] == [
            began + timedelta(days=1),
            began + timedelta(days=2),
        ]
        assert h.clock.now() == began + timedelta(days=5)


async def test_without_a_runtime_a_traveller_just_arrives() -> None:
    clock = FakeClock()
    began = clock.now()
    clock.attach(_nothing, _none)
    await clock.travel("3d")
    assert clock.now() - began == timedelta(days=3)


async def _nothing() -> None: ...


async def _none() -> int:
    return 0


async def test_a_runtime_of_one_s_own_is_attached_and_let_go() -> None:
    clock, rested, head = FakeClock(), [], 0

    async def until_idle() -> None:
        nonlocal head
        head = min(head + 1, 2)
        rested.append(head)

    async def committed() -> int:
        return head

    detach = clock.attach(until_idle, committed)
    await clock.advance("1s")
    assert rested == [1, 2, 2], "until two looks saw the same"
    detach()
    await clock.advance("1s")
    assert len(rested) == 3


async def test_a_harness_travels_to_an_instant() -> None:
    async with Harness(dozing) as h:
        run = await h.trigger(dozing, 2)
        await h.advance_to(h.clock.now() + timedelta(days=2))
        assert (await h.client.run(run.id)).status == "completed"


def test_a_clock_does_not_go_back_and_takes_no_naive_instant() -> None:
    clock = FakeClock()
    with pytest.raises(InvalidDuration, match="does not go back"):
        clock.advance_to(clock.now() - timedelta(seconds=1))
    with pytest.raises(InvalidDuration, match="time zone"):
        clock.advance_to(datetime(2030, 1, 1))  # noqa: DTZ001  that is what is refused
    with pytest.raises(InvalidDuration, match="negative"):
        clock.advance(-1)
    assert clock.now() == datetime(2026, 1, 5, 9, tzinfo=UTC)


async def test_sleepers_are_woken_by_the_jump_whether_it_is_awaited_or_not() -> None:
    clock = FakeClock()
    sleeping = asyncio.create_task(clock.sleep(timedelta(hours=1)))
    await asyncio.sleep(0)
    clock.advance_to(clock.now() + timedelta(hours=1))
    await asyncio.wait_for(sleeping, 60)
