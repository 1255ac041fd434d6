"""How many branches are at work at a time, and what becomes of those that are stopped."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

import agentflow
from agentflow import RunFailed, Step, first_success, gather, sleep, step, task, wait_for_approval
from agentflow.errors import UnsupportedAwait
from agentflow.states import EntryKind
from tests.support.tasks import Flaky, Ledger, entries, eventually, keys

if TYPE_CHECKING:
    from tests.runtime.conftest import OpenHarness

ledger = Ledger()


@pytest.fixture(autouse=True)
def _empty_ledger() -> None:
    ledger.clear()


class Counting:
    """How many calls are at work at the same time."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.order: list[int] = []

    async def call(self, n: int) -> int:
        self.now += 1
        self.most = max(self.most, self.now)
        self.order.append(n)
        try:
            for _ in range(n % 5 + 1):
                await asyncio.sleep(0)
        finally:
            self.now -= 1
        return n


@step
async def noted(n: int) -> int:
    ledger.add(f"noted {n}")
    return n


async def asking(n: int) -> int:
    return int((await wait_for_approval(await noted(n), key=f"gate {n}")).data)


@pytest.mark.parametrize("limit", [1, 3, 50, None])
async def test_no_more_than_the_limit_are_at_work_and_they_begin_in_order(live: OpenHarness, limit: int | None) -> None:
    counting = Counting()
    counted = Step(counting.call, name="counted")

    @task
    async def mapping() -> list[int]:
        return list(await agentflow.map(counted, range(40), concurrency=limit))

    async with live(mapping) as h:
        assert await h.run(mapping) == list(range(40))
    assert counting.order == list(range(40))
    assert counting.most == min(limit or 40, 40)


async def test_a_branch_that_waits_counts_while_the_run_is_parked(harness: OpenHarness) -> None:
    @task
    async def mapping() -> list[int]:
        return await agentflow.map(asking, range(5), concurrency=2)

    async with harness(mapping) as h:
        run = await h.trigger(mapping)
        answered: list[int] = []
        while await h.status(run) == "waiting":
            waiting = sorted(int(one.data) for one in await h.approvals(run))
            assert len(waiting) <= 2
            assert sorted([*answered, *waiting]) == list(range(len(answered) + len(waiting))), "begun in order"
            last = max(await h.approvals(run), key=lambda one: one.data)
            await h.approve(last)
            answered.append(int(last.data))
        assert await h.result(run) == list(range(5))
    assert set(ledger.values()) == {1}


async def test_the_limit_holds_after_a_crash_in_the_middle_and_nothing_recorded_runs_again(live: OpenHarness) -> None:
    at_work: set[int] = set()
    most = [0]
    release: list[asyncio.Event] = [asyncio.Event()]

    @step
    async def held(n: int) -> int:
        ledger.add(f"held {n}")
        at_work.add(n)
        most[0] = max(most[0], len(at_work))
        try:
            if n >= 4:
                await release[0].wait()
        finally:
            at_work.discard(n)
        return n

    async def three_at_work() -> bool:
        return len(at_work) == 3

    @task
    async def mapping() -> list[int]:
        return await agentflow.map(held, range(10), concurrency=3)

    async with live(mapping) as h:
        run = await h.trigger(mapping)
        await eventually(three_at_work)
        assert at_work == {4, 5, 6}
        await h.crash()
        await eventually(three_at_work)
        assert at_work == {4, 5, 6}
        release[0].set()
        assert await h.result(run) == list(range(10))
    assert most == [3]
    assert {n: ledger[f"held {n}"] for n in range(10)} == {n: 2 if n in {4, 5, 6} else 1 for n in range(10)}


async def test_a_stopped_branch_closes_what_it_opened_and_asks_for_nothing_more(harness: OpenHarness) -> None:
    left: list[str] = []

    async def guarded() -> int:
        try:
            return await asking(1)
        finally:
            left.append("left")
            await noted(99)

    @task
    async def racing() -> str:
        await gather(guarded(), noted(2), until=first_success())
        return (await wait_for_approval("go on?", key="after")).outcome

    async with harness(task(guarded), racing) as h:
        run = await h.trigger(racing)
        await h.approve(await h.only_approval(run))
        assert await h.result(run) == "approved"
        assert not any("noted#2" in key or "99" in key for key in await keys(h, run))
    assert left
    assert ledger["noted 99"] == 0, "a cleanup that is cut off would be asked for at another place the next time"


async def test_a_branch_that_ignores_being_stopped_is_seen_to_its_end_and_counts_as_stopped(
    live: OpenHarness,
) -> None:
    ended: list[str] = []

    @step
    async def stubborn() -> int:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            for _ in range(20):
                await asyncio.sleep(0)
            ended.append("in its own time")
        return 1

    async def goes_on() -> int:
        await stubborn()
        return await noted(99)

    @task
    async def racing() -> list[str]:
        found = await gather(goes_on(), noted(2), until=first_success())
        at_end = len(ended)
        await wait_for_approval(found.succeeded)
        return [*(one.status for one in found), "ended" if at_end == len(ended) else "still at work"]

    async with live(racing) as h:
        run = await h.trigger(racing)
        await h.approve(await h.only_approval(run))
        assert await h.result(run) == ["cancelled", "succeeded", "ended"]
    assert ended
    assert ledger == {"noted 2": 1}


async def test_a_timeout_around_a_map_stops_its_branches(harness: OpenHarness) -> None:
    stopped: list[int] = []

    @step
    async def endless(n: int) -> int:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append(n)
        return n

    @task
    async def mapping() -> str:
        try:
            await asyncio.wait_for(agentflow.map(endless, range(3)), 0.5)
        except TimeoutError:
            return f"{len(stopped[-3:])} stopped, {(await wait_for_approval(1)).outcome}"
        return "not stopped"

    async with harness(mapping) as h:
        run = await h.trigger(mapping)
        await h.approve(await h.only_approval(run))
        assert (await h.result(run)).endswith("stopped, approved")
    assert sorted(stopped[:3]) == [0, 1, 2]


async def test_a_task_or_future_of_asyncio_is_refused_as_a_branch(live: OpenHarness) -> None:
    @task
    async def mapping() -> None:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        await gather(future, until=first_success())

    async with live(mapping) as h:
        with pytest.raises(RunFailed, match="runs by itself") as failed:
            await h.run(mapping)
        assert isinstance(failed.value.__cause__.__cause__, UnsupportedAwait)  # type: ignore[union-attr]


async def test_the_others_go_on_to_a_checkpoint_when_the_worker_stops(live: OpenHarness) -> None:
    begun = asyncio.Semaphore(0)
    release = [asyncio.Event() for _ in range(3)]

    @step
    async def held(n: int) -> int:
        ledger.add(f"held {n}")
        if n < 3:
            begun.release()
            await release[n].wait()
            for _ in range(n * 50):
                await asyncio.sleep(0)
        return n

    async def two(n: int) -> int:
        return await held(n) + await held(n + 10)

    @task
    async def mapping() -> list[int]:
        return await agentflow.map(two, [0, 1, 2], concurrency=2)

    async with live(mapping) as h:
        run = await h.trigger(mapping)
        for _ in range(2):
            await begun.acquire()
        stopping = asyncio.create_task(h.restart())
        await asyncio.sleep(0)
        for one in release:
            one.set()
        await stopping
        assert await h.result(run) == [10, 12, 14]
    assert set(ledger.values()) == {1}, "nothing that had begun was thrown away"


async def test_sleeping_branches_that_lose_leave_no_timer_behind(harness: OpenHarness) -> None:
    async def sleeping(n: int) -> int:
        await sleep(f"{n}h")
        if n == 1:
            raise Flaky("first")
        return n

    @task
    async def mapping() -> str:
        try:
            await agentflow.map(sleeping, [2, 1])
        except Flaky:
            return (await wait_for_approval("go on?")).outcome
        return "no error"

    async with harness(mapping) as h:
        run = await h.trigger(mapping)
        await h.advance("1h")
        opened: list[Any] = [one.key for one in await entries(h, run, EntryKind.WAIT_OPENED)]
        assert len(opened) == 3
        await h.advance("5h")
        assert await h.status(run) == "waiting"
        before = (await h.client.run(run.id)).epoch
        await h.advance("5h")
        assert (await h.client.run(run.id)).epoch == before, "no timer wakes the run"
        await h.approve(await h.only_approval(run))
        assert await h.result(run) == "approved"
