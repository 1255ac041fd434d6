"""Signs of life of steps: what is silent is given up, and an attempt learns how far the one before it was."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest

from agentflow import HeartbeatTimedOut, Retry, RunFailed, heartbeat, last_heartbeat, sleep, step, task
from agentflow.errors import NotRecordable, PayloadTooLarge
from agentflow.runtime.operations import bounds, heartbeats
from agentflow.states import EntryKind
from tests.support.tasks import Flaky, Invoice, Ledger, entries, eventually

if TYPE_CHECKING:
    from tests.runtime.conftest import OpenHarness

AT_ONCE = Retry(max_attempts=3, min_delay=0)


class Beats:
    """A step's heartbeats, one each time the test lets it go on."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go = asyncio.Event()

    async def wait(self) -> None:
        self.begun.set()
        await self.go.wait()
        self.go.clear()


async def settled() -> None:
    """Let whatever can go on do so."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_step_that_gives_signs_of_life_may_take_as_long_as_it_likes(harness: OpenHarness) -> None:
    beats = Beats()

    @step(heartbeat_timeout="10s")
    async def importing() -> int:
        for n in range(5):
            heartbeat(n)
            await beats.wait()
        return 5

    @task
    async def trying() -> int:
        return await importing()

    async with harness(trying) as h:
        run = await h.trigger(trying)
        await beats.begun.wait()
        for _ in range(5):
            await settled()
            h.clock.advance("9s")
            await settled()
            beats.go.set()
        assert await h.result(run) == 5


async def test_a_step_that_is_silent_for_too_long_fails_and_is_tried_again(
    harness: OpenHarness, ledger: Ledger
) -> None:
    beats = Beats()

    @step(heartbeat_timeout="10s", retry=AT_ONCE)
    async def importing() -> Any:
        if ledger.add("tries") == 1:
            heartbeat({"row": 7})
            await beats.wait()
        return last_heartbeat()

    @task
    async def trying() -> Any:
        found = await importing()
        await sleep("1d")
        return found

    async with harness(trying) as h:
        run = await h.trigger(trying)
        await beats.begun.wait()
        await settled()
        h.clock.advance("10s")
        await h.advance("1d")
        assert await h.result(run) == {"row": 7}
        [failed] = await entries(h, run, EntryKind.ATTEMPT_FAILED)
        assert "importing#1 gave no sign of life within its heartbeat_timeout of 10s" in (failed.error or "")
        assert "HeartbeatTimedOut" in (failed.error or "")
    assert ledger == {"tries": 2}


async def test_without_a_sign_of_life_the_time_counts_from_the_start_of_the_attempt(harness: OpenHarness) -> None:
    @step(heartbeat_timeout="20ms")
    async def silent() -> None:
        await asyncio.Event().wait()

    @task
    async def trying() -> str:
        try:
            await silent()
        except HeartbeatTimedOut as error:
            return f"{isinstance(error, TimeoutError)}"
        return ""

    async with harness(trying) as h:
        assert await h.run(trying) == "True"


async def test_a_short_heartbeat_timeout_is_put_off_by_each_sign(
    live: OpenHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "SHORT", timedelta(seconds=10))  # a busy machine may need a second between two signs

    @step(heartbeat_timeout="4s")
    async def lively() -> int:
        for _ in range(8):
            heartbeat()
            await asyncio.sleep(0.6)
        return 8

    @task
    async def trying() -> int:
        return await lively()

    async with live(trying) as h:
        assert await h.run(trying) == 8


async def test_after_a_crash_the_next_attempt_learns_how_far_the_step_was(harness: OpenHarness, ledger: Ledger) -> None:
    hang = True

    @step
    async def before() -> Any:
        return last_heartbeat()

    @step
    async def importing() -> Any:
        if hang:
            heartbeat(["row", 41])
            await asyncio.Event().wait()
        return last_heartbeat()

    @task
    async def trying() -> list[Any]:
        return [await before(), await importing(), await before()]

    async with harness(trying) as h:
        run = await h.trigger(trying)
        await eventually(lambda: h.store.last_beat(run.id, "importing#1"))
        hang = False
        await h.crash()
        assert await h.result(run) == [None, ["row", 41], None]


async def test_a_step_in_a_thread_gives_signs_of_life_too(harness: OpenHarness, ledger: Ledger) -> None:
    @step(retry=AT_ONCE, heartbeat_timeout="10s")
    def importing() -> Any:
        if ledger.add("tries") == 1:
            heartbeat("half way")
            raise Flaky
        return last_heartbeat()

    @task
    async def trying() -> Any:
        return await importing()

    async with harness(trying) as h:
        assert await h.run(trying) == "half way"


async def test_the_details_are_a_copy_of_what_was_said(harness: OpenHarness, ledger: Ledger) -> None:
    said = {"at": datetime(2026, 1, 5, tzinfo=UTC), "path": PurePosixPath("/in"), "pair": (1, 2)}
    rows = [1]

    @step(retry=AT_ONCE)
    async def importing() -> bool:
        if ledger.add("tries") == 1:
            heartbeat({**said, "rows": rows})
            rows.append(2)
            raise Flaky
        found = last_heartbeat()
        found["rows"].append(9)
        return bool(last_heartbeat() == {**said, "rows": [1]})

    @task
    async def trying() -> bool:
        return await importing()

    async with harness(trying) as h:
        assert await h.run(trying) is True


async def test_a_bare_sign_of_life_leaves_the_details_as_they_are(harness: OpenHarness, ledger: Ledger) -> None:
    seen: list[Any] = []

    @step(retry=Retry(max_attempts=4, min_delay=0))
    async def importing() -> None:
        seen.append(last_heartbeat())
        if ledger.add("tries") == 2:
            heartbeat("second")
        heartbeat()
        if ledger["tries"] < 4:
            raise Flaky

    @task
    async def trying() -> None:
        await importing()

    async with harness(trying) as h:
        await h.run(trying)
    assert seen == [None, None, "second", "second"]


async def test_many_signs_cost_one_write_a_second_and_the_last_of_a_failed_attempt_is_kept(
    live: OpenHarness, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeats, "EVERY", 30.0)  # a busy machine may need a second for this
    kept: list[str | None] = []

    @step(retry=AT_ONCE)
    async def importing() -> Any:
        if ledger.add("tries") == 1:
            for n in range(1000):
                heartbeat(n)
                if n % 100 == 0:
                    await asyncio.sleep(0.001)
                    kept.append(await h.store.last_beat(run.id, "importing#1"))
            raise Flaky
        return last_heartbeat()

    @task
    async def trying() -> Any:
        return await importing()

    async with live(trying) as h:
        run = await h.trigger(trying)
        assert await h.result(run) == 999
    assert len(set(kept) - {None}) == 1


async def test_what_is_said_between_two_writes_is_kept_a_little_later(live: OpenHarness) -> None:
    @step
    async def importing() -> None:
        heartbeat(1)
        await asyncio.sleep(0.01)
        heartbeat(2)
        await asyncio.Event().wait()

    @task
    async def trying() -> None:
        await importing()

    async with live(trying) as h:
        run = await h.trigger(trying)

        async def second() -> bool:
            return await h.store.last_beat(run.id, "importing#1") == "2"

        await eventually(second)
        await h.client.cancel(run.id, by="tester")


async def test_a_sign_of_life_that_comes_after_the_attempt_is_over_is_dropped(
    harness: OpenHarness, ledger: Ledger
) -> None:
    release, late = asyncio.Event(), asyncio.Event()

    @step(timeout="20ms", retry=AT_ONCE)
    async def importing() -> Any:
        match ledger.add("tries"):
            case 1:
                while not release.is_set():
                    try:
                        await release.wait()
                    except asyncio.CancelledError:
                        continue
                heartbeat("too late")
                late.set()
            case 2:
                release.set()
                await late.wait()
                await asyncio.sleep(0.05)
                raise Flaky
        return last_heartbeat()

    @task
    async def trying() -> Any:
        return await importing()

    async with harness(trying) as h:
        assert await h.run(trying) is None
    assert ledger == {"tries": 3}


async def test_a_retry_of_the_run_goes_on_from_what_the_step_said_last(harness: OpenHarness, ledger: Ledger) -> None:
    @step
    async def importing() -> Any:
        if ledger.add("tries") == 1:
            heartbeat(12)
            raise Flaky
        return last_heartbeat()

    @task(retry=Retry(max_attempts=2, min_delay="1h"))
    async def trying() -> Any:
        return await importing()

    async with harness(trying) as h:
        run = await h.trigger(trying)
        await h.advance("1h")
        assert await h.result(run) == 12


async def test_details_that_cannot_be_kept_are_an_error_where_they_are_given(harness: OpenHarness) -> None:
    @step
    async def telling(kind: str) -> None:
        heartbeat({"object": object(), "invoice": Invoice(number="1"), "long": "x" * 200_000}[kind])

    @task
    async def trying(kind: str) -> None:
        await telling(kind)

    async with harness(trying) as h:
        for kind, error in (("object", NotRecordable), ("invoice", NotRecordable), ("long", PayloadTooLarge)):
            with pytest.raises(RunFailed) as caught:
                await h.run(trying, kind)
            assert isinstance(caught.value.__cause__, error)


async def test_outside_a_step_of_a_run_there_is_nothing_to_say(harness: OpenHarness) -> None:
    @step
    async def telling() -> Any:
        heartbeat(object())
        return last_heartbeat()

    @task
    async def trying() -> Any:
        heartbeat("from the task itself")
        return last_heartbeat()

    heartbeat("from nowhere")
    assert last_heartbeat() is None
    assert await telling() is None
    async with harness(trying) as h:
        run = await h.trigger(trying)
        assert await h.result(run) is None
