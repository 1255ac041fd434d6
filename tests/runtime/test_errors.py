"""Errors: what a task catches live it catches on replay, with what the error carried."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from agentflow import RunFailed, step, task, wait_for_approval
from agentflow.errors import OperationFailed
from tests.support.tasks import Declined, Flaky, Ledger

if TYPE_CHECKING:
    from tests.runtime.conftest import OpenHarness


@step
async def declining() -> None:
    raise Declined("too much", code=7)


@step
def chained() -> None:
    try:
        {}["the cause"]
    except KeyError as error:
        raise Declined("because", code=1) from error


async def several() -> None:
    raise ExceptionGroup("both", [ValueError("one"), Flaky("two")])


async def _seen_twice(harness: OpenHarness, function: Any, look: Any) -> list[Any]:
    """What `look` makes of the error of `function`, live and on every replay."""
    seen: list[Any] = []

    @task
    async def catching() -> str:
        try:
            await function()
        except Exception as error:  # noqa: BLE001  the test looks at what it is
            seen.append(look(error))
        return (await wait_for_approval("go on?")).outcome

    async with harness(catching) as h:
        run = await h.trigger(catching)
        await h.approve(await h.only_approval(run))
        assert await h.result(run) == "approved"
    assert len(seen) > 1
    assert all(one == seen[0] for one in seen), "live and replayed are alike"
    return seen


async def test_an_error_has_its_class_text_and_attributes(harness: OpenHarness) -> None:
    seen = await _seen_twice(harness, declining, lambda error: (type(error), str(error), error.reason, error.code))
    assert seen[0] == (Declined, "declined: too much", "too much", 7)


async def test_an_error_keeps_the_chain_of_its_causes(harness: OpenHarness) -> None:
    def look(error: Exception) -> list[str]:
        chain: list[str] = []
        found: BaseException | None = error
        while found is not None:
            if not chain or chain[-1] != repr(found):  # live, the error itself is the cause of what the task sees
                chain.append(repr(found))
            found = found.__cause__
        return chain

    seen = await _seen_twice(harness, chained, look)
    assert seen[0] == ["Declined('declined: because')", "KeyError('the cause')"]


async def test_a_group_of_errors_is_a_group_with_its_members(harness: OpenHarness) -> None:
    seen = await _seen_twice(harness, several, lambda error: (type(error), [repr(one) for one in error.exceptions]))
    assert seen[0] == (ExceptionGroup, ["ValueError('one')", "Flaky('two')"])


async def test_an_operating_system_s_error_keeps_its_number_and_file(harness: OpenHarness) -> None:
    async def opening() -> None:
        with open("/nowhere/at/all"):  # noqa: ASYNC230, PTH123  it fails at once
            pass

    seen = await _seen_twice(harness, opening, lambda error: (type(error), error.errno, error.filename))
    assert seen[0] == (FileNotFoundError, 2, "/nowhere/at/all")


async def test_an_error_of_a_class_that_cannot_be_found_is_still_caught_the_same(harness: OpenHarness) -> None:
    async def local() -> None:
        class Hidden(Exception):
            pass

        raise Hidden("out of sight")

    seen = await _seen_twice(harness, local, lambda error: (type(error), str(error)))
    assert seen[0][0] is OperationFailed
    assert "Hidden: out of sight" in seen[0][1]


async def test_handling_an_error_runs_once(harness: OpenHarness, ledger: Ledger) -> None:
    @step
    async def failing() -> None:
        ledger.add("failing")
        raise Flaky

    @step
    async def handling() -> str:
        ledger.add("handling")
        return "handled"

    @task
    async def catching() -> str:
        try:
            await failing()
        except Flaky:
            said = await handling()
        await wait_for_approval("go on?")
        return said

    async with harness(catching) as h:
        run = await h.trigger(catching)
        await h.approve(await h.only_approval(run))
        assert await h.result(run) == "handled"
    assert ledger == {"failing": 1, "handling": 1}


async def test_an_error_that_wraps_an_operation_s_keeps_it_as_its_cause(harness: OpenHarness) -> None:
    @task
    async def wrapping() -> None:
        try:
            await declining()
        except Declined as error:
            raise LookupError("no offer") from error

    async with harness(wrapping) as h:
        run = await h.trigger(wrapping)
        with pytest.raises(RunFailed, match="failed: LookupError: no offer") as caught:
            await h.result(run)
    cause = caught.value.__cause__
    assert isinstance(cause, LookupError)
    assert isinstance(cause.__cause__, Declined)
    assert cause.__cause__.code == 7
