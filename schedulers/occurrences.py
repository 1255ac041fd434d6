"""Which occurrences of a schedule have come due: arithmetic on what is stored, without a clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from schedulers.triggers import next_fire, trigger_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from agentflow.records import Schedule
    from schedulers.triggers import Trigger

SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Due:
    """A fire time that has come, and the one that follows it."""

    at: datetime
    next_at: datetime


def due(schedule: Schedule, now: datetime, *, since: datetime | None = None) -> Iterator[Due]:
    """The occurrences to start at `now`, oldest first.

    After downtime that is one: the newest that was missed; the older ones are left out. A scheduler that looked before,
    at `since`, was not down after that: each occurrence that came due later is started, even if the look is late.
    """
    at = schedule.next_fire_at
    if at is None or at > now:
        return
    trigger = trigger_for(schedule.rule, schedule.timezone)
    start = None if since is None else max(at, next_fire(trigger, since))
    if start is None or start > now:
        start = latest(trigger, at, now)
    while start <= now:
        following = next_fire(trigger, start)
        yield Due(start, following)
        start = following


def latest(trigger: Trigger, known: datetime, now: datetime) -> datetime:
    """The last time the rule came round until `now`; `known`, an earlier fire time, if it did not since.

    Found by halving: a rule for every second that nobody looked at for a month came round millions of times.
    """
    before, beyond = known, now
    while beyond - before > SECOND:
        middle = before + (beyond - before) // 2
        before, beyond = (middle, beyond) if next_fire(trigger, middle) <= now else (before, middle)
    found = next_fire(trigger, before)
    return found if found <= now else known
