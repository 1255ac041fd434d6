"""Rates that all calls of a key share: waited for durably, and held off for everybody when a call is told to wait."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from agentflow import Retry, RetryAfter, task
from agentflow.agents import ToolError, tool
from tests.agents.tools.conftest import OpenHarness

calls: list[str] = []
troubles: list[Exception] = []


@pytest.fixture(autouse=True)
def _empty() -> None:
    calls.clear()
    troubles.clear()


class Refused(Exception):
    """As HTTP clients raise it."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status


@tool(rate="2/min", rate_key="crm")
async def find(name: str) -> str:
    """Find a customer."""
    calls.append(f"find {name}")
    if troubles:
        raise troubles.pop(0)
    return name


@tool(rate="2/min", rate_key="crm")
async def note(name: str) -> str:
    """Note something about a customer."""
    calls.append(f"note {name}")
    return name


@task
async def finding(name: str) -> str:
    return await find.perform("1", {"name": name})


@task
async def noting(name: str) -> str:
    return await note.perform("1", {"name": name})


async def test_a_call_waits_without_memory_until_the_rate_of_its_key_allows_it(harness: OpenHarness) -> None:
    async with harness(finding, noting) as h:
        assert await h.run(finding, "ann") == "ann"
        assert await h.run(noting, "ann") == "ann"
        run = await h.trigger(finding, "bob")
        await h.until_idle()
        assert await h.status(run) == "waiting"
        await h.advance("59s")
        assert calls == ["find ann", "note ann"]
        await h.advance("2s")
        assert await h.result(run) == "bob"
    assert calls == ["find ann", "note ann", "find bob"]


@pytest.mark.parametrize(
    ("error", "delay"), [(RetryAfter("later", "10m"), 600), (Refused(429), 60)], ids=["says when", "429"]
)
async def test_an_error_that_asks_to_be_left_alone_holds_the_whole_key_off(
    live: OpenHarness, error: Exception, delay: int
) -> None:
    troubles.append(error)
    async with live(finding, noting) as h:
        failed = await h.trigger(finding, "ann")
        await h.until_idle()
        assert await h.status(failed) == "failed"
        run = await h.trigger(noting, "bob")
        await h.until_idle()
        assert await h.status(run) == "waiting"
        await h.advance(timedelta(seconds=delay - 1))
        assert calls == ["find ann"]
        await h.advance("1s")
        assert await h.result(run) == "bob"


@pytest.mark.parametrize("error", [ValueError("no"), ToolError("nobody of that name"), Refused(500)])
async def test_any_other_error_holds_nobody_off(live: OpenHarness, error: Exception) -> None:
    troubles.append(error)
    async with live(finding, noting) as h:
        await h.trigger(finding, "ann")
        await h.until_idle()
        assert await h.run(noting, "bob") == "bob"


async def test_the_next_attempt_comes_when_the_error_says_and_the_rate_is_recorded_once(live: OpenHarness) -> None:
    @tool(rate="5/min", retry=Retry(max_attempts=2))
    async def look() -> str:
        """Look."""
        calls.append("look")
        if len(calls) == 1:
            raise RetryAfter("later", "5m")
        return "seen"

    @task(id="looking")
    async def looking() -> str:
        return await look.perform("1", {})

    async with live(looking) as h:
        run = await h.trigger(looking)
        await h.until_idle()
        await h.advance("4m")
        assert calls == ["look"]
        await h.advance("1m")
        assert await h.result(run) == "seen"
        journal = await h.journal(run)
    assert [one.key for one in journal if one.operation == "rate"] == ["rate.look#1"]


async def test_outside_of_a_run_nothing_is_counted() -> None:
    found: list[Any] = [await find(name) for name in "abc"]
    assert found == ["a", "b", "c"]
