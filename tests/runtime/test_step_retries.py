"""Failed steps: tried again by their policy, timed out, or left to a person."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from agentflow import Fatal, Retry, RunFailed, StepTimedOut, WorkerSettings, log, sleep, step, task
from agentflow.clock import from_micros
from agentflow.states import EntryKind
from tests.support.tasks import Flaky, Ledger, entries, eventually, keys

if TYPE_CHECKING:
    from tests.runtime.conftest import OpenHarness


async def test_each_failed_attempt_is_in_the_journal_with_its_error_and_the_next_time(
    harness: OpenHarness, ledger: Ledger
) -> None:
    @step(retry=Retry(max_attempts=4, min_delay="10s", factor=3))
    async def flaky() -> str:
        if ledger.add("flaky") < 4:
            raise Flaky(f"try {ledger['flaky']}")
        return "went well"

    @task
    async def trying() -> str:
        return await flaky()

    async with harness(trying) as h:
        run = await h.trigger(trying)
        for delay in (10, 30, 90):
            assert await h.status(run) == "waiting"
            await h.advance(delay - 1)
            assert await h.status(run) == "waiting"
            await h.advance(1)
        assert await h.result(run) == "went well"
        failed = await entries(h, run, EntryKind.ATTEMPT_FAILED)
        assert [one.attempt for one in failed] == [1, 2, 3]
        assert ["try 1" in (failed[0].error or ""), "Flaky" in (failed[0].error or "")] == [True, True]
        waited = [from_micros(json.loads(one.detail or "")["next_at"]) - one.at for one in failed]
        assert waited == [timedelta(seconds=10), timedelta(seconds=30), timedelta(seconds=90)]
        [done] = await entries(h, run, EntryKind.SUCCEEDED)
        assert done.attempt == 4
        assert await h.client.waits(run.id) == []
    assert ledger == {"flaky": 4}


async def test_a_run_that_waits_for_its_next_attempt_is_left_alone_until_then(
    live: OpenHarness, ledger: Ledger
) -> None:
    @step(retry=Retry(max_attempts=4, min_delay="10m", factor=1))
    async def flaky() -> str:
        if ledger.add("flaky") < 4:
            raise Flaky
        return "went well"

    @task
    async def trying() -> str:
        return await flaky()

    async with live(trying) as h:
        run = await h.trigger(trying)
        for _ in range(3):
            await h.advance("10m")
        assert await h.result(run) == "went well"
        assert (await h.client.run(run.id)).epoch == 4, "one turn for each attempt"


async def test_a_short_pause_between_attempts_is_waited_out_in_memory(live: OpenHarness, ledger: Ledger) -> None:
    @step(retry=Retry(max_attempts=3, min_delay="100ms"))
    def flaky() -> str:
        if ledger.add("flaky") < 3:
            raise Flaky
        return "went well"

    @task
    async def trying() -> str:
        return await flaky()

    async with live(trying) as h:
        run = await h.trigger(trying)
        assert await h.result(run) == "went well"
        assert (await h.client.run(run.id)).epoch == 1


async def test_after_the_last_attempt_the_error_reaches_the_task(harness: OpenHarness, ledger: Ledger) -> None:
    @step(retry=Retry(max_attempts=2, min_delay="2h"))
    async def flaky() -> None:
        raise Flaky(f"try {ledger.add('flaky')}")

    @task
    async def trying() -> str:
        try:
            await flaky()
        except Flaky as error:
            await sleep("1h")
            return str(error)
        return "unlikely"

    async with harness(trying) as h:
        run = await h.trigger(trying)
        await h.advance("2h")
        await h.advance("1h")
        assert await h.result(run) == "try 2"
    assert ledger == {"flaky": 2}


async def test_a_restart_does_not_spend_an_attempt_nor_shorten_the_wait(harness: OpenHarness, ledger: Ledger) -> None:
    @step(retry=Retry(max_attempts=2, min_delay="1h"))
    async def flaky() -> str:
        if ledger.add("flaky") == 1:
            raise Flaky
        return "went well"

    @task
    async def trying() -> str:
        return await flaky()

    async with harness(trying) as h:
        run = await h.trigger(trying)
        await h.advance("30m")
        await h.restart()
        await h.crash()
        await h.advance("29m")
        assert ledger == {"flaky": 1}
        await h.advance("1m")
        assert await h.result(run) == "went well"


@pytest.mark.parametrize(
    ("policy", "error", "tries"),
    [
        (Retry(max_attempts=3, min_delay=0, retry_on=Flaky), Flaky(), 3),
        (Retry(max_attempts=3, min_delay=0, retry_on=Flaky), KeyError("other"), 1),
        (Retry(max_attempts=3, min_delay=0, give_up_on=Flaky), Flaky(), 1),
        (Retry(max_attempts=3, min_delay=0, give_up_on=Flaky), KeyError("other"), 3),
        (Retry(max_attempts=3, min_delay=0), Fatal("no"), 1),
        (Retry(max_attempts=3, min_delay=0, retry_on=Fatal), Fatal("no"), 1),
    ],
)
async def test_the_policy_says_which_errors_are_worth_another_try(
    harness: OpenHarness, ledger: Ledger, policy: Retry, error: Exception, tries: int
) -> None:
    @step(retry=policy)
    async def failing() -> None:
        ledger.add("failing")
        raise error

    @task
    async def trying() -> None:
        await failing()

    async with harness(trying) as h:
        run = await h.trigger(trying)
        assert await h.status(run) == "failed"
    assert ledger["failing"] == tries


async def test_jitter_only_shortens_a_delay_and_by_no_more_than_its_share(live: OpenHarness) -> None:
    @step(retry=Retry(max_attempts=2, min_delay="100s", jitter=0.4))
    async def failing() -> None:
        raise Flaky

    @task
    async def trying() -> None:
        await failing()

    async with live(trying) as h:
        runs = [await h.trigger(trying) for _ in range(40)]
        await h.until_idle()
        delays = []
        for run in runs:
            [failed] = await entries(h, run, EntryKind.ATTEMPT_FAILED)
            delays.append((from_micros(json.loads(failed.detail or "")["next_at"]) - failed.at).total_seconds())
    assert all(60 <= delay <= 100 for delay in delays)
    assert len(set(delays)) > 10, "runs that fail together do not come back together"


async def test_a_step_that_takes_too_long_fails_with_a_recorded_timeout(harness: OpenHarness, ledger: Ledger) -> None:
    @step(timeout="20ms")
    async def endless() -> None:
        ledger.add("endless")
        await asyncio.Event().wait()

    @task
    async def trying() -> list[str]:
        try:
            await endless()
        except StepTimedOut as error:
            await sleep("1d")
            return [str(error), str(isinstance(error, TimeoutError))]
        return []

    async with harness(trying) as h:
        run = await h.trigger(trying)
        await h.advance("1d")
        assert await h.result(run) == ["endless#1 took longer than its timeout of 20ms", "True"]
    assert ledger == {"endless": 1}


async def test_a_step_that_swallows_its_cancellation_is_left_behind_at_its_timeout(harness: OpenHarness) -> None:
    release = asyncio.Event()

    @step(timeout="20ms")
    async def stubborn() -> str:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return "too late"

    @task
    async def trying() -> str:
        try:
            return await stubborn()
        except StepTimedOut:
            return "timed out"

    async with harness(trying) as h:
        assert await h.run(trying) == "timed out"
        release.set()


async def test_each_attempt_has_the_whole_timeout(harness: OpenHarness, ledger: Ledger) -> None:
    @step(timeout="300ms", retry=Retry(max_attempts=3, min_delay=0))
    async def slow_at_first() -> str:
        if ledger.add("tries") < 3:
            await asyncio.Event().wait()
        return "in time"

    @task
    async def trying() -> str:
        return await slow_at_first()

    async with harness(trying) as h:
        assert await h.run(trying) == "in time"
    assert ledger == {"tries": 3}


# -- at most once


async def test_a_step_at_most_once_that_was_cut_off_waits_for_a_person_and_resume_runs_it(
    harness: OpenHarness, ledger: Ledger
) -> None:
    begun, hang = asyncio.Event(), True

    @step(effect="at_most_once")
    async def transferring() -> str:
        ledger.add("transfer")
        begun.set()
        if hang:
            await asyncio.Event().wait()
        return "transferred"

    @task
    async def paying() -> str:
        return await transferring()

    async with harness(paying) as h:
        run = await h.trigger(paying)
        await begun.wait()
        await h.crash()
        assert await h.status(run) == "needs_attention"
        assert ledger == {"transfer": 1}, "it was not made a second time by guessing"
        said = await h.why(run)
        assert "transferring#1 was started and its end is not recorded" in said
        assert "An operator resumes or cancels it" in said
        hang = False
        await h.client.resume(run.id, by="operator")
        assert await h.result(run) == "transferred"
    assert ledger == {"transfer": 2}


async def test_a_step_at_most_once_that_ended_is_no_question(harness: OpenHarness, ledger: Ledger) -> None:
    @step(effect="at_most_once")
    async def transferring(n: int) -> int:
        return ledger.add(f"transfer {n}")

    @task
    async def paying() -> int:
        found = await transferring(1)
        await sleep("1d")
        return found + await transferring(2)

    async with harness(paying) as h:
        run = await h.trigger(paying)
        await h.until_idle()
        await h.crash()
        await h.advance("1d")
        assert await h.result(run) == 2
        assert await keys(h, run) == ["transferring#1", "sleep#1", "transferring#2"]
    assert ledger == {"transfer 1": 1, "transfer 2": 1}


async def test_a_step_at_most_once_is_tried_again_after_an_error_it_reported_itself(
    harness: OpenHarness, ledger: Ledger
) -> None:
    @step(effect="at_most_once", retry=Retry(max_attempts=2, min_delay="1h"))
    async def transferring() -> str:
        if ledger.add("transfer") == 1:
            raise Flaky("refused by the bank")
        return "transferred"

    @task
    async def paying() -> str:
        return await transferring()

    async with harness(paying) as h:
        run = await h.trigger(paying)
        await h.advance("1h")
        assert await h.result(run) == "transferred"


async def test_stopping_in_order_waits_for_a_step_at_most_once_that_has_begun(
    harness: OpenHarness, ledger: Ledger
) -> None:
    begun, release = asyncio.Event(), asyncio.Event()

    @step(effect="at_most_once")
    async def transferring() -> int:
        begun.set()
        await release.wait()
        return ledger.add("transfer")

    @step
    async def after() -> int:
        return ledger.add("after")

    @task
    async def paying() -> int:
        return await transferring() + await after()

    async with harness(paying, settings=WorkerSettings(drain_for=timedelta(seconds=60))) as h:
        run = await h.trigger(paying)
        await begun.wait()
        restarting = asyncio.create_task(h.restart())
        await eventually(lambda: _is_stopping(h))
        release.set()
        await restarting
        assert await h.result(run) == 2
    assert ledger == {"transfer": 1, "after": 1}


async def _is_stopping(h: object) -> bool:
    return bool(h.worker._stopping)  # type: ignore[attr-defined]


async def test_a_failed_step_fails_the_run_with_its_error_and_its_key_in_the_journal(harness: OpenHarness) -> None:
    @step
    async def failing() -> None:
        raise Flaky("for good")

    @task
    async def trying() -> None:
        await failing()

    async with harness(trying) as h:
        run = await h.trigger(trying)
        with pytest.raises(RunFailed, match="failed: Flaky: for good"):
            await h.result(run)
        [failed] = await entries(h, run, EntryKind.FAILED)
        assert failed.key == "failing#1"


async def test_what_each_attempt_logs_is_kept_once(harness: OpenHarness, ledger: Ledger) -> None:
    @step(retry=Retry(max_attempts=3, min_delay="1h"))
    async def flaky() -> int:
        log.info("try %d", ledger.add("flaky"))
        if ledger["flaky"] < 3:
            raise Flaky
        return ledger["flaky"]

    @task
    async def trying() -> int:
        return await flaky()

    async with harness(trying) as h:
        run = await h.trigger(trying)
        await h.advance("1h")
        await h.advance("2h")
        assert await h.result(run) == 3
        assert [one.message for one in await h.client.logs(run.id)] == ["try 1", "try 2", "try 3"]
