"""Planted defects: each of them is one that the crash test names."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from agentflow import step, task
from agentflow.requests import NewEntry
from agentflow.states import EntryKind
from agentflow.tasks.calling import current_caller
from agentflow.testing import Effects, crash_test

effects = Effects()


@step
async def first() -> str:
    effects.record("first")
    return "first"


@step
async def second(text: str = "") -> str:
    effects.record("second")
    return f"second {text}".strip()


async def test_an_effect_in_the_task_s_own_code() -> None:
    @task
    async def careless() -> str:
        await first()
        effects.record("mail")
        return await second()

    with pytest.raises(AssertionError, match=r"effect 'mail' \(outside any operation, in the code of task .*careless"):
        await crash_test(careless, effects=effects)


async def test_an_effect_in_the_code_of_a_helper_before_its_operations() -> None:
    async def helper() -> str:
        effects.record("mail")
        return await first()

    @task
    async def careless() -> str:
        return await helper()

    with pytest.raises(
        AssertionError, match=r"replayed .*: effect 'mail' \(in operation .*helper#1\) happened 2 times"
    ):
        await crash_test(careless, effects=effects)


async def test_a_branch_taken_by_a_clock_that_is_read_in_the_open() -> None:
    """Each replay reads a later time, and takes another branch in the end."""
    clock = count()

    @step
    async def opened() -> int:
        return next(clock)

    @task
    async def hurried() -> str:
        at = await opened()
        if next(clock) > at + 1:
            return "too late"
        return await second()

    with pytest.raises(AssertionError, match=r"killed .*: .*it returned 'too late'; undisturbed it returned 'second'"):
        await crash_test(hurried, effects=effects)


async def test_operations_in_an_order_of_their_own_on_each_replay() -> None:
    reading = count()

    @task
    async def shuffled() -> str:
        if next(reading) % 2:
            return await first() + await second()
        return await second() + await first()

    with pytest.raises(AssertionError, match=r"diverged|Diverged|it returned|needs_attention"):
        await crash_test(shuffled, effects=effects)


async def test_what_is_remembered_outside_the_run() -> None:
    seen: list[str] = []

    @task
    async def forgetful() -> int:
        seen.append(await first())
        await second()
        return len(seen)

    with pytest.raises(AssertionError, match=r"it returned \d+; undisturbed it returned 1"):
        await crash_test(forgetful, effects=effects)


async def test_a_step_that_acts_more_often_than_it_is_called() -> None:
    acted = count()

    @step
    async def stuttering() -> None:
        for _ in range(1 + (next(acted) > 0)):
            effects.record("stutter")

    @task
    async def calling() -> None:
        await stuttering()

    with pytest.raises(
        AssertionError, match=r"'stutter' \(in operation .*stuttering#1\) happened 2 times; undisturbed 1"
    ):
        await crash_test(calling, effects=effects)


async def test_a_task_that_never_comes_to_rest() -> None:
    @task
    async def looping() -> None:
        while True:
            await first()

    with pytest.raises(AssertionError, match=r"undisturbed: no rest within 0\.2 s; the last write was: append"):
        await crash_test(looping, patience=0.2)


async def test_a_journal_that_says_two_things_of_one_operation() -> None:
    """What a defect of the engine would look like: planted by a step that writes where only the engine may."""

    @step
    async def forging() -> None:
        caller: Any = current_caller.get()
        forged = NewEntry(EntryKind.SUCCEEDED, "first#1", "step", output='"forged"')
        await caller.turn.store.append(caller.turn.lease, forged)

    @task
    async def forged() -> str:
        answer = await first()
        await forging()
        return answer

    with pytest.raises(AssertionError, match=r"forged, undisturbed: run_\w+: first#1 has 2 results"):
        await crash_test(forged, effects=effects)
