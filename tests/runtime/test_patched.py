"""`patched`: a place changed on purpose. Runs that had passed it go the old way, all others the new one, for good."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from agentflow import Retry, gather, patched, scope, sleep, step, task, wait_for_approval
from agentflow.errors import DefinitionError
from agentflow.states import EntryKind
from tests.support.tasks import Flaky, Ledger, entries, keys

if TYPE_CHECKING:
    from tests.runtime.conftest import OpenHarness

ledger = Ledger()


@pytest.fixture(autouse=True)
def _empty_ledger() -> None:
    ledger.clear()


@step
async def old() -> str:
    ledger.add("old")
    return "old"


@step
async def new() -> str:
    ledger.add("new")
    return "new"


@step
async def last() -> str:
    ledger.add("last")
    return "last"


async def gate(key: str = "gate") -> str:
    return (await wait_for_approval("go on?", key=key)).outcome


async def marks(h: Any, run: Any) -> list[str | None]:
    return [one.detail for one in await entries(h, run, EntryKind.PATCHED)]


@task(id="changing")
async def before() -> list[str]:
    return [await old(), await gate(), await last()]


@task(id="changing")
async def after() -> list[str]:
    first = await new() if await patched("new way") else await old()
    return [first, await gate(), await last()]


@task(id="changing")
async def gate_first() -> list[str]:
    return [await gate(), await old()]


@task(id="changing")
async def gate_first_patched() -> list[str]:
    outcome = await gate()
    return [outcome, await new() if await patched("new way") else await old()]


async def test_a_run_that_begins_on_the_new_code_takes_the_new_way(harness: OpenHarness) -> None:
    async with harness(after) as h:
        run = await h.trigger(after)
        await h.approve(await h.only_approval(run))
        assert await h.result(run) == ["new", "approved", "last"]
        assert await marks(h, run) == ["new way"], "one mark, however often it is replayed"
    assert ledger == {"new": 1, "last": 1}


async def test_a_run_that_had_passed_the_place_goes_on_the_old_way(harness: OpenHarness) -> None:
    async with harness(before) as h:
        run = await h.trigger(before)
        approval = await h.only_approval(run)
        await h.restart(after)
        await h.approve(approval)
        assert await h.result(run) == ["old", "approved", "last"]
        assert await marks(h, run) == []
    assert ledger == {"old": 1, "last": 1}


async def test_an_open_run_that_comes_to_the_place_later_takes_the_new_way(harness: OpenHarness) -> None:
    async with harness(gate_first) as h:
        run = await h.trigger(gate_first)
        approval = await h.only_approval(run)
        await h.restart(gate_first_patched)
        await h.approve(approval)
        assert await h.result(run) == ["approved", "new"]
        assert await marks(h, run) == ["new way"]
    assert ledger == {"new": 1}


async def test_the_answer_is_the_same_after_a_crash(harness: OpenHarness) -> None:
    @task(id="changing")
    async def twice() -> list[str]:
        found = [await new() if await patched("new way") else await old()]
        await gate("first")
        found.append(await new() if await patched("new way") else await old())
        await gate("second")
        return found

    async with harness(twice) as h:
        run = await h.trigger(twice)
        await h.approve(await h.only_approval(run))
        second = await h.only_approval(run)
        await h.crash()
        await h.approve(second)
        assert await h.result(run) == ["new", "new"]
        assert await marks(h, run) == ["new way"]
    assert ledger == {"new": 2}


async def test_a_place_passed_the_old_way_stays_old_in_a_loop(harness: OpenHarness) -> None:
    """Half of the loop is recorded; the other half of the same run is not to go another way by the same name."""

    def version(is_new: bool) -> Any:
        @task(id="looping")
        async def looping() -> list[str]:
            found = []
            for _ in range(3):
                way = new if is_new and await patched("new way") else old
                found.append(await way())
                await sleep("1d")
            return found

        return looping

    async with harness(version(False)) as h:
        run = await h.client.trigger_json("looping", {})
        await h.until_idle()
        await h.restart(version(True))
        for _ in range(3):
            await h.advance("1d")
        assert await h.result(run) == ["old", "old", "old"]
    assert ledger == {"old": 3}


async def test_the_mark_can_be_removed_once_the_old_way_is_gone(harness: OpenHarness) -> None:
    """The mark is no operation: code without the question fits a journal that has the answer."""

    @task(id="changing")
    async def cleaned() -> list[str]:
        return [await new(), await gate(), await last()]

    async with harness(after) as h:
        run = await h.trigger(after)
        approval = await h.only_approval(run)
        assert await marks(h, run) == ["new way"]
        await h.restart(cleaned)
        await h.approve(approval)
        assert await h.result(run) == ["new", "approved", "last"]
        assert await keys(h, run) == ["new#1", "gate#1", "last#1"]


async def test_each_branch_answers_for_itself(harness: OpenHarness) -> None:
    """One branch is past the place, the other waits before it; neither diverges, in whichever order they are asked."""

    def version(is_new: bool) -> Any:
        async def passes() -> str:
            found = await new() if is_new and await patched("new way") else await old()
            return found + await gate("passed")

        async def comes_later() -> str:
            await gate("later")
            return await new() if is_new and await patched("new way") else await old()

        @task(id="branching")
        async def branching() -> list[str]:
            both = list(await gather(comes_later(), passes()))
            return [*both, await new() if is_new and await patched("new way") else await old()]

        return branching

    async with harness(version(False)) as h:
        run = await h.client.trigger_json("branching", {})
        approvals = {one.key.rpartition("/")[2]: one for one in await h.approvals(run)}
        await h.restart(version(True))
        await h.approve(approvals["later#1"])
        await h.until_idle()
        await h.approve(approvals["passed#1"])
        assert await h.result(run) == ["new", "oldapproved", "new"]
        assert await marks(h, run) == ["gather#1[0]/new way", "new way"]
    assert ledger == {"old": 1, "new": 2}


async def test_a_place_in_a_function_that_has_returned_decides_nothing_for_what_comes_after(
    harness: OpenHarness,
) -> None:
    def version(is_new: bool) -> Any:
        async def one() -> str:
            return await new() if is_new and await patched("new way") else await old()

        @task(id="branching")
        async def branching() -> list[str]:
            first = await one()
            await gate()
            return [first, *await gather(one(), one())]

        return branching

    async with harness(version(False)) as h:
        run = await h.client.trigger_json("branching", {})
        approval = await h.only_approval(run)
        await h.restart(version(True))
        await h.approve(approval)
        assert await h.result(run) == ["old", "new", "new"]
    assert ledger == {"old": 1, "new": 2}


async def test_a_question_in_the_task_holds_for_the_branches_it_starts_later(harness: OpenHarness) -> None:
    def version(is_new: bool) -> Any:
        @task(id="branching")
        async def branching() -> list[str]:
            way = is_new and await patched("new way")
            await last()
            await gate()

            async def one() -> str:
                return await new() if is_new and await patched("new way") else await old()

            return [str(way), *await gather(one(), one())]

        return branching

    async with harness(version(False)) as h:
        run = await h.client.trigger_json("branching", {})
        approval = await h.only_approval(run)
        await h.restart(version(True))
        await h.approve(approval)
        assert await h.result(run) == ["False", "old", "old"]
        assert await marks(h, run) == []


async def test_a_place_in_a_part_that_the_run_has_passed_goes_the_old_way(harness: OpenHarness) -> None:
    """Nothing in the part itself is left to be replayed; what comes after it is."""

    def version(is_new: bool) -> Any:
        @task(id="parted")
        async def parted() -> list[str]:
            async with scope("part"):
                found = [await old()]
                if is_new and await patched("one more"):
                    found.append(await new())
            return [*found, await last(), await gate()]

        return parted

    async with harness(version(False)) as h:
        run = await h.client.trigger_json("parted", {})
        approval = await h.only_approval(run)
        await h.restart(version(True))
        await h.approve(approval)
        assert await h.result(run) == ["old", "last", "approved"]
        begun = await h.client.trigger_json("parted", {})
        await h.approve(await h.only_approval(begun))
        assert await h.result(begun) == ["old", "new", "last", "approved"]
    assert ledger == {"old": 2, "new": 1, "last": 2}


async def test_a_retried_run_keeps_to_the_way_it_went(harness: OpenHarness) -> None:
    @step
    async def shaky() -> str:
        if ledger.add("shaky") == 1:
            raise Flaky("once")
        return "steady"

    def version(is_new: bool) -> Any:
        @task(id="retried", retry=Retry(max_attempts=2, min_delay="1h"))
        async def retried() -> list[str]:
            first = await new() if is_new and await patched("first") else await old()
            second = await shaky()
            return [first, second, await new() if is_new and await patched("second") else await old()]

        return retried

    async with harness(version(False)) as h:
        run = await h.client.trigger_json("retried", {})
        await h.until_idle()
        await h.restart(version(True))
        await h.advance("1h")
        assert await h.result(run) == ["old", "steady", "new"]
        assert await marks(h, run) == ["second"]
    assert ledger == {"old": 1, "shaky": 2, "new": 1}


async def test_a_nested_task_that_is_cut_off_goes_on_the_way_it_went(harness: OpenHarness) -> None:
    def version(is_new: bool) -> Any:
        @task(id="inner")
        async def inner() -> str:
            found = await new() if is_new and await patched("new way") else await old()
            await gate()
            return found

        @task(id="outer")
        async def outer() -> list[str]:
            return [await inner(), await inner()]

        return outer

    async with harness(version(False)) as h:
        run = await h.client.trigger_json("outer", {})
        approval = await h.only_approval(run)
        await h.restart(version(True))
        await h.approve(approval)
        await h.approve(await h.only_approval(run))
        assert (await h.result(run))[0] == "old"
    assert ledger["old"] >= 1


async def test_outside_a_run_and_inside_a_step_the_new_way_is_taken(harness: OpenHarness) -> None:
    @step
    async def asking() -> bool:
        return await patched("new way")

    @task
    async def asks() -> bool:
        return await asking()

    assert await patched("new way") is True
    async with harness(asks) as h:
        assert await h.run(asks) is True


@pytest.mark.parametrize("name", ["", "   ", "x" * 201])
async def test_a_name_that_cannot_be_used_is_refused(live: OpenHarness, name: str) -> None:
    with pytest.raises(DefinitionError, match=r"empty|201 characters"):
        await patched(name)
