"""Leaving a task's code: by its end, by an error, or to come back later; what it cleans up, and what is told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import pytest

from agentflow import RunFailed, step, task, wait_for_approval
from agentflow.states import EntryKind
from tests.support.tasks import Ledger, entries

if TYPE_CHECKING:
    from tests.runtime.conftest import OpenHarness

ledger = Ledger()


@pytest.fixture(autouse=True)
def _empty_ledger() -> None:
    ledger.clear()


async def double(x: int) -> int:
    return 2 * x


async def boom(text: str = "boom") -> None:
    ledger.add("boom")
    raise ValueError(text)


@step
async def noted(what: str) -> str:
    ledger.add(what)
    return what


async def test_cleanup_runs_once_and_not_while_the_run_leaves_memory(harness: OpenHarness) -> None:
    @task
    async def guarded() -> str:
        try:
            await noted("body")
            return (await wait_for_approval({"x": 1})).outcome
        finally:
            await noted("cleanup")

    async with harness(guarded) as h:
        run = await h.trigger(guarded)
        approval = await h.only_approval(run)
        assert ledger == {"body": 1}, "parking is no end: the cleanup is still to come"
        await h.approve(approval)
        assert await h.result(run) == "approved"
    assert ledger == {"body": 1, "cleanup": 1}


async def test_an_error_runs_its_handlers_and_finally_blocks_once(harness: OpenHarness) -> None:
    @task
    async def handling() -> list[str]:
        said = []
        try:
            try:
                await boom("first")
            finally:
                said.append(await noted("inner finally"))
        except ValueError as error:
            said.append(await noted(f"handled {error}"))
        else:
            said.append("else")
        finally:
            said.append(await noted("outer finally"))
        return said

    async with harness(handling) as h:
        assert await h.run(handling) == ["inner finally", "handled first", "outer finally"]
    assert ledger == {"boom": 1, "inner finally": 1, "handled first": 1, "outer finally": 1}


async def test_a_bare_except_does_not_make_leaving_a_run_its_result(harness: OpenHarness) -> None:
    @task
    async def greedy() -> str:
        try:
            await noted("one")
            return (await wait_for_approval({"x": 1})).outcome
        except BaseException:  # noqa: BLE001  the point of the test
            return "swallowed"

    async with harness(greedy) as h:
        run = await h.trigger(greedy)
        await h.approve(await h.only_approval(run))
        assert await h.result(run) == "approved"
        await h.restart()


async def test_context_managers_close_when_the_run_leaves_memory(harness: OpenHarness) -> None:
    class Session:
        async def __aenter__(self) -> Self:
            ledger.add("opened")
            return self

        async def __aexit__(self, *exc: object) -> None:
            ledger.add("closed")

    @task
    async def within() -> str:
        async with Session():
            return (await wait_for_approval({"x": 1})).outcome

    async with harness(within) as h:
        run = await h.trigger(within)
        approval = await h.only_approval(run)
        assert ledger["opened"] == ledger["closed"] >= 1
        await h.approve(approval)
        assert await h.result(run) == "approved"
        assert ledger["opened"] == ledger["closed"]


async def test_the_traceback_of_a_failed_run_shows_the_lines_of_the_task(harness: OpenHarness) -> None:
    @task
    async def failing(n: int) -> int:
        found = await double(n)
        if found:
            raise ArithmeticError("odd")  # this line
        return found

    async with harness(failing) as h:
        run = await h.trigger(failing, 2)
        with pytest.raises(RunFailed, match="failed: ArithmeticError: odd"):
            await h.result(run)
        [entry] = await entries(h, run, EntryKind.RUN_FAILED)
        assert "# this line" in (entry.error or "")
        assert "test_leaving.py" in (entry.error or "")


async def test_the_traceback_of_a_failed_operation_goes_down_to_the_line_that_raised(harness: OpenHarness) -> None:
    @task
    async def failing() -> None:
        await boom()  # the call

    async with harness(failing) as h:
        run = await h.trigger(failing)
        assert await h.status(run) == "failed"
        [entry] = await entries(h, run, EntryKind.FAILED)
        assert "raise ValueError(text)" in (entry.error or "")
