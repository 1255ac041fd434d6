"""What steps use of models is counted with the attempts that used it: once, however often the run is replayed."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from agentflow import Retry, Usage, report_usage, step, task, wait_for_approval

if TYPE_CHECKING:
    from agentflow.records import Run
    from agentflow.testing import Harness
    from tests.support.harnesses import OpenHarness

ONE = Usage(model="openai:gpt-5-mini", input_tokens=100, output_tokens=10, cost=Decimal("0.001"))
calls: list[str] = []


@pytest.fixture(autouse=True)
def no_calls() -> None:
    calls.clear()


async def used(h: Harness, run: Run) -> list[tuple[str, int]]:
    """The attempts that counted something, once nothing goes on."""
    await h.until_idle()
    return [(line.key, line.attempt) for line in await h.store.usage(run.id)]


@step(retry=Retry(max_attempts=3, min_delay="10s", jitter=0))
async def ask(word: str, *, failures: int = 0) -> str:
    calls.append(word)
    report_usage(ONE)
    if calls.count(word) <= failures:
        raise ConnectionError("the provider is away")
    return word.upper()


@step
async def look_up(word: str) -> str:
    return word


@task
async def two_words() -> list[str]:
    first = await ask("first")
    await wait_for_approval({"word": first})
    return [first, await ask("second"), await look_up("third")]


@task
async def stubborn() -> str:
    return await ask("again", failures=2)


@task
async def parent() -> list[str]:
    report_usage(ONE)  # outside a step: nothing
    return await two_words()


async def test_a_run_that_waits_and_is_replayed_counts_each_call_once(harness: OpenHarness) -> None:
    async with harness(two_words) as h:
        run = await h.trigger(two_words)
        assert await used(h, run) == [("ask#1", 1)]
        await h.approve(await h.only_approval())
        assert await h.result(run) == ["FIRST", "SECOND", "third"]
        lines = await h.store.usage(run.id)
    assert calls == ["first", "second"]
    assert [(line.key, line.attempt, line.usage) for line in lines] == [("ask#1", 1, ONE), ("ask#2", 1, ONE)]


async def test_a_crash_between_two_turns_counts_nothing_twice(harness: OpenHarness) -> None:
    async with harness(two_words) as h:
        run = await h.trigger(two_words)
        await h.until_idle()
        await h.crash()
        await h.approve(await h.only_approval())
        await h.result(run)
        assert await used(h, run) == [("ask#1", 1), ("ask#2", 1)]


async def test_attempts_that_failed_have_been_paid_for_too(harness: OpenHarness) -> None:
    async with harness(stubborn) as h:
        run = await h.trigger(stubborn)
        for delay in ("10s", "20s"):
            await h.until_idle()
            await h.advance(delay)
        assert await h.result(run) == "AGAIN"
        assert await used(h, run) == [("ask#1", 1), ("ask#1", 2), ("ask#1", 3)]


async def test_a_nested_task_counts_under_its_scope_and_outside_a_step_nothing_is_counted(harness: OpenHarness) -> None:
    async with harness(parent, two_words) as h:
        run = await h.trigger(parent)
        assert await used(h, run) == [("two_words#1/ask#1", 1)]
