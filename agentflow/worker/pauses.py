"""Pauses between tries to reach a database that is away."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from zlib import crc32

FIRST: Final = timedelta(milliseconds=250)
LONGEST: Final = timedelta(seconds=3)


class Pauses:
    """Longer each time, and each worker's own: those of a thousand workers do not end at the same moment."""

    def __init__(self) -> None:
        self._count = 0

    def reset(self) -> None:
        """It answered."""
        self._count = 0

    def next(self, name: str) -> timedelta:
        """How long the worker of this name leaves it alone now."""
        span = min(FIRST * (1 << min(self._count, 10)), LONGEST)
        self._count += 1
        chance = crc32(f"{name} {self._count}".encode()) % 1000 / 1000
        return span * (0.5 + chance / 2)
