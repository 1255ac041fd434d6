"""What is to be removed from a database, and what a restored one is to become."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from agentflow.states import TERMINAL

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from agentflow.states import RunStatus


class Kept(StrEnum):
    """What is kept for a time of its own; approvals longer than their runs, of which they are what is left."""

    RUNS = "runs"
    APPROVALS = "approvals"
    LOGS = "logs"
    EVENTS = "events"
    OCCURRENCES = "occurrences"
    DELIVERIES = "deliveries"
    DISPATCHES = "dispatches"
    USAGE = "usage"
    THREADS = "threads"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prune:
    """Remove what ended before this instant, some of it: about `limit` rows, from the place `after` on.

    Of runs, only those of these tasks (of any, if none is named) and statuses. Their approvals stay readable, and with
    them the run's own row, unless `approvals` says that they may go too.
    """

    kind: Kept
    before: datetime
    after: str = ""
    limit: int = 100
    tasks: Collection[str] = ()
    statuses: Collection[RunStatus] = TERMINAL
    approvals: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkRestored:
    """Let the open runs of a restored database go no further by themselves, some of them: from `after` on."""

    by: str
    reason: str
    after: str = ""
    limit: int = 100
    go_on: bool = False
