"""Which instants the times on a zone's wall are, above all where its clocks change: decided here, in one place.

A rule that names its hours follows the wall: each time happens once, the first of the two when an hour is repeated in
autumn, and at the first instant that exists when it is skipped in spring. A rule for every hour of the day follows
elapsed time: it goes on through a repeated hour and leaves out a skipped one.

A time on the wall is written here as if it were UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from zoneinfo import ZoneInfo

    # The first time on the wall, at or after the given one, at which a rule comes round; None after the last.
    Calendar = Callable[[datetime], datetime | None]

SECOND: Final = timedelta(seconds=1)
# No zone changes its clock twice within so short a time; the search for a change need not look further.
NEAR: Final = timedelta(days=2)


def next_elapsed(calendar: Calendar, zone: ZoneInfo, start: datetime) -> datetime | None:
    """The first instant at or after `start`, the wall being read with the offset in force.

    Where that changes before the next time, it goes on from the change.
    """
    while True:
        offset = offset_at(zone, start)
        wall = calendar(start + offset)
        if wall is None:
            return None
        found = wall - offset
        if found - start > NEAR:
            start = found - NEAR  # nothing lies in between
        elif offset_at(zone, found) == offset:
            return found
        else:
            start = _change(zone, start, found)


def next_on_the_wall(calendar: Calendar, zone: ZoneInfo, start: datetime) -> datetime | None:
    """The first instant at or after `start` that is the one of a time on the wall."""
    # A second earlier, the wall has not yet jumped over the times that a change at `start` itself skips.
    wall: datetime | None = start - SECOND + offset_at(zone, start - SECOND)
    while wall is not None and (wall := calendar(wall)) is not None:
        found = first_instant(zone, wall)
        if found >= start:
            return found
        wall += SECOND
    return None


def first_instant(zone: ZoneInfo, wall: datetime) -> datetime:
    """The first instant at which the zone's clocks show `wall` or, if they skip it, a later time."""
    shown = wall.replace(tzinfo=zone, fold=0)
    instant = shown.astimezone(UTC)
    if instant + offset_at(zone, instant) == wall:
        return instant
    # Read with the offset after the change, a time that is skipped lies before it; read with the one before, after it.
    return _change(zone, shown.replace(fold=1).astimezone(UTC), instant)


def on_the_wall(zone: ZoneInfo, instant: datetime) -> datetime:
    """What the zone's clocks show at this instant."""
    return instant + offset_at(zone, instant)


def offset_at(zone: ZoneInfo, instant: datetime) -> timedelta:
    """How far the zone's clocks are ahead of UTC at this instant."""
    return instant.astimezone(zone).utcoffset() or timedelta()


def _change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The first whole second later than `before` at which the zone's offset is no longer what it was there."""
    offset = offset_at(zone, before)
    while after - before > SECOND:
        middle = before + (after - before) // SECOND // 2 * SECOND
        before, after = (middle, after) if offset_at(zone, middle) == offset else (before, middle)
    return after
