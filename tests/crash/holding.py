"""What the killed processes run that holds a thread."""

from __future__ import annotations

import time
from pathlib import Path

from agentflow import step, task
from tests.support.ledger import witness


@step
def hold_a_thread(seconds: float) -> float:
    witness()
    time.sleep(seconds)
    return seconds


@task
async def holds_a_thread(seconds: float) -> float:
    return await hold_a_thread(seconds)


@step
def hold_a_thread_for_word(fifo: str) -> str:
    """Until somebody writes to the pipe."""
    witness()
    Path(fifo).read_text(encoding="utf-8")
    return "held"


@task
async def holds_a_thread_for_word(fifo: str) -> str:
    return await hold_a_thread_for_word(fifo)
