"""An agent of two models over HTTP, and the program round it that tests kill."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from agentflow import AgentFlow, Retry
from agentflow.agents import Agent, tool
from agentflow.settings import WorkerSettings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from multiprocessing.connection import Connection

PRIMARY, SECONDARY = "gpt-5-mini", "claude-sonnet-4-5"
ONCE = Retry(max_attempts=1, min_delay="1ms")
TWICE = Retry(max_attempts=2, min_delay="1ms", jitter=0)


@tool
def look(order: str) -> str:
    """Look up an order.

    Args:
        order: Its number.
    """
    return f"{order}: 40 EUR"


def helper(retry: Retry = ONCE) -> Agent[str]:
    """The agent, as any process defines it."""
    return Agent(
        "helper",
        model=f"openai:{PRIMARY}",
        models=[f"anthropic:{SECONDARY}"],
        instructions="Be brief.",
        tools=[look],
        model_retry=retry,
    )


def see_through(channel: Connection, database: str, environment: Mapping[str, str]) -> None:
    """A worker that brings the one run of the agent to its end, and says what came of it."""
    os.environ.update(environment)

    async def main() -> Any:
        agent = helper()
        settings = WorkerSettings(lease_for=timedelta(minutes=10), heartbeat_every=timedelta(minutes=1))
        async with AgentFlow(agent, database=database, settings=settings):
            run = await agent.options(idempotency_key="the run").trigger("What is A-17?")
            return await run

    channel.send(asyncio.run(main()))
