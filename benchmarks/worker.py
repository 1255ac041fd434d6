"""A worker process on one database: `python -m benchmarks.worker DATABASE`. It runs until it is killed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from benchmarks.steps import application, loop_factory, mark


async def main(database: Path) -> None:
    """Execute runs, and say in the step log when the first can be taken."""
    async with application(database):
        mark("ready", "-")
        await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(main(Path(sys.argv[1])))
