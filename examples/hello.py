"""The smallest story: a task, a step, and a run of it.

    python examples/hello.py [NAME]

The run is kept in `agentflow.db` in the folder you are in; `agentflow runs` lists it afterwards.
"""

from __future__ import annotations

import asyncio
import sys

from agentflow import AgentFlow, step, task


@step
def greeting(name: str) -> str:
    """A step may be an ordinary function; what it returns is kept, and never computed twice."""
    return f"Hello, {name}!"


@task
async def hello(name: str) -> str:
    """A task is an ordinary async function; each `await` in it is a checkpoint."""
    text = await greeting(name)
    return text.upper()


async def main(name: str) -> None:
    """Run the task durably, with a worker inside this program."""
    async with AgentFlow(hello, database="sqlite:///agentflow.db"):
        run = await hello.trigger(name)
        print(await run)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:2] or ["world"]))
