"""What happened to a run as a whole: its turns, its attempts, what operators did, its end."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from agentflow.events.base import Event, payload

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from agentflow.failures import Failure
    from agentflow.states import RunStatus


class TurnEnd(StrEnum):
    """How a turn ended that did not end the run."""

    PARKED = "parked"
    HANDED_BACK = "handed_back"
    RECOVERED = "recovered"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTriggered(Event):
    """The run was made. `origin` is who or what asked for it: `api`, `program`, `schedule …`, `run …`."""

    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnEnded(Event):
    """A worker's hold on the run ended and the run goes on later.

    `how`: `parked` until one of the waits `keys` is answered, `handed_back` by a worker that stops, or `recovered`
    from a worker that was lost. A turn that ended the attempt or the run is told by their own events.
    """

    how: TurnEnd
    keys: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAttemptFailed(Event):
    """The task failed and is tried again. `retry_key` is the operation whose failure ended the attempt.

    `next_at` and `delay` say when, where the journal does.
    """

    error: Failure | None
    retry_key: str | None = None
    next_at: datetime | None = None
    delay: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSteered(Event):
    """Somebody outside steered the run; `reason` says who and why."""

    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPaused(RunSteered):
    """An operator stopped the run until it is resumed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResumed(RunSteered):
    """An operator let the run go on that was paused or needed attention."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRetried(RunSteered):
    """An operator had the run tried again that had ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunForked(RunSteered):
    """The run is a copy of another one up to here; `corrections` are results it was given in place of recorded ones."""

    corrections: str | None = payload()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunUndoing(RunSteered):
    """The run is to end, and its steps are undone first; `error` is what it failed with, if it did."""

    error: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Patched(Event):
    """The run came by `patched(name)` on the new side."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDiverged(Event):
    """The code asked for something the journal does not fit, or a step may or may not have run: an operator chooses."""

    recorded: str
    asked: str
    key: str | None = None
    error: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunQuarantined(Event):
    """The run lost too many workers in a row, and waits for an operator instead of the next one."""

    reason: str
    error: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished(Event):
    """The run ended. `output` is what it returned, `error` why it failed, `reason` who cancelled it and why.

    `retry_key` is the operation whose failure ended it.
    """

    status: RunStatus
    output: str | None = payload()
    error: Failure | None = None
    reason: str = ""
    retry_key: str | None = None
