"""Time, chance and ids: made once for their place in the run, and waited for without memory."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from agentflow import RunFailed, gather, now, random, sleep, step, task, uuid4, wait_for, wait_for_approval
from agentflow.errors import InvalidDuration
from agentflow.states import EntryKind
from tests.support.tasks import Ledger, entries, keys

if TYPE_CHECKING:
    from tests.runtime.conftest import OpenHarness


async def test_a_long_sleep_holds_no_memory_and_is_never_early(harness: OpenHarness) -> None:
    @task
    async def sleeping() -> str:
        await sleep("3d")
        return "awake"

    async with harness(sleeping) as h:
        run = await h.trigger(sleeping)
        assert await h.status(run) == "waiting"
        assert (await h.client.run(run.id)).worker_id is None
        assert "sleeping until its timer fires in 3d" in await h.why(run)
        await h.advance(timedelta(days=3) - timedelta(seconds=2))
        assert await h.status(run) == "waiting"
        await h.advance(2)
        assert await h.result(run) == "awake"


async def test_a_sleep_that_fell_due_while_nothing_ran_is_over_at_once(harness: OpenHarness, ledger: Ledger) -> None:
    @step
    async def noted(what: str) -> None:
        ledger.add(what)

    @task
    async def sleeping() -> str:
        await noted("before")
        await sleep("3d")
        await noted("between")
        await sleep("1h")
        return "awake"

    async with harness(sleeping) as h:
        run = await h.trigger(sleeping)
        await h.until_idle()
        clock = h.clock
    clock.advance("30d")
    async with harness(sleeping, clock=clock) as h:
        assert await h.status(run) == "waiting", "the second sleep begins when the first is over"
        await h.advance("1h")
        assert await h.result(run) == "awake"
    assert ledger == {"before": 1, "between": 1}


async def test_a_short_sleep_is_waited_out_in_memory(live: OpenHarness) -> None:
    @task
    async def sleeping() -> str:
        await sleep("20ms")
        await sleep(0)
        await sleep(timedelta(milliseconds=5))
        return "awake"

    async with live(sleeping) as h:
        run = await h.trigger(sleeping)
        assert await h.result(run) == "awake"
        assert (await h.client.run(run.id)).epoch == 1


async def test_sleeps_one_after_the_other_each_take_their_time(harness: OpenHarness) -> None:
    @task
    async def sleeping() -> list[str]:
        times = [await now()]
        for _ in range(3):
            await sleep("1d")
            times.append(await now())
        return [str(later - before) for before, later in pairwise(times)]

    async with harness(sleeping) as h:
        run = await h.trigger(sleeping)
        for _ in range(3):
            await h.advance("1d")
        assert await h.result(run) == ["1 day, 0:00:00"] * 3


async def test_a_nonsensical_span_fails_the_run_with_the_forms_that_are_read(harness: OpenHarness) -> None:
    @task
    async def sleeping() -> None:
        await sleep("a while")

    async with harness(sleeping) as h:
        with pytest.raises(RunFailed, match="'a while' is no span of time") as caught:
            await h.run(sleeping)
    assert isinstance(caught.value.__cause__, InvalidDuration)


async def test_time_chance_and_ids_are_the_same_on_every_replay(harness: OpenHarness) -> None:
    seen = []

    @task
    async def choosing() -> str:
        seen.append((await now(), await uuid4(), await random(), await now(), await uuid4(), await random()))
        return (await wait_for_approval("go on?")).outcome

    async with harness(choosing) as h:
        run = await h.trigger(choosing)
        approval = await h.only_approval(run)
        await h.advance("40d")
        await h.approve(approval)
        assert await h.result(run) == "approved"
        assert await keys(h, run) == ["now#1", "uuid4#1", "random#1", "now#2", "uuid4#2", "random#2"]
    assert len(seen) > 1
    assert len(set(seen)) == 1
    first, one, chance, _, other, also = seen[0]
    assert first.tzinfo is UTC
    assert one != other
    assert chance != also
    assert 0 <= chance < 1


async def test_the_time_of_a_run_is_the_store_s(harness: OpenHarness) -> None:
    @task
    async def looking() -> datetime:
        await sleep("10d")
        return await now()

    async with harness(looking) as h:
        begun = h.clock.now()
        run = await h.trigger(looking)
        await h.advance("10d")
        assert await h.result(run) == begun + timedelta(days=10)


async def test_two_runs_have_ids_and_chances_of_their_own(harness: OpenHarness) -> None:
    @task
    async def choosing() -> list[str]:
        return [str(await uuid4()), str(await random())]

    async with harness(choosing) as h:
        assert set(await h.run(choosing)).isdisjoint(await h.run(choosing))


async def test_values_in_branches_are_kept_with_their_branch(harness: OpenHarness) -> None:
    async def choose() -> uuid.UUID:
        found = await uuid4()
        await wait_for_approval(str(found), key="choice")
        return found

    @task
    async def choosing() -> list[uuid.UUID]:
        return list(await gather(choose(), choose()))

    async with harness(choosing) as h:
        run = await h.trigger(choosing)
        approvals = await h.approvals(run)
        for approval in approvals:
            await h.approve(approval)
        found = await h.result(run)
        assert {f'"{one}"' for one in found} == {approval.data for approval in approvals}


async def test_outside_a_run_they_just_work() -> None:
    assert (await now()).tzinfo is UTC
    assert (await uuid4()).version == 4
    assert 0 <= await random() < 1
    await sleep(0)
    await sleep("1ms")
    with pytest.raises(TimeoutError):
        await wait_for(sleep("1d"), "1ms")


async def test_a_timer_is_opened_and_settled_once(harness: OpenHarness) -> None:
    @task
    async def sleeping() -> None:
        await sleep("1d")

    async with harness(sleeping) as h:
        run = await h.trigger(sleeping)
        await h.advance("1d")
        await h.result(run)
        assert len(await entries(h, run, EntryKind.WAIT_OPENED)) == 1
        assert len(await entries(h, run, EntryKind.SUCCEEDED)) == 1
        assert await h.client.waits(run.id) == []
