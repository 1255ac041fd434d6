"""The worker process for the peers' harness: executes the benchmark's tasks until it is killed.

With a backend that ends in `serve` it also takes decisions on its standard input, one JSON object a line, as
`agentflow serve` takes them from its pages: client and worker in one process.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from importlib import import_module
from importlib.util import find_spec

from common import mark, step_body  # type: ignore[import-not-found]  # the harness puts its folder on the path

from agentflow import AgentFlow, WorkerSettings, step, task, wait_for_approval


@step
async def st(run: str, i: int) -> dict[str, object]:
    """A step that does nothing but say when it ran, and returns about 200 bytes of JSON."""
    return step_body(run, i)  # type: ignore[no-any-return]


@task
async def seq(run: str, n: int) -> None:
    """`n` steps, one after the other."""
    for i in range(n):
        await st(run, i)
    mark("fin", run)


@task
async def approval(run: str) -> None:
    """Wait for a person, then one step."""
    mark("wait", run)
    await wait_for_approval({"ok": True}, title=run)
    await st(run, 0)
    mark("fin", run)


async def decide_from_input(app: AgentFlow) -> None:
    """Decide what the lines of standard input say."""
    reader = asyncio.StreamReader(limit=2**22)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    deciding = set()
    while line := await reader.readline():
        one = asyncio.create_task(app.client.decide(json.loads(line)["approval"], "approve", by="benchmark"))
        deciding.add(one)
        one.add_done_callback(deciding.discard)


async def main() -> None:
    """Execute runs of the database in the environment, at most 50 at a time as the other systems do."""
    async with AgentFlow(seq, approval, settings=WorkerSettings(concurrency=50)) as app:
        mark("ready", "-")
        if os.environ["BENCH_BACKEND"].endswith("serve"):
            await decide_from_input(app)
        await asyncio.Event().wait()


if __name__ == "__main__":
    fast = import_module("uvloop") if find_spec("uvloop") else None  # as `agentflow worker` does
    with asyncio.Runner(loop_factory=fast.new_event_loop if fast else None) as runner:
        runner.run(main())
