"""Steps that take too long, alone or with all their attempts: cut off, recorded once, what comes late is dropped."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from agentflow import Breaker, Retry, StepTimedOut, WorkerSettings, fallback, hop, sleep, step, task
from agentflow.errors import DefinitionError, InvalidDuration
from agentflow.states import EntryKind
from tests.runtime.test_liveness import settled
from tests.support.tasks import Flaky, Ledger, entries, eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.runtime.conftest import OpenHarness


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


# -- schedule to close


async def test_no_attempt_begins_when_the_time_of_all_of_them_is_over(harness: OpenHarness, ledger: Ledger) -> None:
    @step(retry=Retry(max_attempts=10, min_delay="40s", factor=1), schedule_to_close="100s")
    async def flaky() -> None:
        raise Flaky(f"try {ledger.add('tries')}")

    @task
    async def trying() -> list[str]:
        try:
            await flaky()
        except StepTimedOut as error:
            await sleep("1d")
            return [str(error), type(error.__cause__).__name__]
        return []

    async with harness(trying) as h:
        run = await h.trigger(trying)
        for _ in range(2):
            await h.advance("40s")
        assert ledger == {"tries": 3}
        await h.advance("1d")
        said, cause = await h.result(run)
        assert said.startswith("flaky#1 failed (Flaky: try 3), with no other attempt left in its schedule_to_close of ")
        assert said.endswith("1m 40s")
        assert cause in {"Flaky", "StepTimedOut"}
        [final] = await entries(h, run, EntryKind.FAILED)
        assert final.attempt == 3
    assert ledger == {"tries": 3}


async def test_the_time_of_all_attempts_counts_from_the_first_also_over_a_crash(
    harness: OpenHarness, ledger: Ledger
) -> None:
    @step(retry=Retry(max_attempts=10, min_delay="40s", factor=1), schedule_to_close="100s")
    async def flaky() -> None:
        raise Flaky(f"try {ledger.add('tries')}")

    @task
    async def trying() -> str:
        try:
            await flaky()
        except StepTimedOut as error:
            return str(error)
        return ""

    async with harness(trying) as h:
        run = await h.trigger(trying)
        await h.advance("40s")
        await h.crash()
        await h.advance("200s")
        assert await h.result(run) == "flaky#1 has no attempt left at the end of its schedule_to_close of 1m 40s"
        [final] = await entries(h, run, EntryKind.FAILED)
        assert final.attempt == 2
    assert ledger == {"tries": 2}


async def test_the_time_an_attempt_takes_counts_too(harness: OpenHarness, ledger: Ledger) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    @step(retry=Retry(max_attempts=10, min_delay="40s", factor=1), schedule_to_close="100s")
    async def slow() -> None:
        if ledger.add("tries") == 1:
            begun.set()
            await go.wait()
        raise Flaky

    @task
    async def trying() -> str:
        try:
            await slow()
        except StepTimedOut:
            return "over"
        return ""

    async with harness(trying) as h:
        run = await h.trigger(trying)
        await begun.wait()
        h.clock.advance("30s")
        go.set()
        await h.advance("40s")
        assert await h.result(run) == "over"
    assert ledger == {"tries": 2}


async def test_an_attempt_under_way_is_cut_when_the_time_of_all_is_over(harness: OpenHarness, ledger: Ledger) -> None:
    begun = asyncio.Event()

    @step(retry=Retry(max_attempts=10, min_delay="40s", factor=1), schedule_to_close="100s", timeout="90s")
    async def slow() -> None:
        if ledger.add("tries") == 1:
            raise Flaky
        begun.set()
        await asyncio.Event().wait()

    @task
    async def trying() -> str:
        try:
            await slow()
        except StepTimedOut as error:
            return str(error)
        return ""

    async with harness(trying) as h:
        run = await h.trigger(trying)
        await h.until_idle()
        await settled()
        h.clock.advance("40s")
        await begun.wait()
        await settled()
        h.clock.advance("59s")
        await settled()
        assert not (await h.client.run(run.id)).is_finished
        h.clock.advance("1s")
        assert await h.result(run) == "slow#1 was still at work at the end of its schedule_to_close of 1m 40s"
    assert ledger == {"tries": 2}


async def test_a_retry_of_the_run_has_the_whole_time_again(harness: OpenHarness, ledger: Ledger) -> None:
    @step(retry=Retry(max_attempts=10, min_delay="40s", factor=1), schedule_to_close="50s")
    async def flaky() -> int:
        if ledger.add("tries") < 4:
            raise Flaky
        return ledger["tries"]

    @task(retry=Retry(max_attempts=2, min_delay="1h"))
    async def trying() -> int:
        return await flaky()

    async with harness(trying) as h:
        run = await h.trigger(trying)
        await h.advance("40s")
        assert ledger == {"tries": 2}, "80 s would be too late for the third"
        await h.advance("1h")
        await h.advance("40s")
        assert await h.result(run) == 4


async def test_a_hop_whose_attempts_take_too_long_together_makes_room_for_the_next(
    harness: OpenHarness, ledger: Ledger
) -> None:
    async def primary() -> str:
        ledger.add("primary")
        raise Flaky

    async def backup() -> str:
        return "backup"

    chain = fallback(
        hop(primary, retry=Retry(max_attempts=9, min_delay="10s", factor=1), schedule_to_close="25s"), backup
    )

    @task
    async def trying() -> str:
        return str(await chain())

    async with harness(trying) as h:
        run = await h.trigger(trying)
        await h.advance("10s")
        await h.advance("10s")
        assert await h.result(run) == "backup"
    assert ledger == {"primary": 3}


# -- one attempt


async def test_a_call_that_never_returns_is_a_time_out_that_is_recorded_once(
    harness: OpenHarness, ledger: Ledger
) -> None:
    begun = asyncio.Event()

    @step(timeout="30s")
    async def endless() -> None:
        ledger.add("endless")
        begun.set()
        await asyncio.Event().wait()

    @task
    async def trying() -> str:
        try:
            await endless()
        except StepTimedOut as error:
            await sleep("1d")
            return str(error)
        return ""

    async with harness(trying) as h:
        run = await h.trigger(trying)
        await begun.wait()
        await settled()
        h.clock.advance("30s")
        await h.until_idle()
        await h.crash()
        await h.advance("1d")
        assert await h.result(run) == "endless#1 took longer than its timeout of 30s"
        assert len(await entries(h, run, EntryKind.FAILED)) == 1
    assert ledger == {"endless": 1}


async def test_what_comes_after_the_time_is_over_is_dropped_and_logged_and_nobody_waits_for_it(
    harness: OpenHarness, caplog: pytest.LogCaptureFixture
) -> None:
    release, stopped = asyncio.Event(), asyncio.Event()

    @step(timeout="20ms")
    async def stubborn() -> str:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        stopped.set()
        return "too late"

    @task
    async def trying() -> str:
        try:
            return await stubborn()
        except StepTimedOut:
            return "timed out"

    async with harness(trying) as h:
        run, other = await h.trigger(trying), await h.trigger(trying)
        assert [await h.result(run), await h.result(other)] == ["timed out"] * 2
        before = await h.journal(run)
        with caplog.at_level(logging.WARNING, "agentflow.run"):
            release.set()
            await stopped.wait()
            await settled()
        assert await h.journal(run) == before
    assert "stubborn#1 ended after its time was over; its result is dropped" in caplog.text


async def test_a_call_that_blocks_its_thread_times_out_and_a_lack_of_threads_is_said(
    harness: OpenHarness, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    release = threading.Event()

    @step(timeout="50ms")
    def blocking() -> None:
        release.wait(60)

    @step
    def quick() -> int:
        return ledger.add("quick")

    @task
    async def trying() -> int:
        with suppress(StepTimedOut):
            await blocking()
        return await quick()

    async def is_said() -> bool:
        return "all 1 threads of this worker are in sync steps" in caplog.text

    async with harness(trying, settings=WorkerSettings(threads=1)) as h:
        running = asyncio.create_task(h.run(trying))
        await eventually(is_said)
        release.set()
        assert await running == 1


async def test_a_step_that_is_cut_off_can_end_the_process_it_began(harness: OpenHarness) -> None:
    begun: list[int] = []

    @step(timeout="1s")
    async def running() -> None:
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", "import time; time.sleep(60)")
        begun.append(child.pid)
        try:
            await child.wait()
        finally:
            child.kill()
            await child.wait()

    @task
    async def trying() -> str:
        try:
            await running()
        except StepTimedOut:
            return "timed out"
        return ""

    async with harness(trying) as h:
        assert await h.run(trying) == "timed out"

        async def gone() -> bool:
            return not any(is_running(pid) for pid in begun)

        await eventually(gone)


# -- definitions


@pytest.mark.parametrize("name", ["timeout", "schedule_to_close", "heartbeat_timeout"])
@pytest.mark.parametrize("span", [-1, 0, float("nan"), float("inf"), "101y", "36526d", "soon", True])
def test_a_limit_that_is_no_span_of_time_is_refused_where_it_is_written(name: str, span: Any) -> None:
    with pytest.raises((DefinitionError, InvalidDuration)):
        step(**{name: span})(print)


@pytest.mark.parametrize(
    "definition",
    [
        lambda: step(heartbeat_timeout="11s", timeout="10s")(print),
        lambda: step(heartbeat_timeout="11s", schedule_to_close="10s")(print),
        lambda: step(lookup=print)(print),
        lambda: step(effect="exactly_once")(print),
        lambda: hop(print, schedule_to_close=0),
        lambda: Breaker("x", failures=0),
        lambda: Breaker("x", failures=1.5),  # type: ignore[arg-type]
        lambda: Breaker("x", within=0),
        lambda: Breaker("x", open_for="-1s"),
        lambda: Breaker("x", on=(BaseException,)),  # type: ignore[arg-type]
        lambda: Breaker(""),
        lambda: Breaker("x" * 201),
        lambda: task(on_exhausted="hope")(settled),  # type: ignore[call-overload]
    ],
)
def test_what_contradicts_itself_is_refused_where_it_is_written(definition: Callable[[], Any]) -> None:
    with pytest.raises((DefinitionError, InvalidDuration)):
        definition()


def test_a_step_that_is_a_method_keeps_its_limits_and_its_lookup() -> None:
    class Bank:
        @step(effect="at_most_once", lookup=lambda _self: None, schedule_to_close="1m", heartbeat_timeout="1s")
        async def pay(self) -> None: ...

    bound = Bank().pay

    assert (bound.schedule_to_close, bound.heartbeat_timeout) == (
        Bank.pay.schedule_to_close,
        Bank.pay.heartbeat_timeout,
    )
    assert bound.lookup is not None
    assert bound.lookup.function() is None
