"""Which occurrences of a schedule are to come, and which have come due: arithmetic on what is stored, without a clock.

An occurrence is its nominal time. Its run starts a fixed delay later, which the schedule's id makes up within its
`spread`, so that many schedules of one rule do not all start in one second.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from typing import TYPE_CHECKING

from agentflow.clock import MICROSECOND
from agentflow.states import OccurrenceKind
from agentflow.tasks.schedule import most_caught_up
from schedulers.triggers import count, latest, next_fire, times, trigger_for

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from agentflow.records import Schedule


@dataclass(frozen=True, slots=True)
class Due:
    """A time that has come, and the one that follows it; None after the last."""

    at: datetime
    next_at: datetime | None
    kind: OccurrenceKind = OccurrenceKind.DUE


@dataclass(frozen=True, slots=True)
class Missed:
    """So many times from `at` on that came while nobody looked and are not started, and the one that follows them."""

    at: datetime
    count: int
    next_at: datetime | None


@dataclass(frozen=True, slots=True)
class Look:
    """What is to be done for a schedule at some moment: what was missed is written down, then each `due` is started."""

    missed: Missed | None
    due: Sequence[Due]
    next_at: datetime | None


def delay(schedule: Schedule) -> timedelta:
    """How long after its nominal time an occurrence of this schedule starts: always the same within its spread."""
    part = int.from_bytes(sha256(schedule.id.encode()).digest()[:8], "big")
    return schedule.spread // MICROSECOND * part // 2**64 * MICROSECOND


def following(schedule: Schedule, after: datetime) -> datetime | None:
    """The schedule's first time later than `after`, between its start and its end; None if there is none."""
    if schedule.start_at is not None:
        after = max(after, schedule.start_at - MICROSECOND)
    found = next_fire(trigger_for(schedule.rule, schedule.timezone), after)
    return found if found is None or schedule.end_at is None or found <= schedule.end_at else None


def upcoming(schedule: Schedule, count: int, now: datetime) -> Sequence[datetime]:
    """The next `count` nominal times whose runs would start after `now`; none of a schedule that is paused or over."""
    if schedule.paused_at is not None or (schedule.next_fire_at is None and schedule.plan_from is None):
        return []
    after = now - delay(schedule)
    if schedule.plan_from is not None:
        at = following(schedule, max(after, schedule.plan_from))
    else:
        at = schedule.next_fire_at
        at = at if at is not None and at > after else following(schedule, after)
    found: list[datetime] = []
    while at is not None and len(found) < count:
        found.append(at)
        at = following(schedule, at)
    return found


def look(schedule: Schedule, now: datetime, *, since: datetime | None) -> Look:
    """What is to be done at `now` for a schedule that somebody looked at at `since`, or not lately.

    What came due after that is late at worst, and every occurrence of it starts. What came due before was missed: of
    that the latest start, until there are as many as the schedule catches up on.
    """
    first = schedule.next_fire_at
    until = now - delay(schedule)
    if first is None or first > until:
        return Look(None, (), first)
    present = until - MICROSECOND if since is None else min(since - delay(schedule), until)
    late = _late(schedule, first, present, until)
    most = max(0, most_caught_up(schedule.catch_up) - len(late))
    caught_up, total = _missed(schedule, first, present, most) if first <= present else ([], 0)
    kinds = [(at, OccurrenceKind.CAUGHT_UP) for at in caught_up] + [(at, OccurrenceKind.DUE) for at in late]
    ends = [*(at for at, _ in kinds), following(schedule, kinds[-1][0] if kinds else max(first, present))]
    left_out = total - len(caught_up)
    missed = Missed(first, left_out, ends[0]) if left_out else None
    due = [Due(at, next_at, kind) for (at, kind), (_, next_at) in zip(kinds, pairwise(ends), strict=True)]
    return Look(missed, due, ends[-1])


def _late(schedule: Schedule, first: datetime, present: datetime, until: datetime) -> Sequence[datetime]:
    """The occurrences later than `present`, `first` being the first of all: the stored one, whatever the rule says."""
    trigger = trigger_for(schedule.rule, schedule.timezone)
    found = [first] if first > present else []
    found += times(trigger, max(first, present), until)
    return [at for at in found if schedule.end_at is None or at <= schedule.end_at]


def _missed(schedule: Schedule, first: datetime, until: datetime, most: int) -> tuple[Sequence[datetime], int]:
    """Of the occurrences from `first` until this time the last `most`, oldest first, and how many there were.

    A stored time that the rule no longer has, as after an update of the time zones, is one of them.
    """
    if schedule.end_at is not None:
        until = min(until, schedule.end_at)
    trigger = trigger_for(schedule.rule, schedule.timezone)
    found = latest(trigger, first, until, most)
    return ([first, *found] if len(found) < most else found), 1 + count(trigger, first, until)
