"""Kill a run in the middle, start the program again: what was recorded is not done again.

    python examples/crash_and_resume.py

This program starts itself as a child, which bakes five cakes. The third is in the oven when the child is killed with
SIGKILL: no clean-up runs, nothing is flushed. A second child opens the same database and goes on. The ledger is a
plain file the oven appends to, outside the database, so it shows what really happened.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

from agentflow import AgentFlow, step, task

CAKES = 5
KILLED_AT = 3


@step
async def bake(cake: int, folder: str) -> int:
    """One cake, and a line in the ledger before and after: an effect that cannot be taken back."""
    ledger = Path(folder) / "ledger.txt"
    is_first_life = f"begin {KILLED_AT}\n" not in (ledger.read_text() if ledger.exists() else "")
    _write(ledger, f"begin {cake}")
    if cake == KILLED_AT and is_first_life:
        print("IN THE OVEN", flush=True)  # what the parent waits for before it kills
        await asyncio.Event().wait()
    _write(ledger, f"done {cake}")
    return cake


@task
async def bakery(folder: str) -> list[int]:
    """All the cakes, one after the other."""
    return [await bake(cake, folder) for cake in range(1, CAKES + 1)]


async def work(folder: str) -> None:
    """What each child does: open the database, ask for the bakery's one run, and stay until it is done."""
    async with AgentFlow(bakery, database=f"sqlite:///{folder}/bakery.db") as flow:
        run = await flow.client.trigger_json("bakery", {"folder": folder}, idempotency_key="today")
        await flow.client.result(run.id)


def main() -> None:
    """Start, kill, start again, and read the ledger."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, folder]
        first = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603  this very program
        assert first.stdout is not None
        first.stdout.readline()
        first.kill()
        first.wait()
        first.stdout.close()
        print(f"killed with cake {KILLED_AT} in the oven; starting again")
        subprocess.run(command, check=True)  # noqa: S603  this very program

        ledger = (Path(folder) / "ledger.txt").read_text().split("\n")
        for cake in range(1, CAKES + 1):
            begun, done = ledger.count(f"begin {cake}"), ledger.count(f"done {cake}")
            print(f"cake {cake}: begun {begun}, done {done}")
    print("Every cake was done once. Only the one in the oven, which had no recorded result, was begun again.")


def _write(ledger: Path, line: str) -> None:
    with ledger.open("a") as file:
        file.write(f"{line}\n")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(work(sys.argv[1]))
    else:
        main()
