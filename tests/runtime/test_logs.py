"""What a run says is kept once, with the operation it was said in, however often the run is replayed."""

from __future__ import annotations

import io
import logging
import sys
from typing import TYPE_CHECKING

import pytest

from agentflow import gather, log, step, task, wait_for_approval
from agentflow.runtime.logs import ReplayFilter, RunPrints
from tests.support.tasks import Flaky

if TYPE_CHECKING:
    from tests.runtime.conftest import OpenHarness

elsewhere = logging.getLogger("some.library")


@step
async def speaking(n: int) -> int:
    log.info("in the step %d", n)
    return n


@step
def speaking_in_a_thread(n: int) -> int:
    elsewhere.warning("in the thread %d", n)
    print(f"printed in the thread {n}")  # noqa: T201  it is what is tested
    return n


async def _lines(h: object, run: object) -> list[tuple[str | None, str]]:
    return [(one.key, one.message) for one in await h.client.logs(run.id)]  # type: ignore[attr-defined]


async def test_each_line_is_kept_once_with_the_operation_it_was_said_in(harness: OpenHarness) -> None:
    async def helping() -> None:
        log.info("helper begins")
        await speaking(2)
        log.info("helper ends")

    @task
    async def saying() -> str:
        log.info("before anything")
        await speaking(1)
        elsewhere.error("between %s", "steps")
        await helping()
        await speaking_in_a_thread(3)
        log.info("asking")
        outcome = (await wait_for_approval("go on?")).outcome
        log.info("answered %s", outcome)
        await speaking(4)
        log.info("at the end")
        return outcome

    async with harness(saying) as h:
        run = await h.trigger(saying)
        await h.approve(await h.only_approval(run))
        await h.result(run)
        assert await _lines(h, run) == [
            (None, "before anything"),
            ("speaking#1", "in the step 1"),
            (None, "between steps"),
            ("helping#1", "helper begins"),
            ("helping#1/speaking#1", "in the step 2"),
            ("helping#1", "helper ends"),
            ("speaking_in_a_thread#1", "in the thread 3"),
            (None, "asking"),
            (None, "answered approved"),
            ("speaking#2", "in the step 4"),
            (None, "at the end"),
        ]
        levels = {one.message: (one.level, one.logger) for one in await h.client.logs(run.id)}
        assert levels["between steps"] == ("ERROR", "some.library")
        assert levels["asking"] == ("INFO", "agentflow.run")


async def test_an_exception_that_is_logged_is_kept_with_its_traceback(harness: OpenHarness) -> None:
    @step
    async def failing() -> None:
        raise Flaky("hm")

    @task
    async def saying() -> None:
        try:
            await failing()
        except Flaky:
            log.exception("it failed")
        await speaking(1)

    async with harness(saying) as h:
        run = await h.trigger(saying)
        await h.result(run)
        [(_, first), _] = await _lines(h, run)
        assert first.startswith("it failed\nTraceback")
        assert "hm" in first


async def test_prints_are_kept_where_the_task_asks_for_it(
    harness: OpenHarness, capsys: pytest.CaptureFixture[str]
) -> None:
    async def body() -> None:
        print("before")  # noqa: T201  it is what is tested
        await speaking_in_a_thread(1)
        print("after", 2)  # noqa: T201  it is what is tested
        await wait_for_approval("go on?")
        print("done", end="")  # noqa: T201  it is what is tested

    kept, not_kept = task(body, id="kept", log_prints=True), task(body, id="not_kept")
    async with harness(kept, not_kept) as h:
        run, other = await h.trigger(kept), await h.trigger(not_kept)
        for approval in await h.approvals():
            await h.approve(approval)
        await h.result(run)
        prints = [(one.key, one.message) for one in await h.client.logs(run.id) if one.level == "PRINT"]
        assert prints == [
            (None, "before"), ("speaking_in_a_thread#1", "printed in the thread 1"), (None, "after 2"), (None, "done"),
        ]  # fmt: skip
        assert not [one for one in await h.client.logs(other.id) if one.level == "PRINT"]
    assert capsys.readouterr().out.count("printed in the thread 1\n") == 2, "they are printed as well, once each"


async def test_a_filter_keeps_replays_off_the_console(harness: OpenHarness) -> None:
    out = io.StringIO()
    console = logging.StreamHandler(out)
    console.addFilter(ReplayFilter())
    elsewhere.addHandler(console)

    @task
    async def saying() -> None:
        elsewhere.warning("first")
        await speaking(1)
        elsewhere.warning("second")
        await wait_for_approval("go on?")
        elsewhere.warning("third")

    try:
        async with harness(saying) as h:
            run = await h.trigger(saying)
            await h.approve(await h.only_approval(run))
            await h.result(run)
    finally:
        elsewhere.removeHandler(console)
    assert out.getvalue().splitlines() == ["first", "second", "third"]


async def test_lines_below_the_logger_s_level_and_outside_runs_are_not_kept(harness: OpenHarness) -> None:
    @task
    async def saying() -> None:
        log.debug("too fine")
        log.info("kept")

    async with harness(saying) as h:
        log.info("outside")
        run = await h.trigger(saying)
        await h.result(run)
        assert await _lines(h, run) == [(None, "kept")]


async def test_a_line_that_no_database_takes_is_kept_as_text(harness: OpenHarness) -> None:
    @task
    async def saying() -> None:
        log.info("nul \0 and surrogate \ud800")
        log.info("x" * 20_000)

    async with harness(saying) as h:
        run = await h.trigger(saying)
        await h.result(run)
        (_, first), (_, long) = await _lines(h, run)
        assert first == "nul \\x00 and surrogate \\ud800"
        assert "20,000 characters" in long


def test_after_the_worker_logging_and_prints_are_as_they_were() -> None:
    assert not any(type(one).__module__.startswith("agentflow") for one in logging.getLogger().handlers)
    assert not isinstance(sys.stdout, RunPrints)


async def test_what_a_branch_logs_is_kept_with_its_operation(harness: OpenHarness) -> None:
    async def saying(n: int) -> None:
        log.info("branch %d begins", n)
        await speaking(n)
        await wait_for_approval(n)
        log.info("branch %d ends", n)

    @task
    async def both() -> None:
        await gather(saying(1), saying(2))

    async with harness(both) as h:
        run = await h.trigger(both)
        for approval in await h.approvals(run):
            await h.approve(approval)
        await h.result(run)
        lines = [(one.key, one.message) for one in await h.client.logs(run.id)]
        assert sorted(message for _, message in lines) == [
            "branch 1 begins", "branch 1 ends", "branch 2 begins", "branch 2 ends", "in the step 1", "in the step 2",
        ]  # fmt: skip
        assert all(key is not None and key.startswith("gather#1[") for key, _ in lines)
