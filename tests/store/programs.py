"""Other processes on the same file: small programs that say in their output how far they are."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PATIENCE = 120

HOLD_THE_LOCK = """
import sys
try:
    from pysqlite3 import dbapi2 as driver
except ImportError:
    import sqlite3 as driver
connection = driver.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
connection.execute("ROLLBACK")
connection.close()
print("released", flush=True)
"""


class Program:
    """A running Python program; warnings are errors in it, too."""

    def __init__(self, code: str, *args: object) -> None:
        command = [sys.executable, "-W", "error", "-c", code, *map(str, args)]
        self._running = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    async def line(self) -> str:
        """The next line it prints; "" after the last."""
        assert self._running.stdout is not None
        return (await asyncio.to_thread(self._running.stdout.readline)).strip()

    def go_on(self) -> None:
        """Give it the line it waits for."""
        assert self._running.stdin is not None
        self._running.stdin.write("\n")
        self._running.stdin.flush()

    async def output(self) -> str:
        """What else it prints until it ends, which must be without error."""
        said, failed = await asyncio.to_thread(self._running.communicate, timeout=PATIENCE)
        assert self._running.returncode == 0, failed
        return said.strip()

    def end(self) -> None:
        """Make sure that it has ended."""
        if self._running.poll() is None:
            self._running.kill()
        self._running.communicate(timeout=PATIENCE)


@contextmanager
def programs(code: str, *args_of_each: tuple[object, ...]) -> Iterator[list[Program]]:
    """As many programs as there are arguments, ended with the block."""
    started = [Program(code, *args) for args in args_of_each]
    try:
        yield started
    finally:
        for program in started:
            program.end()
