"""Branches side by side: scopes of their own, that wait, fail and finish without disturbing each other."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest

from agentflow import Retry, RunFailed, gather, sleep, step, task, wait_for_approval
from agentflow.errors import ApprovalWithdrawn
from agentflow.states import EntryKind
from tests.support.tasks import Flaky, Ledger, entries, eventually, keys

if TYPE_CHECKING:
    from tests.runtime.conftest import OpenHarness

ledger = Ledger()


@pytest.fixture(autouse=True)
def _empty_ledger() -> None:
    ledger.clear()


@step
async def noted(n: int) -> int:
    ledger.add(f"noted {n}")
    return n


@step
async def failing(text: str) -> None:
    ledger.add(f"failing {text}")
    raise Flaky(text)


async def asking(n: int) -> int:
    await noted(n)
    return int((await wait_for_approval(n, key=f"gate {n}")).data)


async def test_results_come_in_the_order_given_and_keys_do_not_depend_on_timing(live: OpenHarness) -> None:
    order: list[int] = []

    @step
    async def after(n: int, turns: int) -> int:
        for _ in range(turns):
            await asyncio.sleep(0)
        order.append(n)
        return n

    async def two(n: int, turns: int) -> int:
        return await after(n, turns) + await after(n, turns)

    @task
    async def both(first: int, second: int) -> list[int]:
        return list(await gather(two(1, first), two(2, second)))

    async with live(both) as h:
        for turns in ((1, 9), (9, 1)):
            run = await h.trigger(both, *turns)
            assert await h.result(run) == [2, 4]
            assert sorted(await keys(h, run)) == sorted(
                f"gather#1[{branch}]/{name}"
                for branch in (0, 1)
                for name in (f"{_named(two)}#1/after#1", f"{_named(two)}#1/after#2", f"{_named(two)}#1")
            )
    assert order[:1] != order[4:5], "the branches did run in another order"


def _named(function: object) -> str:
    return getattr(function, "__qualname__", "").rpartition("<locals>.")[2]


async def test_an_approval_is_seen_while_another_branch_is_at_work(live: OpenHarness) -> None:
    release = asyncio.Event()

    @step
    async def slow() -> str:
        await release.wait()
        return "slow"

    @task
    async def both() -> list[object]:
        return list(await gather(asking(1), slow()))

    async with live(both) as h:
        run = await h.trigger(both)
        [approval] = await eventually(lambda: _pending(h))
        assert (await h.client.run(run.id)).status == "running"
        await h.correct(approval, 41)
        release.set()
        assert await h.result(run) == [41, "slow"]
    assert ledger == {"noted 1": 1}


async def test_a_decision_goes_on_in_its_branch_while_another_is_at_work(live: OpenHarness) -> None:
    release = asyncio.Event()

    @step
    async def slow() -> str:
        await release.wait()
        return "slow"

    async def asking_first() -> str:
        await asking(1)
        await noted(2)
        await noted(3)
        release.set()
        return "released"

    @task
    async def both() -> list[str]:
        return list(await gather(asking_first(), slow()))

    async with live(both) as h:
        run = await h.trigger(both)
        [approval] = await eventually(lambda: _pending(h))
        await h.approve(approval)
        assert await h.result(run) == ["released", "slow"]
        assert (await h.client.run(run.id)).epoch == 1, "the run never left memory"


async def _pending(h: object) -> list[object]:
    return list((await h.client.approvals()).items)  # type: ignore[attr-defined]


async def test_when_all_branches_wait_the_run_leaves_memory_and_decisions_come_in_any_order(
    harness: OpenHarness,
) -> None:
    @task
    async def many() -> list[int]:
        return list(await gather(*(asking(n) for n in range(5))))

    async with harness(many) as h:
        run = await h.trigger(many)
        found = list(await h.approvals(run))
        assert len(found) == 5
        assert await h.status(run) == "waiting"
        random.Random(7).shuffle(found)
        for approval in found:
            await h.correct(approval, int(approval.data) + 100)
            if approval is found[2]:
                await h.restart()
        assert await h.result(run) == [100, 101, 102, 103, 104]
    assert set(ledger.values()) == {1}


async def test_a_branch_goes_on_for_many_operations_while_another_waits(harness: OpenHarness) -> None:
    async def long(n: int) -> int:
        await asking(n)
        found = [await noted(n + each) for each in range(10, 15)]
        await asking(n + 1)
        return sum(found)

    @task
    async def both() -> list[int]:
        return list(await gather(long(0), asking(50)))

    async with harness(both) as h:
        run = await h.trigger(both)
        [first] = [one for one in await h.approvals(run) if one.data == "0"]
        await h.approve(first)
        [third] = [one for one in await h.approvals(run) if one.data == "1"]
        await h.approve(third)
        [second] = await h.approvals(run)
        await h.approve(second)
        assert await h.result(run) == [60, 50]
    assert set(ledger.values()) == {1}


async def test_the_first_error_withdraws_what_the_others_wait_for_and_is_the_same_on_replay(
    harness: OpenHarness,
) -> None:
    async def failing_later() -> None:
        await sleep("1h")
        await failing("right")

    seen = []

    @task
    async def both() -> str:
        try:
            await gather(asking(1), failing_later(), asking(2))
        except Flaky as error:
            seen.append(str(error))
        return (await wait_for_approval("go on?", key="after")).outcome

    async with harness(both) as h:
        run = await h.trigger(both)
        first, _ = await h.approvals(run)
        await h.advance("1h")
        last = await h.only_approval(run)
        assert last.key == "after#1"
        with pytest.raises(ApprovalWithdrawn):
            await h.approve(first)
        await h.restart()
        await h.approve(last)
        assert await h.result(run) == "approved"
    assert set(seen) == {"right"}
    assert ledger == {"noted 1": 1, "noted 2": 1, "failing right": 1}


async def test_a_retry_after_a_failed_branch_asks_again_what_the_failure_withdrew(harness: OpenHarness) -> None:
    @step
    async def flaky() -> str:
        if ledger.add("flaky") == 1:
            raise Flaky
        return "went well"

    async def later() -> str:
        await sleep("1h")
        return await flaky()

    @task(retry=Retry(max_attempts=2, min_delay=0))
    async def both() -> list[object]:
        return list(await gather(asking(1), later()))

    async with harness(both) as h:
        run = await h.trigger(both)
        first = await h.only_approval(run)
        await h.advance("1h")
        second = await h.only_approval(run)
        assert second.id != first.id
        assert (await h.client.approval(first.id)).status == "cancelled"
        await h.approve(second)
        assert await h.result(run) == [1, "went well"]
    assert ledger == {"noted 1": 1, "flaky": 2}


async def test_errors_are_results_where_they_are_asked_for(harness: OpenHarness) -> None:
    seen = []

    @task
    async def both() -> str:
        found = await gather(failing("left"), noted(1), failing("right"), return_exceptions=True)
        seen.append([repr(one) for one in found])
        return (await wait_for_approval("go on?")).outcome

    async with harness(both) as h:
        run = await h.trigger(both)
        await h.approve(await h.only_approval(run))
        assert await h.result(run) == "approved"
    assert all(one == ["Flaky('left')", "1", "Flaky('right')"] for one in seen)
    assert len(seen) > 1
    assert set(ledger.values()) == {1}


async def test_an_error_ends_the_run_and_names_the_operation(harness: OpenHarness) -> None:
    @task
    async def both() -> None:
        await gather(noted(1), failing("right"))

    async with harness(both) as h:
        run = await h.trigger(both)
        with pytest.raises(RunFailed, match="Flaky: right"):
            await h.result(run)
        assert [one.key for one in await entries(h, run, EntryKind.FAILED)] == ["gather#1[1]/failing#1", "gather#1"]


async def test_gathers_nest_and_follow_each_other(harness: OpenHarness) -> None:
    async def pair(n: int) -> list[int]:
        return list(await gather(noted(n), noted(n + 1)))

    @task
    async def tree() -> list[list[int]]:
        first = await gather(pair(0), pair(10))
        second = await gather(pair(20), asking(30))
        return [*first, second[0]]  # type: ignore[list-item]

    async with harness(tree) as h:
        run = await h.trigger(tree)
        await h.approve(await h.only_approval(run))
        assert await h.result(run) == [[0, 1], [10, 11], [20, 21]]
    assert set(ledger.values()) == {1}
    assert len(ledger) == 7


async def test_two_hundred_branches_each_run_once(harness: OpenHarness) -> None:
    @task
    async def wide(n: int) -> int:
        first = await gather(*(noted(each) for each in range(n)))
        await wait_for_approval("go on?")
        return sum(first) + sum(await gather(*(noted(n + each) for each in range(n))))

    async with harness(wide) as h:
        run = await h.trigger(wide, 100)
        await h.approve(await h.only_approval(run))
        assert await h.result(run) == sum(range(200))
    assert len(ledger) == 200
    assert set(ledger.values()) == {1}


async def test_branches_that_sleep_wake_one_by_one(harness: OpenHarness) -> None:
    async def sleeping(days: int) -> int:
        await sleep(f"{days}d")
        await noted(days)
        return days

    @task
    async def both() -> list[int]:
        return list(await gather(sleeping(3), sleeping(1), sleeping(2)))

    async with harness(both) as h:
        run = await h.trigger(both)
        for day in (1, 2, 3):
            await h.advance("1d")
            assert list(ledger) == [f"noted {each}" for each in range(1, day + 1)]
        assert await h.result(run) == [3, 1, 2]
    assert set(ledger.values()) == {1}


async def test_a_gather_of_nothing_gives_nothing(harness: OpenHarness) -> None:
    @task
    async def none() -> list[int]:
        return list(await gather())

    async with harness(none) as h:
        assert await h.run(none) == []


async def test_a_timer_and_a_gate_side_by_side_each_end_when_they_do(harness: OpenHarness) -> None:
    async def waiting() -> str:
        await sleep("2d")
        return "time"

    async def asked() -> str:
        return (await wait_for_approval("go on?", timeout="5d")).outcome

    @task
    async def both() -> list[str]:
        return list(await gather(waiting(), asked(), waiting()))

    async with harness(both) as h:
        run = await h.trigger(both)
        await h.advance("1d")
        await h.approve(await h.only_approval(run))
        await h.advance("1d")
        assert await h.result(run) == ["time", "approved", "time"]
        assert (await h.client.run(run.id)).epoch < 15, "a run that waits is left alone"


async def test_what_a_turn_records_itself_is_no_ground_it_has_to_cover_again(live: OpenHarness) -> None:
    begun, release = asyncio.Event(), asyncio.Event()

    @step
    async def held() -> None:
        begun.set()
        await release.wait()

    async def long() -> int:
        await asking(1)
        await noted(10)
        await held()
        return await noted(11)

    async def other() -> int:
        await asking(2)
        return await noted(20)

    @task
    async def both() -> list[int]:
        return list(await gather(long(), other()))

    async with live(both) as h:
        run = await h.trigger(both)
        first, second = sorted(await h.approvals(run), key=lambda one: one.data)
        await h.approve(first)
        await begun.wait()
        await h.approve(second)  # the turn reads the journal for the answer, and finds what it wrote
        await eventually(lambda: _noted(20))
        release.set()
        assert await h.result(run) == [11, 20]


async def _noted(n: int) -> bool:
    return f"noted {n}" in ledger
