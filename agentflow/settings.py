"""Settings: where the database is and how a worker behaves, from arguments and the environment."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from agentflow.errors import InvalidSetting
from agentflow.labels import labels

DATABASE_VARIABLE: Final = "AGENTFLOW_DATABASE_URL"
HEALTH_VARIABLE: Final = "AGENTFLOW_HEALTH"
PRICES_VARIABLE: Final = "AGENTFLOW_PRICES"
SUBSCRIBERS_PRIVATE_VARIABLE: Final = "AGENTFLOW_SUBSCRIBERS_PRIVATE"
INBOX_SECRET_VARIABLE: Final = "AGENTFLOW_INBOX_SECRET"  # noqa: S105  its name, not the secret
SHORTEST_SECRET: Final = 32
KEEP_VARIABLES: Final = {
    "runs": "AGENTFLOW_KEEP_RUNS",
    "approvals": "AGENTFLOW_KEEP_APPROVALS",
    "logs": "AGENTFLOW_KEEP_LOGS",
    "events": "AGENTFLOW_KEEP_EVENTS",
    "occurrences": "AGENTFLOW_KEEP_OCCURRENCES",
    "deliveries": "AGENTFLOW_KEEP_DELIVERIES",
    "dispatches": "AGENTFLOW_KEEP_DISPATCHES",
    "usage": "AGENTFLOW_KEEP_USAGE",
    "threads": "AGENTFLOW_KEEP_THREADS",
}
"""For how long what is kept, each a span such as "90d" or "forever"; for ever where nothing is said."""
KEPT_UNSAID: Final = {"usage": "400d"}
"""But for what calls of models used: for a year and a month, so that each month can be compared with its last."""
FOREVER: Final = "forever"
DEFAULT_DATABASE: Final = "sqlite:///agentflow.db"
PAYLOAD_LIMIT: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """How a worker behaves.

    It holds at most `concurrency` runs at a time. Its lease lasts `lease_for` and is renewed every `heartbeat_every`
    by a thread of its own; when it stops it lets its runs go on for `drain_for` before it hands them back. A run whose
    worker died more than `max_recoveries` times needs attention instead of a further worker. `poll_every` is how often
    another process's writes are looked for; a wait shorter than `hold_for` is waited out in memory.

    It takes runs of the tasks whose needs its `labels` meet ("gpu", "region=eu"): of these `tasks` and in these
    `queues`, where any are named. Raises `InvalidSetting`.
    """

    concurrency: int = 100
    threads: int = 16
    lease_for: timedelta = timedelta(seconds=30)
    heartbeat_every: timedelta = timedelta(seconds=5)
    drain_for: timedelta = timedelta(seconds=20)
    poll_every: timedelta = timedelta(milliseconds=20)
    hold_for: timedelta = timedelta(seconds=1)
    max_recoveries: int = 5
    labels: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", labels(self.labels))
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


def inbox_secret() -> bytes | None:
    """What the forms of every inbox of one database are signed with; None where each makes its own at its start.

    Raises `InvalidSetting` for one that could be guessed.
    """
    text = os.environ.get(INBOX_SECRET_VARIABLE, "").strip()
    if text and len(text) < SHORTEST_SECRET:
        raise InvalidSetting(
            f"{INBOX_SECRET_VARIABLE} has {len(text)} characters; wanted {SHORTEST_SECRET} or more that nobody can "
            "guess, such as `openssl rand -hex 32` prints, the same for every inbox"
        )
    return text.encode() or None


def shown_url(url: str) -> str:
    """The URL for people and logs: without a password, wherever in it one is written."""
    scheme, separator, rest = url.partition("://")
    if not separator:  # `host=db password=…`, which a library would take
        return re.sub(r"(?i)(password\s*=\s*)('(?:\\.|[^'\\])*'?|\S*)", r"\1…", url)
    place, mark, query = rest.partition("?")
    rest = f"{place}{mark}{'&'.join(_shown_parameter(part) for part in query.split('&'))}"
    if "@" in place or not re.match(r"[^:@/]*:\d+(/|$)", place):  # else it is a port that follows the colon
        # Up to the last @: a password in which one was not written as %40 is a password still.
        rest = re.sub(r"^([^:@/?]*):.*@", r"\1:…@", rest, flags=re.DOTALL)
    return f"{scheme}{separator}{rest}"


def _shown_parameter(part: str) -> str:
    name, _, _ = part.partition("=")
    return f"{name}=…" if "password" in name.lower() or "%" in name else part  # a name may be written as pass%77ord
