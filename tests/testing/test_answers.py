"""Scripted systems outside: events and callbacks, by themselves and in a crash test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agentflow import create_callback, gather, sleep, step, task, wait_for_event
from agentflow.errors import CallbackFailed
from agentflow.events import WaitOpened
from agentflow.testing import Answers, Effects, Harness, Reviewer, crash_test

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentflow.testing import CrashReport

    Open = Callable[..., Harness]

effects = Effects()


@step
async def ship(order: str) -> str:
    effects.record("ship")
    return f"shipped {order}"


@task
async def order(name: str) -> str:
    paid = await wait_for_event("paid", key=name, timeout="30d")
    await sleep("1d")
    return f"{await ship(name)} for {paid['amount']}"


@task
async def ask_bank() -> str:
    bank = await create_callback("bank", timeout="2d")
    await ship("letter")
    try:
        return str(await bank)
    except CallbackFailed as error:
        return f"no: {error}"


@task
async def read_lines(count: int) -> list[str]:
    return [await wait_for_event("line", queue=True) for _ in range(count)]


async def waiting_for(name: str) -> str:
    return str(await wait_for_event(name))


@task
async def both() -> list[str]:
    return list(await gather(waiting_for("left"), waiting_for("right"), ship("middle")))


def said(report: CrashReport) -> list[str]:
    return [scenario.said for scenario in report.scenarios if scenario.kind == "wait"]


async def test_events_are_sent_to_who_waits_for_them(agentflow_harness: Open) -> None:
    answers = Answers().event("paid", {"amount": 5}, key="A-17")
    async with agentflow_harness(order, answers=answers) as h:
        run, other = await h.trigger(order, "A-17"), await h.trigger(order, "B-2")
        await h.advance("1d")
        assert await h.result(run) == "shipped A-17 for 5"
        assert await h.status(other) == "waiting"


async def test_messages_go_out_in_their_order(agentflow_harness: Open) -> None:
    answers = Answers().event("line", "one").event("line", "two")
    async with agentflow_harness(read_lines, answers=answers) as h:
        assert await h.run(read_lines, 2) == ["one", "two"]


@pytest.mark.parametrize(
    ("answers", "wanted"),
    [(Answers().completes("ba*", "yes"), "yes"), (Answers().fails("bank", "closed"), "no: closed")],
    ids=["completed", "failed"],
)
async def test_callbacks_are_answered_by_name(agentflow_harness: Open, answers: Answers, wanted: str) -> None:
    async with agentflow_harness(ask_bank, answers=answers) as h:
        assert await h.run(ask_bank) == wanted


async def test_an_answer_nobody_wanted_is_named(agentflow_harness: Open) -> None:
    answers = Answers().event("paid", 1).completes("bank")
    with pytest.raises(AssertionError, match="nobody waited for event 'paid' or an answer to callback 'bank'"):
        async with agentflow_harness(read_lines, answers=answers) as h:
            assert await h.run(read_lines, 0) == []


async def test_an_answer_that_fits_nothing_leaves_the_run_waiting(agentflow_harness: Open) -> None:
    async with agentflow_harness(ask_bank, answers=Answers()) as h:
        run = await h.trigger(ask_bank)
        assert await h.status(run) == "waiting"


async def test_a_crash_test_sends_events_before_they_are_waited_for_long_after_and_twice() -> None:
    answers = Answers().event("paid", {"amount": 5}, key="A-17")
    report = await crash_test(order, "A-17", answers=answers, effects=effects, expect="shipped A-17 for 5")
    assert said(report) == [
        *(f"event event.paid#1 of order answered {when}" for when in ("early", "late", "twice")),
        *(f"timer sleep#1 of order answered {when}" for when in ("early", "late")),
    ]


async def test_a_crash_test_answers_callbacks_before_they_are_awaited_too_late_and_twice() -> None:
    report = await crash_test(ask_bank, answers=Answers().completes("bank", "yes"), effects=effects, expect="yes")
    assert said(report) == [f"callback bank of ask_bank answered {when}" for when in ("early", "late", "twice")]
    await crash_test(ask_bank, answers=Answers().fails("bank", "closed"), effects=effects, expect="no: closed")


async def test_a_crash_test_keeps_messages_in_order() -> None:
    answers = Answers().event("line", "one").event("line", "two").event("line", "three")
    report = await crash_test(read_lines, 3, answers=answers, expect=["one", "two", "three"])
    assert len(said(report)) == 9


async def test_a_crash_test_answers_branches_in_any_order() -> None:
    answers = Answers().event("left", "l").event("right", "r")
    await crash_test(both, answers=answers, effects=effects, expect=["l", "r", "shipped middle"])


async def test_history_tells_the_deadlines_of_events_and_callbacks(agentflow_harness: Open) -> None:
    async with agentflow_harness(order, ask_bank) as h:
        waiting, asked = await h.trigger(order, "A-17"), await h.trigger(ask_bank)
        [event] = [one for one in await h.history(waiting) if isinstance(one, WaitOpened)]
        [callback] = [one for one in await h.history(asked) if isinstance(one, WaitOpened)]
        assert (event.subject, event.timeout and event.timeout.days) == ("paid:A-17", 30)
        assert (callback.subject or "").startswith("cb")
        assert callback.timeout is not None
        assert callback.timeout.days == 2


async def test_people_and_systems_answer_side_by_side(agentflow_harness: Open) -> None:
    answers, reviewer = Answers().event("paid", {"amount": 5}, key="A-17"), Reviewer()
    async with agentflow_harness(order, answers=answers, reviewer=reviewer) as h:
        run = await h.trigger(order, "A-17")
        await h.advance("1d")
        assert await h.status(run) == "completed"
