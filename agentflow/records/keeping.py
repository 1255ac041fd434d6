"""What came of looking after a database."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What was removed. `reduced` runs left their approvals behind; `after` is where to go on, None at the end."""

    removed: int = 0
    reduced: int = 0
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What was done to open runs; `after` is where to go on, None at the end."""

    paused: int = 0
    going_on: int = 0
    left: int = 0
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Withheld:
    """What a restored database was kept from doing by itself.

    `schedules` go on from now, and `subscriptions` are told of what happens from now on; `tokens` hold as they did at
    the time of the backup, also those that were revoked since.
    """

    occurrences: int
    backfills: int
    schedules: int
    matches: int
    dispatches: int
    subscriptions: int
    sessions: int
    tokens: int
