"""`scope(name)`: a named part of a run, with an order of its own."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from agentflow import Retry, RunFailed, Step, gather, operation, scope, step, task, wait_for_approval
from agentflow.errors import DefinitionError
from tests.support.tasks import Flaky, Ledger, keys

if TYPE_CHECKING:
    from tests.runtime.conftest import OpenHarness

ledger = Ledger()


@pytest.fixture(autouse=True)
def _empty_ledger() -> None:
    ledger.clear()


@step
async def noted(what: str) -> str:
    ledger.add(what)
    return what


@step
async def flaky(what: str) -> str:
    if ledger.add(what) < 3:
        raise Flaky(what)
    return what


def fail(text: str) -> None:
    raise Flaky(text)


async def asked(key: str) -> str:
    return (await wait_for_approval("go on?", key=key)).outcome


async def test_operations_inside_are_keyed_by_the_scope_and_happen_once(harness: OpenHarness) -> None:
    @task
    async def booking() -> list[str]:
        said = [await noted("before")]
        for _ in range(2):
            async with scope("reserve"):
                said.append(await noted("flight"))
                said.append(await asked("sure"))
                async with scope("extras"):
                    said.append(await noted("seat"))
        async with scope("pay"):
            said += await gather(noted("card"), noted("points"))
        return [*said, await noted("after")]

    async with harness(booking) as h:
        run = await h.trigger(booking)
        for _ in range(2):
            await h.approve(await h.only_approval(run))
        reserved = ["flight", "approved", "seat"]
        assert await h.result(run) == ["before", *reserved, *reserved, "card", "points", "after"]
        *one_by_one, left, right, last = [key for key in await keys(h, run) if "noted" in key]
        assert one_by_one == [
            "noted#1",
            "reserve#1/noted#1",
            "reserve#1/extras#1/noted#1",
            "reserve#2/noted#1",
            "reserve#2/extras#1/noted#1",
        ]
        # Each of them first looks up what it said before it was cut off, and a server answers two looks in any order.
        assert {left, right} == {"pay#1/gather#1[0]/noted#1", "pay#1/gather#1[1]/noted#1"}
        assert last == "noted#2"
    assert ledger == {"before": 1, "flight": 2, "seat": 2, "card": 1, "points": 1, "after": 1}


async def test_an_error_leaves_the_scope_and_what_handles_it_is_outside(harness: OpenHarness) -> None:
    @task
    async def booking() -> str:
        try:
            async with scope("outer"), scope("inner"):
                await noted("one")
                fail("inside")
        except Flaky as error:
            await noted(f"handled {error}")
        return await asked("sure")

    async with harness(booking) as h:
        run = await h.trigger(booking)
        await h.approve(await h.only_approval(run))
        assert await h.result(run) == "approved"
        assert [key for key in await keys(h, run) if "noted" in key] == ["outer#1/inner#1/noted#1", "noted#1"]
    assert ledger == {"one": 1, "handled inside": 1}


async def test_a_retry_of_the_run_repeats_what_failed_inside_and_nothing_else(harness: OpenHarness) -> None:
    @task(retry=Retry(max_attempts=3, min_delay=0))
    async def booking() -> list[str]:
        async with scope("reserve"):
            said = [await noted("one"), await flaky("two"), await noted("three")]
        return [*said, await noted("four")]

    async with harness(booking) as h:
        assert await h.run(booking) == ["one", "two", "three", "four"]
    assert ledger == {"one": 1, "two": 3, "three": 1, "four": 1}


async def test_a_scope_in_which_nothing_happens_leaves_no_trace(harness: OpenHarness) -> None:
    @task
    async def booking() -> str:
        async with scope("empty"), scope("also empty"):
            pass
        await noted("one")
        async with scope("empty"):
            await noted("two")
        return await asked("sure")

    async with harness(booking) as h:
        run = await h.trigger(booking)
        await h.approve(await h.only_approval(run))
        assert await h.result(run) == "approved"
        assert "empty#2/noted#1" in await keys(h, run)
    assert ledger == {"one": 1, "two": 1}


async def test_branches_have_scopes_of_their_own(harness: OpenHarness) -> None:
    @task
    async def branch(n: int) -> str:
        async with scope("part"):
            return await noted(f"{n}") + await asked(f"gate {n}")

    @task
    async def both() -> list[str]:
        return list(await gather(branch(1), branch(2)))

    async with harness(both, branch) as h:
        run = await h.trigger(both)
        for approval in await h.approvals(run):
            assert approval.key in {f"gather#1[{n - 1}]/branch#1/part#1/asked#1/gate {n}#1" for n in (1, 2)}
            await h.approve(approval)
        assert await h.result(run) == ["1approved", "2approved"]
    assert ledger == {"1": 1, "2": 1}


RENAMED = {
    "the scope": ("book", "flight", "scope book#1"),
    "the operation in it": ("reserve", "train", "step reserve#1/train#1"),
}


@pytest.mark.parametrize("what", list(RENAMED))
async def test_renaming_what_is_recorded_is_a_divergence_and_runs_nothing(live: OpenHarness, what: str) -> None:
    name, call, asked_for = RENAMED[what]
    current = {"scope": "reserve", "call": "flight"}

    @task(id="booking")
    async def booking() -> str:
        called = Step(noted.function, name=current["call"])
        async with scope(current["scope"]):
            await called("one")
        return await asked("sure")

    async with live(booking) as h:
        run = await h.trigger(booking)
        approval = await h.only_approval(run)
        current.update(scope=name, call=call)
        await h.restart()
        await h.approve(approval)
        assert await h.status(run) == "needs_attention"
        assert asked_for in await h.why(run)
    assert ledger == {"one": 1}


@pytest.mark.parametrize("error", [None, Flaky("early")])
async def test_leaving_a_scope_before_what_is_recorded_in_it_is_a_divergence(
    live: OpenHarness, error: Exception | None
) -> None:
    changed: list[bool] = []

    @task
    async def booking() -> str:
        try:
            async with scope("reserve"):
                if changed and error is not None:
                    raise error
                if not changed:
                    await noted("one")
        except Flaky:
            await noted("handled")
        return await asked("sure")

    async with live(booking) as h:
        run = await h.trigger(booking)
        approval = await h.only_approval(run)
        changed.append(True)
        await h.restart()
        await h.approve(approval)
        assert await h.status(run) == "needs_attention"
        assert "nothing more in reserve#1" in await h.why(run)
    assert ledger == {"one": 1}


async def test_a_removed_scope_is_a_divergence(live: OpenHarness) -> None:
    changed: list[bool] = []

    @task
    async def booking() -> str:
        if not changed:
            async with scope("reserve"):
                await noted("one")
        return await asked("sure")

    async with live(booking) as h:
        run = await h.trigger(booking)
        approval = await h.only_approval(run)
        changed.append(True)
        await h.restart()
        await h.approve(approval)
        assert await h.status(run) == "needs_attention"
        assert "reserve#1" in await h.why(run)


async def test_what_is_logged_in_a_scope_is_kept_once(harness: OpenHarness) -> None:
    logger = logging.getLogger("tests.scopes")

    @task
    async def booking() -> str:
        async with scope("reserve"):
            await noted("one")
            logger.warning("inside")
        await noted("two")
        async with scope("empty"):
            logger.warning("alone")
        return await asked("sure")

    async with harness(booking) as h:
        run = await h.trigger(booking)
        await h.approve(await h.only_approval(run))
        assert await h.result(run) == "approved"
        lines = [(one.message, one.key) for one in await h.client.logs(run.id)]
    assert lines == [("inside", "reserve#1"), ("alone", "empty#1")]


async def test_a_bare_wait_in_a_scope_is_reported_and_an_operation_is_not(
    live: OpenHarness, caplog: pytest.LogCaptureFixture
) -> None:
    @task
    async def quiet() -> str:
        async with scope("reserve"):
            return await noted("one")

    @task(checkpoint="explicit")
    async def bare() -> str:
        async with scope("reserve"):
            await asyncio.sleep(0)
            return await noted("one")

    async with live(quiet, bare) as h:
        await h.run(quiet)
        assert "no recorded operation" not in caplog.text
        await h.run(bare)
    assert "no recorded operation" in caplog.text


async def test_outside_a_run_and_in_a_step_it_does_nothing(harness: OpenHarness) -> None:
    @step
    async def inside() -> str:
        async with scope("reserve"):
            found = operation()
            return "none" if found is None else found.key

    @task
    async def booking() -> list[str]:
        async with scope("reserve"):
            found = operation()
            assert found is not None
            return [found.key, await inside()]

    assert await inside() == "none"
    async with harness(booking) as h:
        assert await h.run(booking) == ["reserve#1", "reserve#1/inside#1"]


@pytest.mark.parametrize("name", ["", "  ", None, 3])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(DefinitionError):
        scope(name)


async def test_one_scope_object_is_entered_once_at_a_time(live: OpenHarness) -> None:
    @task
    async def booking() -> None:
        one = scope("reserve")
        async with one:
            await noted("one")
        async with one, one:
            await noted("two")

    async with live(booking) as h:
        with pytest.raises(RunFailed, match="entered already"):
            await h.run(booking)
    assert ledger == {"one": 1}
