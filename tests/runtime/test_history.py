"""The history of real runs: typed, ordered, without gaps, and only ever added to."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from agentflow import Retry, gather, patched, sleep, step, task, wait_for_approval
from agentflow.errors import RunNotFound
from agentflow.events import (
    ChildTriggered,
    OperationEvent,
    OperationFailed,
    OperationSucceeded,
    RunAttemptFailed,
    RunFinished,
    RunTriggered,
    ScopeSucceeded,
    TurnEnd,
    TurnEnded,
    WaitOpened,
    WaitSatisfied,
    WaitTimedOut,
)
from agentflow.states import RunStatus, WaitKind
from agentflow.testing import Scripted

if TYPE_CHECKING:
    from agentflow.events import Event
    from tests.runtime.conftest import OpenHarness

MINUTES = timedelta(minutes=10)


@step
async def double(n: int) -> int:
    return 2 * n


async def helper(n: int) -> int:
    return await double(n) + 1


@task
async def child(n: int) -> int:
    return await double(n)


@task
async def story(n: int) -> int:
    total = await helper(n)
    left, right = await gather(double(total), double(1))
    await sleep("3d")
    decision = await wait_for_approval({"n": left}, key="gate", timeout="2d")
    return int(decision.data["n"]) + right + await child.trigger_and_wait(n)


def named(events: list[Event] | tuple[Event, ...]) -> list[str]:
    return [f"{event.key} {event.type}" if isinstance(event, OperationEvent) else event.type for event in events]


async def test_a_whole_run_is_told_in_order(live: OpenHarness) -> None:
    async with live(story, child) as h:
        run = await h.trigger(story, 5)
        await h.advance("3d")
        await h.approve(await h.only_approval(run), by="mia")
        assert await h.result(run) == 22 + 2 + 10
        events = await h.history(run)
        assert named(events) == [
            "run_triggered",
            "helper#1/double#1 operation_succeeded",
            "helper#1 scope_succeeded",
            "gather#1[0]/double#1 operation_succeeded",
            "gather#1[1]/double#1 operation_succeeded",
            "wait_opened",
            "turn_ended",
            "wait_satisfied",
            "wait_opened",
            "turn_ended",
            "wait_satisfied",
            "child.trigger#1 child_triggered",
            "wait_opened",
            "turn_ended",
            "wait_satisfied",
            "run_finished",
        ]


async def test_seq_counts_and_every_entry_is_told_also_when_replayed_at_every_operation(harness: OpenHarness) -> None:
    async with harness(story, child) as h:
        run = await h.trigger(story, 5)
        before = await h.history(run)
        await h.advance("3d")
        await h.approve(await h.only_approval(run))
        await h.result(run)
        events = await h.history(run)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert [event.seq for event in events] == [entry.seq for entry in await h.journal(run)]
        assert tuple(events[: len(before)]) == tuple(before)
        assert {event.run_id for event in events} == {run.id}
        results = {event.key: event.result for event in events if isinstance(event, OperationSucceeded)}
        assert results["helper#1/double#1"] == "10"
        assert isinstance(events[-1], RunFinished)
        assert (events[-1].status, events[-1].output) == (RunStatus.COMPLETED, "34")


async def test_waits_say_what_for_until_when_and_who_answered(harness: OpenHarness) -> None:
    async with harness(story, child) as h:
        run = await h.trigger(story, 5)
        started = h.clock.now()
        await h.advance("3d")
        approval = await h.only_approval(run)
        await h.correct(approval, n=1, by="mia")
        await h.result(run)
        events = await h.history(run)
        timer, gate, ran = [event for event in events if isinstance(event, WaitOpened)]
        assert (timer.kind, timer.due_at, timer.timeout) == (
            WaitKind.TIMER,
            started + timedelta(days=3),
            timedelta(days=3),
        )
        assert (gate.kind, gate.subject) == (WaitKind.APPROVAL, approval.id)
        assert (gate.due_at, gate.timeout) == (approval.deadline_at, timedelta(days=2))
        [made] = [event for event in events if isinstance(event, ChildTriggered)]
        assert (ran.subject, made.run_ids) == (made.run_ids[0], (made.run_ids[0],))
        fired, decided, ended = [event for event in events if isinstance(event, WaitSatisfied)]
        assert (fired.outcome, ended.outcome) == ("fired", "completed")
        assert (decided.outcome, decided.by, decided.answer) == ("corrected", "mia", '{"n":1}')


async def test_no_answer_in_time_is_told_as_such(harness: OpenHarness) -> None:
    @task
    async def asking() -> bool:
        return (await wait_for_approval(1, key="gate", timeout="1h")).approved

    async with harness(asking) as h:
        run = await h.trigger(asking)
        await h.advance("2h")
        assert await h.result(run) is False
        [late] = [event for event in await h.history(run) if isinstance(event, WaitTimedOut)]
        assert (late.key, late.kind, late.answer) == ("gate#1", WaitKind.APPROVAL, None)


async def test_attempts_say_when_the_next_one_is_due(harness: OpenHarness) -> None:
    ask = Scripted("ask", [RuntimeError("429"), "yes", RuntimeError("500"), "late"])
    asked = step(retry=Retry(max_attempts=2, min_delay="10m", jitter=0))(ask)

    @task(retry=Retry(max_attempts=2, min_delay="1h", jitter=0))
    async def asking() -> list[str]:
        return [await asked(), await ask()]

    async with harness(asking) as h:
        run = await h.trigger(asking)
        await h.advance("10m")
        await h.advance("1h")
        assert await h.result(run) == ["yes", "late"]
        events = await h.history(run)
        first, last = [event for event in events if isinstance(event, OperationFailed)]
        assert (first.attempt, first.is_final, first.delay) == (1, False, MINUTES)
        assert (last.is_final, last.next_at, last.error and last.error.message) == (True, None, "500")
        [again] = [event for event in events if isinstance(event, RunAttemptFailed)]
        assert (again.attempt, again.retry_key) == (1, "ask#2" if last.key == "ask#2" else last.key)
        assert events[-1].attempt == 2
        [retried] = [event for event in events if isinstance(event, WaitOpened)]
        assert (retried.kind, retried.due_at) == (WaitKind.RETRY, first.next_at)


async def test_how_turns_ended_is_told(live: OpenHarness) -> None:
    @task
    async def waiting() -> str:
        await double(1)
        return (await wait_for_approval(1, key="gate")).outcome

    async with live(waiting) as h:
        run = await h.trigger(waiting)
        [parked] = [event for event in await h.history(run) if isinstance(event, TurnEnded)]
        assert (parked.how, parked.keys, parked.epoch) == (TurnEnd.PARKED, ("gate#1",), 1)
        await h.client.cancel(run.id, by="mia", reason="late")
        ended = (await h.history(run))[-1]
        assert isinstance(ended, RunFinished)
        assert (ended.status, ended.reason) == (RunStatus.CANCELLED, "cancelled by mia: late")


async def test_a_replayed_run_tells_each_turn(tmp_path: object, harness: OpenHarness) -> None:
    async with harness(child) as h:
        run = await h.trigger(child, 2)
        await h.result(run)
        turns = [event for event in await h.history(run) if isinstance(event, TurnEnded)]
        assert {turn.how for turn in turns} <= {TurnEnd.HANDED_BACK}
        assert (await h.client.run(run.id)).epoch == len(turns) + 1


async def test_scopes_and_patches_are_told(harness: OpenHarness) -> None:
    @task
    async def changed() -> int:
        if await patched("faster"):
            return await helper(1)
        return 0

    async with harness(changed) as h:
        run = await h.trigger(changed)
        assert await h.result(run) == 3
        events = await h.history(run)
        assert [event.to_json()["name"] for event in events if event.type == "patched"] == ["faster"]
        [scope] = [event for event in events if isinstance(event, ScopeSucceeded)]
        assert (scope.key, scope.operations) == ("helper#1", 1)


async def test_the_document_is_what_the_command_and_the_api_give(live: OpenHarness) -> None:
    async with live(child) as h:
        run = await h.trigger(child, 2)
        events = await h.history(run)
        document = await h.client.history_document(run.id)
        told = [event.to_json() for event in events]
        assert document == {"version": 1, "run_id": run.id, "events": told, "more": False}
        some = await h.client.history_document(run.id, after=1, limit=1)
        assert (some["events"], some["more"]) == (told[1:2], True)
        assert isinstance(events[0], RunTriggered)
        assert events[0].origin == "program"


async def test_a_run_that_is_not_there_has_no_history(live: OpenHarness) -> None:
    async with live(child) as h:
        with pytest.raises(RunNotFound, match="run_nowhere"):
            await h.client.history("run_nowhere")
