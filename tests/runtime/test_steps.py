"""Steps: what a recorded call may be, and what it records."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from agentflow import operation, sleep, step, task, wait_for_approval
from agentflow.errors import DefinitionError, UnsupportedAwait
from agentflow.states import EntryKind
from tests.support.tasks import Ledger, entries, keys

if TYPE_CHECKING:
    from tests.runtime.conftest import OpenHarness


async def test_a_sync_step_runs_in_a_thread_and_does_not_block_the_loop(harness: OpenHarness) -> None:
    begun, release = threading.Event(), threading.Event()
    main = threading.get_ident()

    @step
    def blocking() -> bool:
        begun.set()
        assert release.wait(10)
        return threading.get_ident() != main

    @step
    async def releasing() -> str:
        await asyncio.to_thread(begun.wait, 10)
        release.set()
        return "the loop went on"

    @task
    async def both() -> list[object]:
        return list(await asyncio.gather(blocking(), releasing()))

    async with harness(both) as h:
        assert await h.run(both) == [True, "the loop went on"]


async def test_a_step_that_is_a_method_is_called_with_its_object(harness: OpenHarness, ledger: Ledger) -> None:
    class Shop:
        def __init__(self, name: str) -> None:
            self.name = name

        @step
        async def sell(self, what: str) -> str:
            ledger.add(what)
            return f"{self.name} sold {what}"

        @step(name="stocktake")
        def count(self) -> int:
            return len(self.name)

    @task
    async def selling() -> list[object]:
        shop = Shop("corner")
        return [await shop.sell("tea"), await shop.sell("jam"), await shop.count()]

    async with harness(selling) as h:
        run = await h.trigger(selling)
        assert await h.result(run) == ["corner sold tea", "corner sold jam", 6]
        assert await keys(h, run) == ["sell#1", "sell#2", "stocktake#1"]
    assert ledger == {"tea": 1, "jam": 1}


async def test_a_recorded_step_never_runs_again(harness: OpenHarness, ledger: Ledger) -> None:
    @step
    def sync(n: int) -> int:
        return ledger.add(f"sync {n}")

    @step
    async def also(n: int) -> int:
        return ledger.add(f"async {n}")

    @task
    async def counting() -> list[int]:
        found = [await sync(1), await also(1), await sync(1)]
        await wait_for_approval(found)
        await sleep("2d")
        return [*found, await also(2)]

    async with harness(counting) as h:
        run = await h.trigger(counting)
        await h.approve(await h.only_approval(run))
        await h.restart()
        await h.advance("2d")
        assert await h.result(run) == [1, 1, 2, 1]
    assert ledger == {"sync 1": 2, "async 1": 1, "async 2": 1}


async def test_a_step_called_in_a_step_is_part_of_it(harness: OpenHarness) -> None:
    @step
    async def inner(n: int) -> int:
        return n + 1

    @step
    async def outer(n: int) -> int:
        return await inner(n) + await inner(n)

    @task
    async def nesting() -> int:
        return await outer(1)

    async with harness(nesting) as h:
        run = await h.trigger(nesting)
        assert await h.result(run) == 4
        assert await keys(h, run) == ["outer#1"]


async def test_the_journal_keeps_a_step_s_arguments_result_and_time(harness: OpenHarness) -> None:
    @step
    async def add(a: int, b: int = 0) -> int:
        return a + b

    @task
    async def adding() -> int:
        return await add(1, b=2)

    async with harness(adding) as h:
        run = await h.trigger(adding)
        await h.result(run)
        [entry] = await entries(h, run, EntryKind.SUCCEEDED)
        assert (entry.key, entry.operation, entry.attempt, entry.output) == ("add#1", "step", 1, "3")
        assert entry.input == '{"args": [1], "kwargs": {"b": 2}}'
        assert entry.took is not None


async def test_the_idempotency_key_is_the_same_on_every_attempt_and_no_other_s(
    harness: OpenHarness, ledger: Ledger
) -> None:
    @step
    async def paying() -> str:
        found = operation()
        assert found is not None
        return found.idempotency_key

    async def helper() -> str:
        found = operation()
        assert found is not None
        return found.key

    @task
    async def keyed() -> list[str]:
        assert operation() is None, "the task's own code is no operation"
        return [await paying(), await paying(), await helper()]

    async with harness(keyed) as h:
        run = await h.trigger(keyed)
        first, second, helped = await h.result(run)
        assert (first, second) == (f"{run.id}:paying#1", f"{run.id}:paying#2")
        assert helped.endswith("helper#1")
    assert operation() is None


@pytest.mark.parametrize("what", ["approval", "child", "result"])
async def test_waiting_inside_a_step_is_refused_with_what_to_do(harness: OpenHarness, what: str) -> None:
    @task
    async def child() -> None:
        pass

    @step
    async def waiting() -> None:
        if what == "approval":
            await wait_for_approval({"x": 1})
        elif what == "child":
            await child.trigger()
        else:
            await child.trigger_and_wait()

    @task
    async def calling() -> str:
        try:
            await waiting()
        except UnsupportedAwait as error:
            return str(error)
        return "nothing was said"

    async with harness(calling, child) as h:
        said = await h.run(calling)
        assert "inside step waiting#1" in said
        assert "do it in the task" in said
        assert await h.approvals() == []
        assert len((await h.client.runs()).items) == 1


def test_a_step_that_cannot_work_is_refused_where_it_is_defined() -> None:
    def generating() -> object:
        yield 1

    with pytest.raises(DefinitionError, match="generator"):
        step(generating)
    with pytest.raises(DefinitionError, match="at_least_once"):
        step(effect="twice")(len)
    with pytest.raises(DefinitionError, match="timeout"):
        step(timeout=0)(len)
    with pytest.raises(DefinitionError, match="name"):
        step(name=" ")(len)


async def test_outside_a_run_steps_and_tasks_just_run(ledger: Ledger) -> None:
    @step
    def sync(n: int) -> int:
        return n + 1

    @step
    async def also(n: int) -> int:
        return n + 2

    @task
    async def whole(n: int) -> int:
        ledger.add("whole")
        return await sync(n) + await also(n) + await asyncio.wait_for(also(n), 1)

    assert await sync(1) == 2
    assert await whole(1) == 8
    assert ledger == {"whole": 1}
