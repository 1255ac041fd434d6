"""While any worker of this process runs, what runs log and print is kept; afterwards everything is as it was."""

from __future__ import annotations

import logging
import sys
from typing import TextIO, cast

from agentflow.runtime.logs import RunLog, RunPrints, is_repeated


class _Capture(RunLog):
    """The one handler on the root logger. Where it is the only one, Python's last resort still speaks."""

    def emit(self, record: logging.LogRecord) -> None:
        super().emit(record)
        last = logging.lastResort
        alone = logging.getLogger().handlers == [self]
        if alone and last is not None and record.levelno >= last.level and not is_repeated():
            last.handle(record)


_run_log = _Capture()
_users = 0
_stdout: TextIO | None = None


def capture() -> None:
    """Begin to keep what runs log and print; each call needs its `release`."""
    global _users, _stdout  # noqa: PLW0603  there is one root logger and one standard output in a process
    _users += 1
    if _users == 1:
        logging.getLogger().addHandler(_run_log)
        _stdout = sys.stdout
        sys.stdout = cast("TextIO", RunPrints(_stdout))


def release() -> None:
    """End what the matching `capture` began."""
    global _users, _stdout  # noqa: PLW0603  as above
    _users -= 1
    if _users == 0:
        logging.getLogger().removeHandler(_run_log)
        if isinstance(sys.stdout, RunPrints) and _stdout is not None:
            sys.stdout = _stdout
        _stdout = None
