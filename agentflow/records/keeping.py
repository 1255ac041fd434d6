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
