"""Two releases of one program: AGENTFLOW_TEST_RELEASE says which of them this process is of."""

from __future__ import annotations

import asyncio
import os

from agentflow import sleep, step, task, wait_for_approval
from tests.support.ledger import witness

VARIABLE = "AGENTFLOW_TEST_RELEASE"
RELEASE = os.environ.get(VARIABLE, "1")
STEPS = 6


@step
async def adds(total: int) -> int:
    witness()
    await asyncio.sleep(0.02)
    witness("end")
    return total + 1


@step
async def names_release() -> str:
    witness()
    return RELEASE


@task(version=RELEASE)
async def is_carried() -> int:
    """Goes on with whatever release is there."""
    total = 0
    for _ in range(STEPS):
        total = await adds(total)
    return total


@task(version=RELEASE, on_new_version="pin")
async def is_pinned() -> str:
    """Ends with the release it began with."""
    begun = await names_release()
    await sleep("300ms")
    return f"{begun}{await names_release()}"


@task(version=RELEASE)
async def asks(n: int) -> int:
    """Is answered while other workers run than those it asked with."""
    total = await adds(n)
    decision = await wait_for_approval({"n": n}, title=f"number {n}")
    return await adds(total) if decision.approved else -1
