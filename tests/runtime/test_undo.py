"""Undo: what a run's steps did is taken back, the last first, when it fails, is rejected, cancelled or overruns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from agentflow import (
    Rejected,
    Retry,
    RunCancelled,
    RunFailed,
    Undo,
    fallback,
    gather,
    on_rollback,
    operation,
    sleep,
    step,
    task,
    wait_for_approval,
)
from agentflow.errors import DefinitionError, IllegalTransition
from agentflow.states import EntryKind
from tests.support.tasks import Flaky, Ledger, entries, keys

if TYPE_CHECKING:
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
async def noted(what: str) -> str:
    ledger.append(what)
    return what


@step
async def failing() -> None:
    raise ValueError("no more money")


async def test_a_failed_run_undoes_its_steps_in_reverse_and_fails_with_its_own_error(harness: OpenHarness) -> None:
    @task
    async def trip() -> None:
        await book("flight")
        await noted("in between")
        await book("hotel")
        await failing()

    async with harness(trip) as h:
        run = await h.trigger(trip)
        with pytest.raises(RunFailed, match="ValueError: no more money"):
            await h.result(run)
        undos = await entries(h, run, EntryKind.SUCCEEDED)
        assert [(one.key, one.operation, one.detail) for one in undos[-2:]] == [
            ("undo#0/unbook#1", "undo", "undoes:book#2"),
            ("undo#0/unbook#2", "undo", "undoes:book#1"),
        ]
        [undoing] = await entries(h, run, EntryKind.UNDOING)
        assert undoing.detail == "it failed"
        [end] = await entries(h, run, EntryKind.RUN_FAILED)
        assert end.detail == "it failed; undone: book#2, book#1"
    assert ledger == [
        "book flight", "in between", "book hotel", "unbook hotel ref-hotel", "unbook flight ref-flight",
    ]  # fmt: skip


async def test_a_run_without_undo_fails_in_the_turn_in_which_it_failed(live: OpenHarness) -> None:
    @task
    async def plain() -> None:
        await noted("one")
        await failing()

    async with live(plain) as h:
        run = await h.trigger(plain)
        assert await h.status(run) == "failed"
        assert (await h.client.run(run.id)).epoch == 1
        assert not await entries(h, run, EntryKind.UNDOING)


async def test_a_run_that_completes_undoes_nothing(harness: OpenHarness) -> None:
    @task
    async def trip() -> str:
        return await book("flight")

    async with harness(trip) as h:
        assert await h.run(trip) == "ref-flight"
    assert ledger == ["book flight"]


async def test_only_when_no_attempt_is_left_is_a_failed_task_undone(harness: OpenHarness) -> None:
    @task(retry=Retry(max_attempts=2, min_delay="1h"))
    async def trip() -> None:
        await book("flight")
        await failing()

    async with harness(trip) as h:
        run = await h.trigger(trip)
        assert await h.status(run) == "queued"
        assert ledger == ["book flight"]
        await h.advance("1h")
        assert await h.status(run) == "failed"
    assert ledger == ["book flight", "unbook flight ref-flight"]


async def test_a_rejection_undoes_what_led_to_it(harness: OpenHarness) -> None:
    @task
    async def trip() -> None:
        ref = await book("flight")
        decision = await wait_for_approval({"ref": ref})
        if not decision.approved:
            raise Rejected(decision.comment)

    async with harness(trip) as h:
        run = await h.trigger(trip)
        await h.reject(await h.only_approval(run), comment="too dear")
        with pytest.raises(RunFailed, match="too dear"):
            await h.result(run)
    assert ledger == ["book flight", "unbook flight ref-flight"]


async def test_a_cancelled_run_undoes_its_steps_and_is_cancelled_then(harness: OpenHarness) -> None:
    @task
    async def trip() -> None:
        await book("flight")
        try:
            await wait_for_approval("go?")
        finally:
            await noted("cleanup")

    async with harness(trip) as h:
        run = await h.trigger(trip)
        approval = await h.only_approval(run)
        ending = await h.client.cancel(run.id, by="mia", reason="ill")
        assert (ending.status, ending.ending is not None) == ("queued", True)
        assert (await h.client.approval(approval.id)).status == "cancelled"
        with pytest.raises(RunCancelled):
            await h.result(run)
        [end] = await entries(h, run, EntryKind.RUN_CANCELLED)
        assert end.detail == "cancelled by mia: ill; undone: book#1"
        with pytest.raises(IllegalTransition):
            await h.client.cancel(run.id, by="mia")
    assert ledger == ["book flight", "unbook flight ref-flight"], "what the code does while it is left is not done"


async def test_a_run_that_overruns_its_deadline_undoes_its_steps(harness: OpenHarness) -> None:
    @task(max_duration="1h")
    async def trip() -> None:
        await book("flight")
        await wait_for_approval("go?")

    async with harness(trip) as h:
        run = await h.trigger(trip)
        await h.advance("2h")
        with pytest.raises(RunFailed, match="RunTimedOut"):
            await h.result(run)
    assert ledger == ["book flight", "unbook flight ref-flight"]


async def test_on_rollback_registers_any_function_with_any_arguments(harness: OpenHarness) -> None:
    def note(what: str, *, loud: bool = False) -> None:
        ledger.append(what.upper() if loud else what)

    @task
    async def trip() -> None:
        await on_rollback(note, "first")
        await book("flight")
        await on_rollback(Undo(note, retry=Retry(max_attempts=1)), "last", loud=True)
        await failing()

    async with harness(trip) as h:
        run = await h.trigger(trip)
        assert await h.status(run) == "failed"
        assert (await keys(h, run))[:3] == ["on_rollback#1", "book#1", "on_rollback#2"]
    assert ledger == ["book flight", "LAST", "unbook flight ref-flight", "first"]


async def test_outside_a_run_on_rollback_does_nothing() -> None:
    await on_rollback(ledger.append, "never")
    assert not ledger


# -- where the steps are


async def test_branches_tasks_helpers_and_hops_are_undone_in_the_order_in_which_they_ended(
    harness: OpenHarness,
) -> None:
    async def helper() -> str:
        await book("car")
        return await noted("helped")

    @task
    async def inner() -> str:
        return await book("ferry")

    @task
    async def trip() -> None:
        await helper()
        await inner()
        await fallback(book)("train")
        await gather(book("east"), helper())
        await failing()

    async with harness(trip, inner) as h:
        run = await h.trigger(trip)
        with pytest.raises(RunFailed, match="no more money"):
            await h.result(run)
        done = [one.key for one in await entries(h, run, EntryKind.SUCCEEDED) if (one.detail or "").startswith("undo:")]
        undone = [
            (one.detail or "")[7:] for one in await entries(h, run, EntryKind.SUCCEEDED) if one.operation == "undo"
        ]
    assert undone == done[::-1]
    assert len(undone) == 5


async def test_what_branches_did_before_one_of_them_failed_is_undone(harness: OpenHarness) -> None:
    async def long_way() -> None:
        await book("long")
        await sleep("1d")

    async def wrong_way() -> None:
        await book("wrong")
        await sleep("1h")
        await failing()

    @task
    async def trip() -> str:
        try:
            await gather(long_way(), wrong_way())
        except ValueError:
            await book("instead")
        await wait_for_approval("go on?")
        return "unlikely"

    async with harness(trip) as h:
        run = await h.trigger(trip)
        await h.advance("1h")
        await h.only_approval(run)
        await h.client.cancel(run.id, by="mia")
        assert await h.status(run) == "cancelled"
    assert ledger[2:] == ["book instead", "unbook instead ref-instead", *ledger[4:]]
    assert sorted(ledger[4:]) == ["unbook long ref-long", "unbook wrong ref-wrong"]


async def test_a_method_is_undone_by_a_method(harness: OpenHarness) -> None:
    class Desk:
        def __init__(self, name: str) -> None:
            self.name = name

        async def close(self, what: str) -> None:
            ledger.append(f"{self.name} closes {what}")

        @step(undo=close)
        async def open(self, what: str) -> str:
            return what

    desk = Desk("north")

    @task
    async def trip() -> None:
        await desk.open("till")
        await failing()

    async with harness(trip) as h:
        assert await h.status(await h.trigger(trip)) == "failed"
    assert ledger == ["north closes till"]


async def test_an_undo_has_an_idempotency_key_of_its_own(harness: OpenHarness) -> None:
    async def back(what: str) -> None:
        found: Any = operation()
        ledger.append(found.idempotency_key)

    @step(undo=back)
    async def forth(what: str) -> None: ...

    @task
    async def trip() -> None:
        await forth("a")
        await forth("b")
        await failing()

    async with harness(trip) as h:
        run = await h.trigger(trip)
        assert await h.status(run) == "failed"
    prefix = ledger[0].rpartition("#")[0]
    assert ledger == [f"{prefix}#1", f"{prefix}#2"]
    assert prefix.startswith(f"{run.id}:undo#0/")


# -- definitions


def test_an_undo_that_cannot_take_the_arguments_is_refused_where_it_is_written() -> None:
    async def forth(a: int, *, b: int) -> None: ...

    async def too_few(a: int) -> None: ...

    async def fits(a: int, *, b: int, result: None) -> None: ...

    with pytest.raises(DefinitionError, match=r"undo=.*too_few is called with the arguments of"):
        step(undo=too_few)(forth)
    with pytest.raises(DefinitionError, match="cannot be called"):
        step(undo=Undo("unbook"))(forth)  # type: ignore[arg-type]
    assert step(undo=fits)(forth).undo is not None
