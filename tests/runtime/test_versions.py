"""Versions side by side: a run is taken by code that is meant for it, or waits where everybody can see why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from agentflow import step, task, wait_for_approval
from agentflow.errors import DefinitionError, TaskNotFound
from agentflow.tasks.catalog import Catalog
from agentflow.testing.worker import TestWorker
from tests.support.tasks import Ledger

if TYPE_CHECKING:
    from agentflow.testing import Harness
    from tests.runtime.conftest import OpenHarness

ledger = Ledger()


@pytest.fixture(autouse=True)
def _empty_ledger() -> None:
    ledger.clear()


@step
async def act(name: str) -> str:
    ledger.add(name)
    return name


async def gate() -> str:
    return (await wait_for_approval("go on?", key="gate")).outcome


def version(number: str, on_new: Any = "carry") -> Any:
    """A version of one task whose first act tells it from the others; only versions that act alike fit its journal."""

    @task(id="paying", version=number, on_new_version=on_new)
    async def paying() -> list[str]:
        return [await act("begun"), await gate(), await act(f"by {number}")]

    return paying


# -- catalogs


def test_the_newest_version_is_the_one_with_the_greatest_numbers() -> None:
    for numbers in (["9", "10"], ["10", "9"], ["1.10", "1.9", "1.2"], ["2024-9-30", "2024-10-1"], ["1", "1.1"]):
        catalog = Catalog.collect([version(number) for number in numbers])
        newest = {"9": "10", "10": "10", "1.10": "1.10", "2024-9-30": "2024-10-1", "1": "1.1"}[numbers[0]]
        assert catalog.task("paying").version == newest
        assert {number: catalog.task("paying", number).version for number in numbers} == {n: n for n in numbers}


def test_two_tasks_of_one_id_and_version_are_refused() -> None:
    with pytest.raises(DefinitionError, match=r"two tasks have the id 'paying' and the version '1'"):
        Catalog.collect(version("1"), version("2"), version("1"))
    same = version("1")
    assert Catalog.collect(same, same).task("paying") is same


def test_a_version_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(TaskNotFound, match=r"no version '3' of task 'paying'; there are: 9, 10"):
        Catalog.collect(version("10"), version("9")).task("paying", "3")


@pytest.mark.parametrize("number", ["", " ", "x" * 101])
def test_a_version_that_cannot_be_used_is_refused(number: str) -> None:
    with pytest.raises(DefinitionError, match="version="):
        version(number)


def test_what_becomes_of_open_runs_is_one_of_two_things() -> None:
    with pytest.raises(DefinitionError, match=r"on_new_version='drop': wanted 'carry' or 'pin'"):
        version("1", "drop")


def test_schedules_start_the_newest_version() -> None:
    versions = [task.schedule("every 1h")(version(number)) for number in ("1", "2")]
    catalog = Catalog.collect(versions)
    assert catalog.tasks == {"paying": versions[1]}
    assert list(catalog.schedules) == list(versions[1].schedules)


def test_what_a_worker_can_take_is_told_by_task_and_by_version() -> None:
    carried, pinned = Catalog.collect(version("1"), version("2")), Catalog.collect(version("1"), version("2", "pin"))
    assert carried.claimable() == (["paying"], [])
    assert pinned.claimable() == ([], [("paying", "1"), ("paying", "2")])
    assert set(carried.served()) == {"paying@1", "paying@2", "paying@*"}
    assert set(pinned.served()) == {"paying@1", "paying@2"}


# -- runs


async def finished(h: Harness, run: Any) -> Any:
    await h.approve(await h.only_approval(run))
    return await h.result(run)


async def test_a_new_run_is_of_the_newest_version(harness: OpenHarness) -> None:
    async with harness(version("1"), version("2")) as h:
        run = await h.client.trigger_json("paying", {})
        assert run.version == "2"
        assert await finished(h, run) == ["begun", "approved", "by 2"]


async def test_a_run_goes_on_with_its_own_version_where_that_is_served(harness: OpenHarness) -> None:
    old = version("1")
    async with harness(old) as h:
        run = await h.trigger(old)
        await h.only_approval(run)
        await h.restart(old, version("2"))
        assert await finished(h, run) == ["begun", "approved", "by 1"]


async def test_a_run_is_carried_over_to_the_newest_version(harness: OpenHarness) -> None:
    old = version("1")
    async with harness(old) as h:
        run = await h.trigger(old)
        await h.only_approval(run)
        await h.restart(version("2"), version("3"))
        assert await finished(h, run) == ["begun", "approved", "by 3"]
        assert (await h.client.run(run.id)).version == "1", "it is still a run of the version it began with"


async def test_a_pinned_run_waits_for_its_own_version(harness: OpenHarness) -> None:
    old = version("1", "pin")
    async with harness(old) as h:
        run = await h.trigger(old)
        approval = await h.only_approval(run)
        await h.restart(version("2", "pin"))
        assert h.app.catalog.task_for(run) is None
        await h.approve(approval)
        assert await h.status(run) == "queued", "it waits, and does not fail"
        assert await h.why(run) == (
            "no worker that is alive knows task 'paying' (version 1); the workers alive know paying@2"
        )
        await h.advance("90d")
        assert await h.status(run) == "queued"
        await h.restart(version("2", "pin"), old)
        assert await h.result(run) == ["begun", "approved", "by 1"]
    assert ledger == {"begun": 1, "by 1": 1}


async def test_a_run_of_an_unknown_task_waits_for_a_worker_that_has_it(harness: OpenHarness) -> None:
    @task
    async def other() -> None: ...

    known = version("1")
    async with harness(known) as h:
        run = await h.trigger(known)
        approval = await h.only_approval(run)
        await h.restart(other)
        await h.approve(approval)
        assert await h.status(run) == "queued"
        assert await h.why(run) == (
            "no worker that is alive knows task 'paying' (version 1); the workers alive know other@1"
        )
        await h.run(other)
        await h.restart(other, known)
        assert await h.result(run) == ["begun", "approved", "by 1"]
    assert ledger == {"begun": 1, "by 1": 1}


async def test_a_rolling_deploy_and_its_rollback_leave_each_run_to_a_matching_version(live: OpenHarness) -> None:
    """Two workers, one on the old code and one on the new, then only the old again: nothing runs on the other's."""
    old, new = version("1", "pin"), version("2", "pin")
    async with live(old) as h:
        first = await h.trigger(old)
        approvals = [await h.only_approval(first)]

        deployed = TestWorker(h.store, Catalog.collect(new), h._settings, h.clock, replay_always=False)
        await deployed.start()
        second = await h.client.trigger(new)
        await deployed.until_idle()
        approvals.append(await h.only_approval(second))
        for approval in approvals:
            await h.approve(approval)
        await h.until_idle()
        await deployed.until_idle()
        assert await h.result(first) == ["begun", "approved", "by 1"]
        assert await h.result(second) == ["begun", "approved", "by 2"]

        third = await h.client.trigger(new)
        await deployed.until_idle()
        approval = await h.only_approval(third)
        await deployed.stop()
        await h.approve(approval)
        assert await h.status(third) == "queued", "rolled back: the new run waits"
        assert "(version 2); the workers alive know paying@1" in await h.why(third)
        fourth = await h.trigger(old)
        assert await finished(h, fourth) == ["begun", "approved", "by 1"]

        again = TestWorker(h.store, Catalog.collect(new), h._settings, h.clock, replay_always=False)
        await again.start()
        await again.until_idle()
        assert await h.result(third) == ["begun", "approved", "by 2"]
        await again.stop()
    assert ledger == {"begun": 4, "by 1": 2, "by 2": 2}


async def test_a_worker_that_has_both_versions_serves_the_runs_of_both(harness: OpenHarness) -> None:
    old, new = version("1", "pin"), version("2", "pin")
    async with harness(old, new) as h:
        runs = [await h.trigger(old), await h.trigger(new)]
        assert [await finished(h, run) for run in runs] == [
            ["begun", "approved", "by 1"],
            ["begun", "approved", "by 2"],
        ]


async def test_a_worker_that_pins_everything_still_takes_new_runs(harness: OpenHarness) -> None:
    only = version("7", "pin")
    async with harness(only) as h:
        assert await finished(h, await h.trigger(only)) == ["begun", "approved", "by 7"]
