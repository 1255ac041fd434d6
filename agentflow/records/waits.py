"""What answers a wait: events that were sent, and callbacks that other systems complete."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentflow.states import CallbackStatus

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that was said to have happened; `seq` counts the events of one name and key from 1.

    `woken` are the runs that waited for it when it was sent, the first hundred, as a JSON list; None if there were
    none. `repeated` if this very event had been sent before.
    """

    id: str
    name: str
    key: str
    seq: int
    payload: str
    digest: str
    sent_by: str
    sent_at: datetime
    woken: str | None = None
    repeated: bool = False

    @property
    def woken_runs(self) -> Sequence[str]:
        """The ids in `woken`."""
        return [] if self.woken is None else json.loads(self.woken)


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """A promise of another system to a run: pending until completed, failed, timed out or withdrawn.

    `details` is what its last heartbeat said; without a further one before `lapses_at` it times out.
    """

    id: str
    run_id: str
    key: str
    status: CallbackStatus
    output: str | None
    error: str | None
    details: str | None
    due_at: datetime | None
    lapses_at: datetime | None
    created_at: datetime
    resolved_at: datetime | None

    @property
    def is_pending(self) -> bool:
        """Whether the other system may still answer."""
        return self.status is CallbackStatus.PENDING
