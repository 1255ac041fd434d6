"""A worker process on one database: `python -m benchmarks.ours.worker URL`. It runs until it is killed."""

from __future__ import annotations

import asyncio
import sys

from benchmarks.ours.log import mark
from benchmarks.ours.steps import application, loop_factory


async def main(url: str) -> None:
    """Execute runs, and say in the step log when the first can be taken."""
    async with application(url):
        mark("ready", "-")
        await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(main(sys.argv[1]))
