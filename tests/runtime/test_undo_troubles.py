"""Undoing that does not go well: it is tried again, parked, cut off by crashes, or left to a person."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from agentflow import Retry, Undo, WorkerSettings, operation, step, task, wait_for_approval
from agentflow.states import EntryKind
from tests.support.tasks import Flaky, Ledger, entries, eventually

if TYPE_CHECKING:
    from agentflow.testing import Harness
    from tests.runtime.conftest import OpenHarness

ledger: list[str] = []
trouble = Ledger()


@pytest.fixture(autouse=True)
def _empty_ledger() -> None:
    ledger.clear()
    trouble.clear()


async def unbook(what: str, result: str) -> None:
    if trouble[what] > 0:
        trouble[what] -= 1
        raise Flaky(f"{what} cannot be cancelled just now")
    ledger.append(f"unbook {what} {result}")


@step(undo=unbook)
async def book(what: str) -> str:
    ledger.append(f"book {what}")
    return f"ref-{what}"


@step
async def failing() -> None:
    raise ValueError("no more money")


async def test_an_undo_is_tried_again_and_a_long_pause_parks_the_run(harness: OpenHarness) -> None:
    trouble["flight"] = 3

    @task
    async def trip() -> None:
        await book("flight")
        await failing()

    async with harness(trip) as h:
        run = await h.trigger(trip)
        assert await h.status(run) == "waiting"
        assert "undo#0/unbook#1 failed and is tried again" in await h.why(run)
        assert "once its steps are undone" in await h.why(run)
        await h.advance("4s")
        await h.advance("16s")
        assert await h.status(run) == "failed"
    assert ledger == ["book flight", "unbook flight ref-flight"]


async def test_an_undo_that_fails_for_good_needs_attention_and_resume_tries_it_again(harness: OpenHarness) -> None:
    trouble["flight"] = 1

    @step(undo=Undo(unbook, retry=Retry(max_attempts=1)))
    async def book_once(what: str) -> str:
        return what

    @task
    async def trip() -> None:
        await book("car")
        await book_once("flight")
        await book("hotel")
        await wait_for_approval("go?")

    async with harness(trip) as h:
        run = await h.trigger(trip)
        await h.only_approval(run)
        await h.client.cancel(run.id, by="mia")
        assert await h.status(run) == "needs_attention"
        why = await h.why(run)
        assert "undoing book_once#1 failed: Flaky: flight cannot be cancelled just now" in why
        assert "undone: book#2; not undone: " in why
        await h.client.resume(run.id, by="mia")
        assert await h.status(run) == "cancelled"
    assert ledger == [
        "book car", "book hotel", "unbook hotel ref-hotel", "unbook flight flight", "unbook car ref-car",
    ]  # fmt: skip


@pytest.mark.parametrize("way_out", ["by hand", "give up"])
async def test_what_cannot_be_undone_is_undone_by_hand_or_left(harness: OpenHarness, way_out: str) -> None:
    async def never(what: str) -> None:
        raise Flaky(what)

    @step(undo=Undo(never, retry=Retry(max_attempts=1)))
    async def stubborn(what: str) -> None: ...

    @task
    async def trip() -> None:
        await book("car")
        await stubborn("flight")
        await failing()

    async with harness(trip) as h:
        run = await h.trigger(trip)
        assert await h.status(run) == "needs_attention"
        if way_out == "by hand":
            await h.client.resume(run.id, by="mia", output="done by phone")
            assert await h.status(run) == "failed"
            assert ledger == ["book car", "unbook car ref-car"]
            undone = [one.detail for one in await entries(h, run, EntryKind.SUCCEEDED) if one.operation == "undo"]
            assert undone == ["undoes:stubborn#1", "undoes:book#1"]
        else:
            await h.client.cancel(run.id, by="mia")
            assert await h.status(run) == "cancelled"
            [end] = await entries(h, run, EntryKind.RUN_CANCELLED)
            assert "what was not undone stays as it is" in (end.detail or "")
            assert ledger == ["book car"]


async def test_after_a_crash_in_the_middle_undoing_goes_on_where_it_was(harness: OpenHarness) -> None:
    trouble["car"] = 2

    @task
    async def trip() -> None:
        for what in ("car", "hotel", "flight"):
            await book(what)
        await failing()

    async with harness(trip) as h:
        run = await h.trigger(trip)
        await eventually(lambda: _holds("unbook hotel ref-hotel"))
        await h.crash()
        assert await h.status(run) == "waiting"
        await h.crash()
        await h.advance("4s")
        assert await h.status(run) == "failed"
    assert ledger[3:] == ["unbook flight ref-flight", "unbook hotel ref-hotel", "unbook car ref-car"]


async def _holds(what: str) -> bool:
    return what in ledger


async def test_code_that_no_longer_comes_by_a_step_stops_before_anything_is_undone(harness: OpenHarness) -> None:
    @task(id="trip")
    async def before() -> None:
        await book("car")
        await book("flight")
        await wait_for_approval("go?")

    @task(id="trip")
    async def after() -> None:
        await book("car")
        await wait_for_approval("go?")

    async with harness(before) as h:
        run = await h.trigger(before)
        await h.only_approval(run)
        await h.restart(after)
        await h.client.cancel(run.id, by="mia")
        assert await h.status(run) == "needs_attention"
        assert "the code does not come by book#2 any more" in await h.why(run)
        assert ledger == ["book car", "book flight"]
        await h.restart(before)
        await h.client.resume(run.id, by="mia")
        assert await h.status(run) == "cancelled"
    assert ledger[2:] == ["unbook flight ref-flight", "unbook car ref-car"]


async def test_a_second_cancel_while_undoing_changes_nothing(live: OpenHarness) -> None:
    trouble["car"] = 3

    @task
    async def trip() -> None:
        await book("car")
        await wait_for_approval("go?")

    async with live(trip) as h:
        run = await h.trigger(trip)
        await h.only_approval(run)
        await h.client.cancel(run.id, by="mia")
        assert await h.status(run) == "waiting"
        await h.client.cancel(run.id, by="tom")
        assert len(await entries(h, run, EntryKind.UNDOING)) == 1
        await h.advance("1m")
        await h.advance("1m")
        assert await h.status(run) == "cancelled"
        [end] = await entries(h, run, EntryKind.RUN_CANCELLED)
        assert "cancelled by mia" in (end.detail or "")


# -- cut off


async def test_a_step_cut_off_by_a_cancel_is_listed_as_unknown_if_its_start_is_recorded(live: OpenHarness) -> None:
    begun = asyncio.Event()

    @step(undo=unbook, effect="at_most_once")
    async def charge(what: str) -> str:
        ledger.append("charging")
        begun.set()
        await asyncio.Event().wait()
        return what

    @task
    async def trip() -> None:
        await book("car")
        await charge("card")

    async with live(trip, settings=WorkerSettings(drain_for=timedelta(seconds=1))) as h:
        run = await h.trigger(trip)
        await begun.wait()
        await h.client.cancel(run.id, by="mia")
        await eventually(lambda: _ended(h, run.id))
        [end] = await entries(h, run, EntryKind.RUN_CANCELLED)
        assert end.detail == "cancelled by mia; undone: book#1; it is not known whether this was done: charge#1"
    assert ledger == ["book car", "charging", "unbook car ref-car"]


async def _ended(h: Harness, run_id: str) -> bool:
    return (await h.client.run(run_id)).is_finished


async def test_an_undo_cut_off_by_a_crash_is_called_again_with_the_same_key(harness: OpenHarness) -> None:
    begun, keys = asyncio.Event(), []

    async def slowly(what: str) -> None:
        found = operation()
        assert found is not None
        keys.append(found.idempotency_key)
        begun.set()
        if len(keys) == 1:
            await asyncio.Event().wait()

    @step(undo=slowly)
    async def put(what: str) -> None: ...

    @task
    async def trip() -> None:
        await put("a")
        await failing()

    async with harness(trip) as h:
        run = await h.trigger(trip)
        await begun.wait()
        await h.crash()
        assert await h.status(run) == "failed"
    assert keys == [f"{run.id}:undo#0/{keys[0].rpartition('/')[2]}"] * 2
