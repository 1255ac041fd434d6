"""Settings: where the database is and how a worker behaves, from arguments and the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from agentflow.errors import InvalidSetting

DATABASE_VARIABLE: Final = "AGENTFLOW_DATABASE_URL"
DEFAULT_DATABASE: Final = "sqlite:///agentflow.db"
PAYLOAD_LIMIT: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """How a worker behaves.

    It holds at most `concurrency` runs at a time. Its lease lasts `lease_for` and is renewed every `heartbeat_every`
    by a thread of its own; when it stops it lets its runs go on for `drain_for` before it hands them back. A run whose
    worker died more than `max_recoveries` times needs attention instead of a further worker. `poll_every` is how often
    another process's writes are looked for; a wait shorter than `hold_for` is waited out in memory.
    """

    concurrency: int = 100
    threads: int = 16
    lease_for: timedelta = timedelta(seconds=30)
    heartbeat_every: timedelta = timedelta(seconds=5)
    drain_for: timedelta = timedelta(seconds=20)
    poll_every: timedelta = timedelta(milliseconds=20)
    hold_for: timedelta = timedelta(seconds=1)
    max_recoveries: int = 5

    def __post_init__(self) -> None:
        if self.concurrency < 1 or self.threads < 1:
            raise InvalidSetting(f"concurrency={self.concurrency}, threads={self.threads}: wanted 1 or more of each")
        if self.heartbeat_every * 2 > self.lease_for:
            raise InvalidSetting(
                f"heartbeat_every={self.heartbeat_every} is more than half of lease_for={self.lease_for}: "
                "one missed renewal would lose every run; lower the one or raise the other"
            )


def database_url(given: str | None = None) -> str:
    """The database to use: what was given, else the environment's, else a file in the current folder."""
    return given or os.environ.get(DATABASE_VARIABLE) or DEFAULT_DATABASE
