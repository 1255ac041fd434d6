"""asyncio inside tasks: what is durable, what is refused with what to use, and what is reported."""

from __future__ import annotations

import asyncio
import inspect
import logging
import re
from typing import TYPE_CHECKING, Any

import pytest

from agentflow import RunFailed, StepTimedOut, gather, step, task, wait_for_approval
from agentflow.errors import NotRecordable, UnsupportedAwait
from agentflow.states import EntryKind
from tests.support.tasks import Ledger, entries, keys

if TYPE_CHECKING:
    from tests.runtime.conftest import OpenHarness


async def test_asyncio_sleep_in_a_task_holds_no_memory(harness: OpenHarness) -> None:
    @task
    async def patient() -> str:
        await asyncio.sleep(3600)
        return "slept"

    async with harness(patient) as h:
        run = await h.trigger(patient)
        assert await h.status(run) == "waiting"
        await h.advance("59m59s")
        assert await h.status(run) == "waiting"
        await h.advance("1s")
        assert await h.result(run) == "slept"


async def test_asyncio_gather_in_a_task_makes_branches(harness: OpenHarness, ledger: Ledger) -> None:
    async def work(n: int) -> int:
        ledger.add(f"work {n}")
        return n

    @task
    async def both() -> list[int]:
        return list(await asyncio.gather(work(1), work(2)))

    async with harness(both) as h:
        run = await h.trigger(both)
        assert await h.result(run) == [1, 2]
        assert all(re.fullmatch(r"gather#1\[[01]\]/\S*work#1", key) for key in await keys(h, run))
    assert ledger == {"work 1": 1, "work 2": 1}


async def test_a_wait_for_that_ran_out_runs_out_again_on_replay(harness: OpenHarness, ledger: Ledger) -> None:
    async def endless() -> None:
        ledger.add("endless")
        await asyncio.Event().wait()

    async def quick() -> str:
        return "quick"

    @task
    async def impatient() -> list[str]:
        found = [await asyncio.wait_for(quick(), timeout=5)]
        try:
            await asyncio.wait_for(endless(), 0.5)
        except TimeoutError as error:
            found.append(type(error).__name__)
        found.append((await wait_for_approval("go on?")).outcome)
        return found

    async with harness(impatient) as h:
        run = await h.trigger(impatient)
        await h.approve(await h.only_approval(run))
        assert await h.result(run) == ["quick", "StepTimedOut", "approved"]
    assert issubclass(StepTimedOut, TimeoutError)
    assert ledger == {"endless": 1}


async def _timeout() -> None:
    async with asyncio.timeout(5):
        await asyncio.sleep(0)


async def _timeout_at() -> None:
    async with asyncio.timeout_at(5):
        await asyncio.sleep(0)


async def _task_group() -> None:
    async with asyncio.TaskGroup():
        pass


async def _wait() -> None:
    await asyncio.wait({})  # type: ignore[type-var]


async def _shield() -> None:
    await asyncio.shield(_timeout())


REFUSED = [
    (_timeout, "asyncio.timeout", "step(timeout="),
    (_timeout_at, "asyncio.timeout_at", "step(timeout="),
    (_task_group, "asyncio.TaskGroup", "gather("),
    (_wait, "asyncio.wait", "gather("),
    (_shield, "asyncio.shield", "@step"),
]


@pytest.mark.filterwarnings("ignore:coroutine '_timeout' was never awaited")
@pytest.mark.parametrize(("function", "name", "remedy"), REFUSED, ids=[one[1] for one in REFUSED])
async def test_what_cannot_be_durable_is_refused_with_what_to_use(
    harness: OpenHarness, function: Any, name: str, remedy: str
) -> None:
    refused = task(function)
    async with harness(refused) as h:
        run = await h.trigger(refused)
        with pytest.raises(RunFailed) as caught:
            await h.result(run)
    assert isinstance(caught.value.__cause__, UnsupportedAwait)
    assert name.removeprefix("asyncio.") in str(caught.value)
    assert remedy in str(caught.value)


async def test_what_is_refused_in_a_task_is_allowed_in_its_steps(harness: OpenHarness) -> None:
    @step
    async def timed() -> str:
        async with asyncio.timeout(5):
            async with asyncio.TaskGroup() as group:
                child = group.create_task(asyncio.sleep(0, "child"))
            await asyncio.wait({asyncio.ensure_future(asyncio.sleep(0))})
        return child.result()

    @task
    async def calling() -> str:
        return await timed()

    async with harness(calling) as h:
        assert await h.run(calling) == "child"


async def test_an_operation_in_an_asyncio_task_of_the_users_is_refused(harness: OpenHarness, ledger: Ledger) -> None:
    @step
    async def noted() -> None:
        ledger.add("noted")

    @task
    async def spawning() -> str:
        spawned = asyncio.create_task(noted())
        try:
            await spawned
        except UnsupportedAwait as error:
            return str(error)
        return "nothing was said"

    async with harness(spawning) as h:
        said = await h.run(spawning)
    assert "noted was called from an asyncio task that agentflow did not start" in said
    assert "gather(" in said
    assert not ledger


async def test_a_task_handed_to_gather_is_refused_before_it_does_anything(harness: OpenHarness, ledger: Ledger) -> None:
    async def work() -> None:
        ledger.add("work")

    @task
    async def spawning() -> str:
        spawned = asyncio.create_task(work())
        try:
            await asyncio.gather(spawned)
        except UnsupportedAwait as error:
            return str(error)
        return "nothing was said"

    async with harness(spawning) as h:
        assert "give it the coroutine" in await h.run(spawning)


class Connection:
    pass


async def connect() -> Connection:
    return Connection()


async def test_a_result_that_cannot_be_stored_names_type_and_line(harness: OpenHarness) -> None:
    @task
    async def connecting() -> str:
        try:
            await connect()  # the line
        except NotRecordable as error:
            return "\n".join([str(error), *error.__notes__])
        return "it was stored"

    lines, first = inspect.getsourcelines(connecting.function)
    line = first + next(n for n, text in enumerate(lines) if "# the line" in text)
    async with harness(connecting) as h:
        said = await h.run(connecting)
    assert "Connection" in said
    assert "connect" in said
    assert f"{__file__}:{line}" in said


async def test_a_task_result_that_cannot_be_stored_fails_the_run_and_names_the_task(harness: OpenHarness) -> None:
    @task
    async def returning() -> Any:
        return Connection()

    async with harness(returning) as h:
        run = await h.trigger(returning)
        with pytest.raises(RunFailed, match=r"Connection.*cannot be recorded"):
            await h.result(run)
        [entry] = await entries(h, run, EntryKind.RUN_FAILED)
        assert "it is the result of task returning" in (entry.error or "")


async def test_a_bare_suspension_is_reported_once_with_its_line(
    harness: OpenHarness, caplog: pytest.LogCaptureFixture
) -> None:
    class Bare:
        def __await__(self) -> Any:
            yield  # gives the loop a turn, and is recorded by nobody

    class Managed:
        async def __aenter__(self) -> None:
            await Bare()  # reported where the task is: below

        async def __aexit__(self, *exc: object) -> None:
            pass

    @task(id=f"suspending-{id(caplog)}")
    async def suspending() -> str:
        async with Managed():  # the line
            await asyncio.sleep(0)
        async with Managed():
            return "done"

    async with harness(suspending) as h:
        with caplog.at_level(logging.WARNING, logger="agentflow.run"):
            assert await h.run(suspending) == "done"
            assert await h.run(suspending) == "done"
    said = [one.getMessage() for one in caplog.records if "no recorded operation" in one.getMessage()]
    assert len(said) == len(set(said)), "each line is reported once, however often it runs"
    assert said
    assert all(re.search(r"test_asyncio_calls\.py:\d+", one) for one in said)


async def test_an_uncaught_cancelled_error_of_its_own_fails_the_run(harness: OpenHarness) -> None:
    @task
    async def stopping() -> None:
        raise asyncio.CancelledError("enough")

    async with harness(stopping) as h:
        run = await h.trigger(stopping)
        with pytest.raises(RunFailed, match="CancelledError"):
            await h.result(run)


async def test_a_gather_inside_a_wait_for_is_one_operation(harness: OpenHarness) -> None:
    async def double(x: int) -> int:
        return 2 * x

    @task
    async def both() -> list[int]:
        branches = gather(double(1), double(2))
        return [*await branches, *await asyncio.wait_for(asyncio.gather(double(3), double(4)), 10)]

    async with harness(both) as h:
        assert await h.run(both) == [2, 4, 6, 8]


async def test_branches_that_asyncio_started_by_itself_are_refused_before_they_do_anything(
    harness: OpenHarness, ledger: Ledger
) -> None:
    @step
    async def noted() -> None:
        ledger.add("noted")

    @task
    async def starting() -> None:
        started = asyncio.gather(noted(), noted())
        await started

    async with harness(starting) as h:
        with pytest.raises(RunFailed, match="run branches with `gather"):
            await h.run(starting)
    assert not ledger


async def test_a_durable_wait_inside_a_wait_for_is_refused_with_what_to_use(harness: OpenHarness) -> None:
    async def ask() -> str:
        return (await wait_for_approval("go on?")).outcome

    @task
    async def impatient() -> str:
        return await asyncio.wait_for(ask(), 3600)

    async with harness(impatient) as h:
        with pytest.raises(RunFailed, match=r"give the wait a timeout of its own"):
            await h.run(impatient)
        assert await h.approvals() == []
