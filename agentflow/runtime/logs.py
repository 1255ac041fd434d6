"""A run's log: what its code logs or prints, kept once with its operation, however often the code replays."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import TYPE_CHECKING, Any, Final, TextIO

from agentflow.clock import to_micros
from agentflow.requests import NewLogLine
from agentflow.tasks.calling import current_caller

if TYPE_CHECKING:
    from agentflow.runtime.turn import Turn

log: Final = logging.getLogger("agentflow.run")
log.setLevel(logging.INFO)
LONGEST: Final = 16_384


class LogBuffer:
    """Lines of one turn on their way to the store; they ride in the next transaction and are waited for by nobody."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._lines: list[NewLogLine] = []
        self._begun: dict[str | None, str] = {}
        self._loop = asyncio.get_running_loop()
        self._scheduled = False
        self._writing: set[asyncio.Task[None]] = set()

    def add(self, level: str, logger: str, message: str, key: str | None) -> None:
        """Keep a line. May be called from a step's thread."""
        turn = self._turn
        text = message if len(message) <= LONGEST else f"{message[:LONGEST]}… ({len(message):,} characters)"
        line = NewLogLine(
            run_id=turn.run.id,
            at=to_micros(turn.clock.now()),
            level=level,
            logger=logger,
            message=text.encode(errors="backslashreplace").decode().replace("\0", "\\x00"),
            key=key,
            epoch=turn.lease.epoch,
        )
        self._lines.append(line)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon_threadsafe(self.flush)

    def print(self, text: str, key: str | None) -> None:
        """Keep what is printed once its line is complete: `print` writes each of its arguments by itself."""
        *lines, self._begun[key] = (self._begun.get(key, "") + text).split("\n")
        for line in lines:
            if line.strip():
                self.add("PRINT", "print", line, key)

    def _end_lines(self) -> None:
        begun, self._begun = self._begun, {}
        for key, text in begun.items():
            if text.strip():
                self.add("PRINT", "print", text, key)

    def flush(self) -> None:
        """Hand what has gathered to the store."""
        self._scheduled = False
        if self._lines:
            lines, self._lines = self._lines, []
            writing = self._loop.create_task(self._keep(lines))
            self._writing.add(writing)
            writing.add_done_callback(self._writing.discard)

    async def drain(self) -> None:
        """Return when every line has been handed over and kept."""
        self._end_lines()
        self.flush()
        if self._writing:
            await asyncio.wait(set(self._writing))

    async def _keep(self, lines: list[NewLogLine]) -> None:
        try:
            await self._turn.store.keep_logs(lines)
        except Exception as error:  # noqa: BLE001  a run is not to fail for its log
            sys.stderr.write(f"agentflow: {len(lines)} log lines of run {self._turn.run.id} were not kept: {error}\n")


class RunLog(logging.Handler):
    """Keeps what is logged inside runs; installed on the root logger while a worker runs."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record if it was logged in a run, and not for a second time."""
        caller: Any = current_caller.get()
        if caller is None or is_repeated():
            return
        try:
            message = record.getMessage()
            if record.exc_info:
                message += "\n" + logging.Formatter().formatException(record.exc_info)
            caller.turn.logs.add(record.levelname, record.name, message, caller.key)
        except Exception:  # noqa: BLE001  logging must not raise; the standard library's own rule
            self.handleError(record)


class ReplayFilter(logging.Filter):
    """Lets nothing pass that a replay logs again; put it on handlers that write to a console or file."""

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002  the standard library's signature
        """Whether this is said for the first time."""
        return not is_repeated()


def is_repeated() -> bool:
    """Whether the present code is a run's, on ground it has covered before."""
    caller: Any = current_caller.get()
    return caller is not None and bool(caller.is_replaying)


class RunPrints:
    """Stands in for `sys.stdout` while a worker runs: what a task with `log_prints` prints is kept in its run's log."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, text: str) -> int:
        """Write to the real output, and to the run's log where that is wanted."""
        caller: Any = current_caller.get()
        if caller is not None and caller.turn.task.log_prints:
            if caller.is_replaying:
                return len(text)
            caller.turn.logs.print(text, caller.key)
        return self._out.write(text)

    def __getattr__(self, name: str) -> Any:
        """Everything else is the real output's."""
        return getattr(self._out, name)
