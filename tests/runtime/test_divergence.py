"""Code that changed under a run: it goes on where its journal fits, and otherwise stops where everybody can see it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from agentflow import gather, sleep, step, task, wait_for_approval
from agentflow.states import EntryKind
from tests.support.tasks import Ledger, entries, keys

if TYPE_CHECKING:
    from tests.runtime.conftest import OpenHarness

ledger = Ledger()


@pytest.fixture(autouse=True)
def _empty_ledger() -> None:
    ledger.clear()


@step
async def one(n: int = 1) -> str:
    ledger.add("one")
    return f"one {n}"


@step
async def two(n: int = 2) -> str:
    ledger.add("two")
    return f"two {n}"


@step
async def three() -> str:
    ledger.add("three")
    return "three"


async def gate() -> str:
    return (await wait_for_approval("go on?", key="gate")).outcome


@task(id="changing")
async def first_version() -> list[str]:
    return [await one(), await two(), await gate(), await three()]


@task(id="changing")
async def renamed() -> list[str]:
    return [await one(), await three(), await gate(), await three()]


@task(id="changing")
async def inserted() -> list[str]:
    return [await one(), await three(), await two(), await gate(), await three()]


@task(id="changing")
async def removed() -> list[str]:
    return [await one(), await gate(), await three()]


@task(id="changing")
async def reordered() -> list[str]:
    return [await two(), await one(), await gate(), await three()]


@task(id="changing")
async def shortened() -> list[str]:
    return [await one()]


@task(id="changing")
async def in_branches() -> list[str]:
    both = await gather(one(), two())
    return [*both, await gate(), await three()]


BROKEN = [
    (renamed, "step two#1", "step three#1"),
    (inserted, "step two#1", "step three#1"),
    (removed, "step two#1", "await gate#1"),
    (reordered, "step one#1", "step two#1"),
    (shortened, "step two#1", "nothing more"),
    (in_branches, "step one#1", "gather gather#1"),
]


@pytest.mark.parametrize(("changed", "recorded", "asked"), BROKEN, ids=[one[0].__name__ for one in BROKEN])
async def test_a_run_whose_code_no_longer_fits_stops_and_shows_both_sides(
    harness: OpenHarness, changed: Any, recorded: str, asked: str
) -> None:
    async with harness(first_version) as h:
        run = await h.trigger(first_version)
        await h.only_approval(run)
        await h.restart(changed)
        await h.approve(await h.only_approval(run))
        assert await h.status(run) == "needs_attention"
        [entry] = await entries(h, run, EntryKind.DIVERGED)
        said = json.loads(entry.detail or "")
        assert (said["recorded"], said["asked"]) == (recorded, asked)
        why = await h.why(run)
        assert f"run {run.id} diverged: recorded {recorded}, the code asks for {asked}" in why
        assert ledger == {"one": 1, "two": 1}, "nothing ran that does not fit"


@pytest.mark.parametrize("changed", [renamed, shortened], ids=["renamed", "shortened"])
async def test_a_stopped_run_goes_on_once_its_code_is_mended_and_it_is_resumed(
    harness: OpenHarness, changed: Any
) -> None:
    async with harness(first_version) as h:
        run = await h.trigger(first_version)
        approval = await h.only_approval(run)
        await h.restart(changed)
        await h.approve(approval)
        assert await h.status(run) == "needs_attention"
        await h.restart(first_version)
        assert await h.status(run) == "needs_attention", "it does not move by itself"
        await h.client.resume(run.id, by="operator")
        assert await h.result(run) == ["one 1", "two 2", "approved", "three"]
    assert ledger == {"one": 1, "two": 1, "three": 1}


async def test_a_stopped_run_can_be_cancelled(harness: OpenHarness) -> None:
    async with harness(first_version) as h:
        run = await h.trigger(first_version)
        approval = await h.only_approval(run)
        await h.restart(renamed)
        await h.approve(approval)
        assert await h.status(run) == "needs_attention"
        await h.client.cancel(run.id, by="operator")
        assert await h.status(run) == "cancelled"


async def test_code_added_after_what_is_recorded_is_no_divergence(harness: OpenHarness) -> None:
    @task(id="changing")
    async def longer() -> list[str]:
        return [await one(), await two(), await gate(), await one(), await three(), await two()]

    async with harness(first_version) as h:
        run = await h.trigger(first_version)
        approval = await h.only_approval(run)
        await h.restart(longer)
        await h.approve(approval)
        assert await h.result(run) == ["one 1", "two 2", "approved", "one 1", "three", "two 2"]
    assert ledger == {"one": 2, "two": 2, "three": 1}


async def test_an_operation_that_became_another_kind_stops_the_run(harness: OpenHarness) -> None:
    @step(name="gate")
    async def gate_as_step() -> str:
        ledger.add("gate as step")
        return "approved"

    @task(id="changing")
    async def other_kind() -> list[str]:
        return [await one(), await two(), await gate_as_step()]

    async with harness(first_version) as h:
        run = await h.trigger(first_version)
        approval = await h.only_approval(run)
        await h.restart(other_kind)
        await h.approve(approval)
        assert await h.status(run) == "needs_attention"
        assert "step gate#1" in await h.why(run)
    assert "gate as step" not in ledger


@task(id="changing")
async def other_input() -> list[str]:
    return [await one(7), await two(), await gate(), await three()]


@task(id="changing", changed_input="stop")
async def other_input_strict() -> list[str]:
    return [await one(7), await two(), await gate(), await three()]


async def test_a_changed_input_is_noted_once_and_goes_on_with_what_is_recorded(harness: OpenHarness) -> None:
    async with harness(first_version) as h:
        run = await h.trigger(first_version)
        approval = await h.only_approval(run)
        await h.restart(other_input)
        await h.approve(approval)
        assert await h.result(run) == ["one 1", "two 2", "approved", "three"]
        [noted] = await entries(h, run, EntryKind.INPUT_CHANGED)
        assert (noted.key, noted.input) == ("one#1", "[7]")
    assert ledger == {"one": 1, "two": 1, "three": 1}


async def test_a_changed_input_stops_a_strict_task(harness: OpenHarness) -> None:
    async with harness(first_version) as h:
        run = await h.trigger(first_version)
        approval = await h.only_approval(run)
        await h.restart(other_input_strict)
        await h.approve(approval)
        assert await h.status(run) == "needs_attention"
        assert "step one#1 with None, the code asks for the same with [7]" in await h.why(run)


async def test_a_result_that_no_longer_fits_its_annotation_stops_the_run(harness: OpenHarness) -> None:
    @step(name="one")
    async def one_as_number(n: int = 1) -> int:
        ledger.add("as number")
        return n

    @task(id="changing")
    async def other_type() -> list[object]:
        return [await one_as_number(), await two(), await gate(), await three()]

    async with harness(first_version) as h:
        run = await h.trigger(first_version)
        approval = await h.only_approval(run)
        await h.restart(other_type)
        await h.approve(approval)
        assert await h.status(run) == "needs_attention"
        assert "with a result of another type" in await h.why(run)
    assert "as number" not in ledger


async def test_branches_are_held_against_their_own_journal_only(harness: OpenHarness) -> None:
    async def left(first: bool) -> str:
        await one() if first else await two()
        return await gate()

    def version(first: bool) -> Any:
        @task(id="branching")
        async def branching() -> list[str]:
            return list(await gather(left(first), gate()))

        return branching

    async with harness(version(True)) as h:
        run = await h.client.trigger_json("branching", {})
        approvals = await h.approvals(run)
        await h.restart(version(False))
        await h.approve(approvals[0])
        assert await h.status(run) == "needs_attention"
        [entry] = await entries(h, run, EntryKind.DIVERGED)
        assert "/one#1" in json.loads(entry.detail or "")["recorded"]
        assert "gather#1[0]" in json.loads(entry.detail or "")["recorded"]


async def test_chance_in_the_open_is_caught_where_it_changes_the_path(harness: OpenHarness) -> None:
    turns: list[int] = []

    @task
    async def erratic() -> str:
        turns.append(1)
        await (one() if len(turns) == 1 else two())
        await sleep("1d")
        return "done"

    async with harness(erratic) as h:
        run = await h.trigger(erratic)
        await h.advance("1d")
        assert await h.status(run) == "needs_attention"
        assert await keys(h, run) == ["one#1"]


async def test_a_bare_except_does_not_hide_a_divergence(harness: OpenHarness) -> None:
    def version(name: Any) -> Any:
        @task(id="greedy")
        async def greedy() -> str:
            try:
                await name()
                return await gate()
            except BaseException:  # noqa: BLE001  the point of the test
                return "swallowed"

        return greedy

    async with harness(version(one)) as h:
        run = await h.client.trigger_json("greedy", {})
        approval = await h.only_approval(run)
        await h.restart(version(two))
        await h.approve(approval)
        assert await h.status(run) == "needs_attention"
